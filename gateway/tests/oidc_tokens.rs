//! Access tokens of an external issuer, and every way in which one may be no good. The issuer here is a small server with keys made by the
//! test; `oidc_provider.rs` has a genuine one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chat_gateway::{
    embedded, serve,
    store::{Store, memory::MemoryStore},
};
use chat_gateway_config::{Oidc, stats::GatewayStats};
use chat_test_client::{
    accounts,
    socket::{Socket, SocketError},
    wire::Body,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const AUDIENCE: &str = "https://chat.example.org";

/// A key of the issuer: how it signs, and what it publishes.
struct Key {
    id: &'static str,
    algorithm: Algorithm,
    signing: EncodingKey,
    public: Vec<u8>,
    jwk: Value,
}

fn p256(id: &'static str) -> Key {
    let random = SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random).unwrap();
    let public = pair.public_key().as_ref().to_vec();
    let (x, y) = (BASE64.encode(&public[1..33]), BASE64.encode(&public[33..]));
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": id, "use": "sig", "alg": "ES256" });
    Key { id, algorithm: Algorithm::ES256, signing: EncodingKey::from_ec_der(der.as_ref()), public, jwk }
}

fn ed25519(id: &'static str) -> Key {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
    let public = pair.public_key().as_ref().to_vec();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(&public), "kid": id });
    Key { id, algorithm: Algorithm::EdDSA, signing: EncodingKey::from_ed_der(der.as_ref()), public, jwk }
}

#[derive(Default)]
struct Published {
    keys: Mutex<Vec<Value>>,
    issuer: Mutex<String>,
    fetches: AtomicU32,
}

struct Issuer {
    url: String,
    address: SocketAddr,
    published: Arc<Published>,
    server: JoinHandle<()>,
}

impl Issuer {
    async fn start(keys: &[&Key]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}/realm");
        let published = Arc::new(Published::default());
        url.clone_into(&mut published.issuer.lock().unwrap());
        let server = tokio::spawn(serve_issuer(listener, Arc::clone(&published)));
        let issuer = Self { url, address, published, server };
        issuer.publish(keys);
        issuer
    }

    fn publish(&self, keys: &[&Key]) {
        *self.published.keys.lock().unwrap() = keys.iter().map(|key| key.jwk.clone()).collect();
    }

    fn fetches(&self) -> u32 {
        self.published.fetches.load(Ordering::SeqCst)
    }

    fn stop(&self) {
        self.server.abort();
    }

    async fn resume(&mut self) {
        let listener = tokio::net::TcpListener::bind(self.address).await.unwrap();
        self.server = tokio::spawn(serve_issuer(listener, Arc::clone(&self.published)));
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.url, "sub": "subject-1", "aud": AUDIENCE, "exp": now() + 300, "iat": now(),
            "name": "Ann Example", "preferred_username": "ann",
        })
    }

    /// A good token with this change.
    fn token(&self, key: &Key, change: impl FnOnce(&mut Header, &mut Value)) -> String {
        let mut header = Header::new(key.algorithm);
        header.kid = Some(key.id.to_owned());
        header.typ = Some("at+jwt".to_owned());
        let mut claims = self.claims();
        change(&mut header, &mut claims);
        jsonwebtoken::encode(&header, &claims, &key.signing).unwrap()
    }
}

async fn serve_issuer(listener: tokio::net::TcpListener, published: Arc<Published>) {
    axum::serve(listener, router(published)).await.unwrap();
}

fn router(published: Arc<Published>) -> Router {
    let metadata = async |State(published): State<Arc<Published>>| {
        let issuer = published.issuer.lock().unwrap().clone();
        Json(json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/jwks") }))
    };
    let keys = async |State(published): State<Arc<Published>>| {
        published.fetches.fetch_add(1, Ordering::SeqCst);
        Json(json!({ "keys": *published.keys.lock().unwrap() }))
    };
    Router::new()
        .route("/realm/.well-known/openid-configuration", get(metadata))
        .route("/realm/jwks", get(keys))
        .with_state(published)
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

struct Place {
    at: String,
    admin: String,
    admin_token: String,
    store: Arc<MemoryStore>,
    stop: CancellationToken,
    _folder: TempDir,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Place {
    async fn open(issuers: &[&str]) -> Self {
        Self::open_with(issuers, None).await
    }

    async fn open_with(issuers: &[&str], ca_file: Option<PathBuf>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = "127.0.0.1:0".parse().unwrap();
        let mut config = embedded::prepare(folder.path(), local, local).unwrap();
        let oidc = |issuer: &&str| -> Oidc {
            serde_json::from_value(json!({ "issuer": issuer, "audience": AUDIENCE, "caFile": ca_file })).unwrap()
        };
        config.auth.oidc = issuers.iter().map(oidc).collect();
        config.validate().unwrap();
        let admin_token = std::fs::read_to_string(&config.admin_token_file).unwrap().trim().to_owned();
        let stop = CancellationToken::new();
        let store = Arc::new(MemoryStore::new());
        let gateway = serve::Gateway::start(config, "alone".into(), store.clone(), stop.clone()).await.unwrap();
        let (at, admin) = (gateway.address.to_string(), gateway.admin_address.to_string());
        Self { at, admin, admin_token, store, stop, _folder: folder }
    }

    /// Status and code of a request with this token.
    async fn ask(&self, token: &str) -> (u16, String) {
        let (status, body) = accounts::get(&self.at, "/v1/sessions", Some(token)).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        (status.as_u16(), body["error"]["code"].as_str().unwrap_or_default().to_owned())
    }

    async fn accepts(&self, what: &str, token: &str) {
        assert_eq!(self.ask(token).await, (200, String::new()), "{what}");
    }

    async fn refuses(&self, what: &str, token: &str, code: &str) {
        assert_eq!(self.ask(token).await, (401, code.to_owned()), "{what}");
    }

    async fn eventually(&self, what: &str, token: &str, status: u16) {
        let begin = Instant::now();
        while self.ask(token).await.0 != status {
            assert!(begin.elapsed() < Duration::from_secs(60), "{what}: {:?}", self.ask(token).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("{what}: after {:?}", begin.elapsed());
    }

    async fn stats(&self) -> GatewayStats {
        let (_, body) = accounts::get(&self.admin, "/stats", Some(&self.admin_token)).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

/// The answer to `hello`, and the code of the close that follows a refusal.
async fn hello(place: &Place, token: &str) -> (Body, u16) {
    let mut socket = Socket::connect(&place.at).await.unwrap();
    socket.send(&json!({ "type": "hello", "id": 0, "token": token })).await.unwrap();
    let answer = socket.recv().await.unwrap().body;
    if matches!(answer, Body::Welcome(_)) {
        return (answer, 0);
    }
    match socket.recv().await {
        Err(SocketError::Closed { code, .. }) => (answer, code),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_is_a_user_of_its_own() {
    let (es, ed) = (p256("a"), ed25519("b"));
    let issuer = Issuer::start(&[&es, &ed]).await;
    let other = Issuer::start(&[&es]).await;
    let place = Place::open(&[&issuer.url, &other.url]).await;
    let token = issuer.token(&es, |_, _| {});
    let (Body::Welcome(welcome), _) = hello(&place, &token).await else { panic!("not welcome") };
    assert_eq!((welcome.user.name.as_str(), welcome.user.display_name.as_str()), ("ann@127.0.0.1", "Ann Example"));
    let user = async |token: String| match hello(&place, &token).await {
        (Body::Welcome(welcome), _) => welcome.user.id,
        (other, code) => panic!("{other:?} {code}"),
    };
    assert_eq!(user(issuer.token(&ed, |_, _| {})).await, welcome.user.id, "another key of the same issuer");
    let lists = |_: &mut Header, claims: &mut Value| claims["aud"] = json!(["else", AUDIENCE]);
    assert_eq!(user(issuer.token(&es, lists)).await, welcome.user.id);
    let renamed = |_: &mut Header, claims: &mut Value| claims["name"] = json!("Somebody Else");
    assert_eq!(user(issuer.token(&es, renamed)).await, welcome.user.id);
    let second = |_: &mut Header, claims: &mut Value| claims["sub"] = json!("subject-2");
    assert_ne!(user(issuer.token(&es, second)).await, welcome.user.id);
    assert_ne!(user(other.token(&es, |_, _| {})).await, welcome.user.id, "the same subject of another issuer");
    let plain = |header: &mut Header, _: &mut Value| (header.typ, header.kid) = (None, None);
    assert_eq!(user(issuer.token(&es, plain)).await, welcome.user.id, "no kid, and one key only for the algorithm");

    // Many at once make one account.
    let first = issuer.token(&es, |_, claims| claims["sub"] = json!("a crowd"));
    let asked = futures::future::join_all((0..30).map(|_| place.ask(&first))).await;
    assert!(asked.iter().all(|(status, _)| *status == 200), "{asked:?}");
    let id = chat_gateway::model::UserId(welcome.user.id);
    assert_eq!(place.store.users(&[id]).await.unwrap().len(), 1);
    // No password opens it, and none can be set.
    let password = json!({ "old_password": "", "new_password": "a new password" });
    let (status, _) = accounts::post(&place.at, "/v1/password", Some(&token), &password).await.unwrap();
    assert_eq!(status.as_u16(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_claims_are_refused() {
    let key = p256("a");
    let issuer = Issuer::start(&[&key]).await;
    let place = Place::open(&[&issuer.url]).await;
    place.accepts("a good token", &issuer.token(&key, |_, _| {})).await;
    let with = |claim: &'static str, value: Value| issuer.token(&key, |_, claims| claims[claim] = value);
    let invalid = "unauthenticated";
    place.refuses("another audience", &with("aud", json!("https://shop.example.org")), invalid).await;
    place.refuses("a list of other audiences", &with("aud", json!(["a", "b"])), invalid).await;
    place.refuses("no audience", &with("aud", Value::Null), invalid).await;
    place.refuses("an issuer that is not configured", &with("iss", json!("https://evil.example.org")), invalid).await;
    place.refuses("the cluster's own name as issuer", &with("iss", json!("local/chat")), invalid).await;
    place.refuses("two issuers", &with("iss", json!([issuer.url, "local/chat"])), invalid).await;
    place.refuses("no subject", &with("sub", Value::Null), invalid).await;
    place.refuses("an empty subject", &with("sub", json!("")), invalid).await;
    place.refuses("no expiry", &with("exp", Value::Null), invalid).await;
    place.refuses("an expiry that is no time", &with("exp", json!("tomorrow")), invalid).await;
    place.refuses("bound to a key", &with("cnf", json!({ "jkt": "x" })), invalid).await;
    // Clocks differ: a minute is forgiven, more is not.
    place.accepts("expired just now", &with("exp", json!(now() - 30))).await;
    place.refuses("expired", &with("exp", json!(now() - 120)), "token_expired").await;
    place.accepts("valid in a moment", &with("nbf", json!(now() + 30))).await;
    place.refuses("not valid yet", &with("nbf", json!(now() + 120)), invalid).await;
    let (answer, code) = hello(&place, &with("exp", json!(now() - 120))).await;
    assert!(matches!(&answer, Body::Error(refusal) if refusal.code == "token_expired"), "{answer:?}");
    assert_eq!(code, 4401);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_signatures_and_algorithms_are_refused() {
    let (key, ed) = (p256("a"), ed25519("b"));
    let issuer = Issuer::start(&[&key, &ed]).await;
    let place = Place::open(&[&issuer.url]).await;
    let invalid = "unauthenticated";
    let good = issuer.token(&key, |_, _| {});
    place.accepts("a good token", &good).await;
    let parts: Vec<&str> = good.split('.').collect();
    let encoded = |header: Value| BASE64.encode(header.to_string());

    for none in ["none", "None", "NONE", "nOnE"] {
        let header = encoded(json!({ "alg": none, "typ": "at+jwt", "kid": "a" }));
        place.refuses("algorithm none", &format!("{header}.{}.", parts[1]), invalid).await;
        place.refuses("none with a signature", &format!("{header}.{}.{}", parts[1], parts[2]), invalid).await;
    }
    // The public key is public: whoever knows it must not be able to use it as a secret.
    for (which, public) in [("raw", key.public.clone()), ("coordinates", BASE64.encode(&key.public[1..]).into_bytes())]
    {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let mut header = Header::new(algorithm);
            header.kid = Some("a".to_owned());
            let secret = EncodingKey::from_secret(&public);
            let mac = jsonwebtoken::encode(&header, &issuer.claims(), &secret).unwrap();
            place.refuses(&format!("{algorithm:?} with the public key, {which}"), &mac, invalid).await;
        }
    }
    let stranger = p256("a");
    place.refuses("another key under a known id", &issuer.token(&stranger, |_, _| {}), invalid).await;
    let swapped = issuer.token(&key, |header, _| header.kid = Some("b".to_owned()));
    place.refuses("the id of a key of another algorithm", &swapped, invalid).await;
    let own = issuer.token(&stranger, |header, _| {
        header.kid = None;
        header.jwk = Some(serde_json::from_value(stranger.jwk.clone()).unwrap());
    });
    place.refuses("a key that the token brings along", &own, invalid).await;
    let url = issuer.token(&stranger, |header, _| {
        header.kid = Some("elsewhere".to_owned());
        header.jku = Some("http://127.0.0.1:1/jwks".to_owned());
    });
    place.refuses("a key set that the token names", &url, invalid).await;
    let claims = BASE64.encode(issuer.claims().to_string().replace("subject-1", "subject-9"));
    place.refuses("altered claims", &format!("{}.{claims}.{}", parts[0], parts[2]), invalid).await;
    place.refuses("no signature", &format!("{}.{}.", parts[0], parts[1]), invalid).await;
    for junk in ["", "x", "a.b.c", "..", "eyJhbGciOiJFUzI1NiJ9..x", &good[..good.len() - 4]] {
        place.refuses("junk", junk, invalid).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_other_kinds_are_refused() {
    let key = p256("a");
    let issuer = Issuer::start(&[&key]).await;
    let place = Place::open(&[&issuer.url]).await;
    let of = |kind: &str| issuer.token(&key, |header, _| header.typ = Some(kind.to_owned()));
    for kind in ["at+jwt", "AT+JWT", "application/at+jwt", "JWT"] {
        place.accepts(kind, &of(kind)).await;
    }
    for kind in ["logout+jwt", "dpop+jwt", "secevent+jwt", "token-introspection+jwt", "oauth-authz-req+jwt", ""] {
        place.refuses(kind, &of(kind), "unauthenticated").await;
    }
    let critical = issuer.token(&key, |header, _| header.crit = Some(vec!["exp".to_owned()]));
    place.refuses("an extension that must be understood", &critical, "unauthenticated").await;
    // An ID token: same issuer, same key, but its audience is the client.
    let id_token = issuer.token(&key, |header, claims| {
        header.typ = Some("JWT".to_owned());
        claims["aud"] = json!("the-page");
        claims["nonce"] = json!("n");
    });
    place.refuses("an ID token", &id_token, "unauthenticated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_and_unknown_ones_do_not_make_the_gateway_hammer_the_issuer() {
    let (old, new) = (p256("old"), p256("new"));
    let issuer = Issuer::start(&[&old]).await;
    let place = Place::open(&[&issuer.url]).await;
    place.accepts("the old key", &issuer.token(&old, |_, _| {})).await;
    issuer.publish(&[&old, &new]);
    place.eventually("the new key is found", &issuer.token(&new, |_, _| {}), 200).await;
    place.accepts("the old key, while it is published", &issuer.token(&old, |_, _| {})).await;
    issuer.publish(&[&new]);
    let before = issuer.fetches();
    let begin = Instant::now();
    for n in 0..200 {
        let junk = issuer.token(&new, |header, _| header.kid = Some(format!("junk-{n}")));
        place.refuses("an unknown key", &junk, "unauthenticated").await;
    }
    let (asked, took) = (issuer.fetches() - before, begin.elapsed());
    println!("200 tokens with unknown keys in {took:?} made {asked} fetches");
    assert!(u64::from(asked) <= 1 + took.as_secs() / 10, "{asked} in {took:?}");
    // The next fetch takes the withdrawn key away.
    let begin = Instant::now();
    let withdrawn = issuer.token(&old, |_, _| {});
    let junk = issuer.token(&new, |header, _| header.kid = Some("more junk".to_owned()));
    while place.ask(&withdrawn).await.0 != 401 {
        assert!(begin.elapsed() < Duration::from_secs(60), "a withdrawn key is still believed");
        place.refuses("an unknown key", &junk, "unauthenticated").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn known_keys_work_while_the_issuer_is_away_and_it_is_said() {
    let (old, new) = (p256("old"), p256("new"));
    let mut issuer = Issuer::start(&[&old]).await;
    let place = Place::open(&[&issuer.url]).await;
    place.accepts("while it is there", &issuer.token(&old, |_, _| {})).await;
    assert_eq!(place.stats().await.issuers[0].component.reason, "Connected");
    issuer.stop();
    // A token with an unknown key makes the gateway ask; until then it does not know that the issuer is away.
    let unknown = issuer.token(&new, |_, _| {});
    place.eventually("an unknown key cannot be told from a new one", &unknown, 503).await;
    place.accepts("a known key", &issuer.token(&old, |_, _| {})).await;
    let (answer, code) = hello(&place, &unknown).await;
    assert!(matches!(&answer, Body::Error(refusal) if refusal.code == "unavailable"), "{answer:?}");
    assert_eq!(code, 1012, "try again");
    let stats = place.stats().await;
    assert_eq!(stats.issuers[0].issuer, issuer.url);
    let component = &stats.issuers[0].component;
    assert!(!component.available && component.reason == "ConnectionRefused", "{component:?}");
    assert!(component.message.contains("1 keys are known"), "{component:?}");
    let (_, metrics) = accounts::get(&place.admin, "/metrics", None).await.unwrap();
    let line = format!("chat_gateway_backend_available{{backend=\"issuer:{}\"}} 0", issuer.url);
    assert!(String::from_utf8_lossy(&metrics).contains(&line));
    issuer.publish(&[&old, &new]);
    issuer.resume().await;
    place.eventually("the new key works when the issuer is back", &unknown, 200).await;
    assert!(place.stats().await.issuers[0].component.available);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_another_issuer_is_not_believed() {
    let key = p256("a");
    let issuer = Issuer::start(&[&key]).await;
    "https://somebody.example.org".clone_into(&mut issuer.published.issuer.lock().unwrap());
    let place = Place::open(&[&issuer.url]).await;
    assert_eq!(place.ask(&issuer.token(&key, |_, _| {})).await, (503, "unavailable".to_owned()));
    let stats = place.stats().await;
    assert!(stats.issuers[0].component.message.contains("another issuer"), "{stats:?}");
}

/// Serves the issuer over TLS with a certificate that nobody but this test trusts; the certificate's PEM text.
async fn serve_tls(listener: tokio::net::TcpListener, published: Arc<Published>) -> String {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, router) = (acceptor.clone(), router(Arc::clone(&published)));
            tokio::spawn(async move {
                // Who does not trust the certificate hangs up here.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = hyper_util::service::TowerToHyperService::new(router);
                let io = hyper_util::rt::TokioIo::new(stream);
                drop(hyper::server::conn::http1::Builder::new().serve_connection(io, service).await);
            });
        }
    });
    cert.pem()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_over_tls_that_is_verified() {
    let key = p256("a");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/realm", listener.local_addr().unwrap());
    let published = Arc::new(Published::default());
    url.clone_into(&mut published.issuer.lock().unwrap());
    published.keys.lock().unwrap().push(key.jwk.clone());
    let pem = serve_tls(listener, published).await;
    let mut header = Header::new(key.algorithm);
    header.kid = Some("a".to_owned());
    let claims = json!({ "iss": url, "sub": "s", "aud": AUDIENCE, "exp": now() + 300 });
    let token = jsonwebtoken::encode(&header, &claims, &key.signing).unwrap();

    let public = Place::open(&[&url]).await;
    assert_eq!(public.ask(&token).await, (503, "unavailable".to_owned()), "nobody vouches for the certificate");
    let message = public.stats().await.issuers[0].component.message.clone();
    assert!(message.contains("certificate"), "{message}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roots.pem");
    std::fs::write(&file, pem).unwrap();
    let private = Place::open_with(&[&url], Some(file)).await;
    private.accepts("over TLS that leads to a root of the file", &token).await;
}
