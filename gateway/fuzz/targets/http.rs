//! Requests over HTTP, through the router of the client port with all its checks, to a gateway over stores in memory.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, LazyLock},
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderName, HeaderValue, Method, Request},
    routing::get,
};
use chat_gateway::{
    auth::{Accounts, Authenticator, Ed25519Tokens, PasswordPool, RefreshTokens, oidc::Issuers},
    broker::MemoryExchange,
    delivery::Books,
    embedded,
    entrance::Entrance,
    hints::Hints,
    http::{Doors, Http, router},
    hub::Hub,
    limiter::LocalLimiter,
    live::Current,
    presence::MemoryPresence,
    services::{Counters, Services},
    store::memory::MemoryStore,
    traces::Tracer,
};
use chat_gateway_config::{Bucket, Passwords};
use http_body_util::BodyExt as _;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use super::tokens::{CLUSTER, KEY};

const PATHS: &[(Method, &str)] = &[
    (Method::POST, "/v1/sign-up"),
    (Method::POST, "/v1/sign-in"),
    (Method::POST, "/v1/sign-in/oidc"),
    (Method::POST, "/v1/password"),
    (Method::POST, "/v1/refresh"),
    (Method::POST, "/v1/sign-out"),
    (Method::POST, "/v1/sign-out-everywhere"),
    (Method::GET, "/v1/sessions"),
    (Method::DELETE, "/v1/sessions/0197a000-0000-7000-8000-000000000001"),
    (Method::GET, "/v1/config"),
    (Method::OPTIONS, "/v1/sign-in"),
    (Method::GET, "/v1/connect"),
];

struct Gate {
    runtime: tokio::runtime::Runtime,
    router: Router,
}

static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let router = runtime.block_on(async { gateway() });
    Gate { runtime, router }
});

fn gateway() -> Router {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let folder = std::env::temp_dir().join(format!("chatcluster-fuzz-{}", std::process::id()));
    let mut config = embedded::prepare(&folder, nowhere, nowhere).expect("a folder in the temporary one");
    drop(std::fs::remove_dir_all(&folder));
    // Bodies are read all the same, and no time goes into hashes.
    config.auth.passwords = Passwords::Disabled;
    let free = Bucket { per_minute: 0, burst: 1 };
    config.http.rates.refresh_per_address = free;
    config.http.rates.sign_in_per_address = free;
    config.http.allowed_origins = vec!["https://app.example.org".parse().expect("an origin")];
    let store = Arc::new(MemoryStore::new());
    let accounts = Arc::new(Accounts::new(store.clone()));
    let own = Ed25519Tokens::new(KEY.as_bytes(), CLUSTER, 3_600).expect("the key is one");
    let (broker, deliveries) = MemoryExchange::new().join();
    let services = Arc::new(Services {
        gateway: "alone".into(),
        config: Arc::new(Current::new(config)),
        store,
        broker: Arc::new(broker),
        limiter: Arc::new(LocalLimiter::default()),
        presence: Arc::new(MemoryPresence::default()),
        tokens: Arc::new(Authenticator::new(own, Issuers::default(), Arc::clone(&accounts))),
        issuers: Issuers::default(),
        counters: Arc::new(Counters::default()),
        books: Arc::new(Books::new(1_024)),
        entrance: Entrance::default(),
        hints: Hints::default(),
        tracer: Tracer::default(),
    });
    let hub = Hub::start(Arc::clone(&services), deliveries, &CancellationToken::new());
    let passwords = Arc::new(PasswordPool::new(1).expect("argon2 runs"));
    let refresh = Arc::new(RefreshTokens::new(KEY.as_bytes()).expect("the key is one"));
    let door = || get(|| async { "a door" });
    router(Http::new(services, passwords, refresh, accounts, hub), &Doors { chat: door(), centrifuge: door() })
}

/// A byte that chooses the path, lines of headers, an empty line, and a body.
pub(super) fn request(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let (method, path) = &PATHS[usize::from(first) % PATHS.len()];
    let end = rest.windows(2).position(|two| two == b"\n\n").unwrap_or(rest.len());
    let (head, body) = (&rest[..end], rest.get(end + 2..).unwrap_or_default());
    let mut request = Request::builder().method(method).uri(*path).header("content-type", "application/json");
    for line in head.split(|byte| *byte == b'\n') {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let name = HeaderName::from_bytes(&line[..at]);
        let value = HeaderValue::from_bytes(line.get(at + 1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            request = request.header(name, value);
        }
    }
    let Ok(mut request) = request.body(Body::from(body.to_vec())) else { return };
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))));
    let gate = &*GATE;
    gate.runtime.block_on(async {
        let answer = gate.router.clone().call(request).await.unwrap_or_else(|never| match never {});
        let status = answer.status();
        assert_ne!(status.as_u16(), 500, "a defect");
        let policy = answer.headers().get("content-security-policy").expect("every answer has a policy");
        assert!(policy.to_str().is_ok_and(|policy| policy.contains("script-src 'self'; ")));
        let body = answer.into_body().collect().await.expect("a body that is there").to_bytes();
        if status.is_client_error() {
            let refusal: serde_json::Value = serde_json::from_slice(&body).expect("refusals are JSON");
            assert!(refusal["error"]["code"].is_string(), "{refusal}");
        }
    });
}
