//! An issuer: metadata and keys over HTTP or TLS, and tokens of any shape.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{Json, Router, extract::State, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// Whom the tokens are for.
pub(crate) const AUDIENCE: &str = "https://chat.example.org";

/// A key of the issuer: how it signs, and what it publishes.
pub(crate) struct Key {
    pub(crate) id: &'static str,
    pub(crate) algorithm: Algorithm,
    pub(crate) signing: EncodingKey,
    pub(crate) public: Vec<u8>,
    pub(crate) jwk: Value,
}

pub(crate) fn p256(id: &'static str) -> Key {
    let random = SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random).unwrap();
    let public = pair.public_key().as_ref().to_vec();
    let (x, y) = (BASE64.encode(&public[1..33]), BASE64.encode(&public[33..]));
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": id, "use": "sig", "alg": "ES256" });
    Key { id, algorithm: Algorithm::ES256, signing: EncodingKey::from_ec_der(der.as_ref()), public, jwk }
}

pub(crate) fn ed25519(id: &'static str) -> Key {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
    let public = pair.public_key().as_ref().to_vec();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(&public), "kid": id });
    Key { id, algorithm: Algorithm::EdDSA, signing: EncodingKey::from_ed_der(der.as_ref()), public, jwk }
}

#[derive(Default)]
pub(crate) struct Published {
    pub(crate) keys: Mutex<Vec<Value>>,
    pub(crate) issuer: Mutex<String>,
    pub(crate) fetches: AtomicU32,
}

pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    pub(crate) published: Arc<Published>,
    pub(crate) server: JoinHandle<()>,
}

impl Issuer {
    pub(crate) async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/realm", listener.local_addr().unwrap());
        Self::serve(listener, url, keys, serve_issuer)
    }

    /// The same over TLS, under this name, with a certificate that nobody but the test trusts; the certificate's PEM text comes along.
    pub(crate) fn start_tls(listener: TcpListener, name: &str, keys: &[&Key]) -> (Self, String) {
        let url = format!("https://{name}:{}/realm", listener.local_addr().unwrap().port());
        let certified = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let pem = certified.cert.pem();
        (Self::serve(listener, url, keys, move |listener, published| serve_tls(listener, published, certified)), pem)
    }

    fn serve<F>(
        listener: TcpListener,
        url: String,
        keys: &[&Key],
        server: impl FnOnce(TcpListener, Arc<Published>) -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let published = Arc::new(Published::default());
        url.clone_into(&mut published.issuer.lock().unwrap());
        let server = tokio::spawn(server(listener, Arc::clone(&published)));
        let issuer = Self { url, address, published, server };
        issuer.publish(keys);
        issuer
    }

    pub(crate) fn publish(&self, keys: &[&Key]) {
        *self.published.keys.lock().unwrap() = keys.iter().map(|key| key.jwk.clone()).collect();
    }

    pub(crate) fn fetches(&self) -> u32 {
        self.published.fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn stop(&self) {
        self.server.abort();
    }

    pub(crate) async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.server = tokio::spawn(serve_issuer(listener, Arc::clone(&self.published)));
    }

    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": self.url, "sub": "subject-1", "aud": AUDIENCE, "exp": now() + 300, "iat": now(),
            "name": "Ann Example", "preferred_username": "ann",
        })
    }

    /// A good token with this change.
    pub(crate) fn token(&self, key: &Key, change: impl FnOnce(&mut Header, &mut Value)) -> String {
        let mut header = Header::new(key.algorithm);
        header.kid = Some(key.id.to_owned());
        header.typ = Some("at+jwt".to_owned());
        let mut claims = self.claims();
        change(&mut header, &mut claims);
        jsonwebtoken::encode(&header, &claims, &key.signing).unwrap()
    }
}

async fn serve_issuer(listener: TcpListener, published: Arc<Published>) {
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

pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

async fn serve_tls(
    listener: TcpListener,
    published: Arc<Published>,
    rcgen::CertifiedKey { cert, signing_key }: rcgen::CertifiedKey<rcgen::KeyPair>,
) {
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
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
}
