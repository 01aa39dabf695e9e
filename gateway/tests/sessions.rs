//! Sessions over HTTP, on one gateway that needs no other service: refresh tokens, their theft, sign-out, passwords, and limits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chat_gateway::{
    embedded, serve,
    store::{
        memory::MemoryStore,
        sqlite::{OpenError, SqliteStore},
    },
};
use chat_gateway_config::{Bucket, GatewayConfig};
use chat_test_client::{
    accounts,
    socket::{Socket, SocketError},
};
use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "a good password";

struct Place {
    at: String,
    stop: CancellationToken,
    folder: TempDir,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An answer: status and body.
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn refresh(&self) -> Value {
        json!({ "refresh_token": self.body["refresh_token"] })
    }

    fn token(&self) -> &str {
        self.body["token"].as_str().unwrap_or_else(|| panic!("no token in {}", self.body))
    }

    #[track_caller]
    fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.body["error"]["code"].as_str()), (status, Some(code)), "{}", self.body);
    }
}

impl Place {
    async fn open(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = "127.0.0.1:0".parse().unwrap();
        let mut config = embedded::prepare(folder.path(), local, local).unwrap();
        change(&mut config);
        config.validate().unwrap();
        let stop = CancellationToken::new();
        let gateway =
            serve::Gateway::start(config, "alone".into(), Arc::new(MemoryStore::new()), stop.clone()).await.unwrap();
        Self { at: gateway.address.to_string(), stop, folder }
    }

    async fn call(&self, method: Method, path: &str, headers: &[(&str, String)], body: &Value) -> Answer {
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let (status, body) = accounts::request(method, &self.at, path, headers, bytes).await.unwrap();
        Answer { status: status.as_u16(), body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }

    async fn post(&self, path: &str, token: Option<&str>, body: Value) -> Answer {
        let headers: Vec<_> = token.map(|token| ("authorization", format!("Bearer {token}"))).into_iter().collect();
        self.call(Method::POST, path, &headers, &body).await
    }

    async fn sign_up(&self, name: &str) -> Answer {
        let answer = self.post("/v1/sign-up", None, json!({ "name": name, "password": PASSWORD })).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer
    }

    async fn sign_in(&self, name: &str, password: &str) -> Answer {
        self.post("/v1/sign-in", None, json!({ "name": name, "password": password })).await
    }

    async fn sessions(&self, token: &str) -> Answer {
        self.call(Method::GET, "/v1/sessions", &[("authorization", format!("Bearer {token}"))], &Value::Null).await
    }

    async fn socket(&self, token: &str) -> Socket {
        let mut socket = Socket::connect(&self.at).await.unwrap();
        socket.send(&json!({ "type": "hello", "id": 0, "token": token })).await.unwrap();
        let welcome = socket.recv().await.unwrap();
        assert!(matches!(welcome.body, chat_test_client::wire::Body::Welcome(_)), "{welcome:?}");
        socket
    }
}

async fn closed(socket: &mut Socket) -> u16 {
    loop {
        match tokio::time::timeout(Duration::from_secs(30), socket.recv()).await.expect("nothing closes the connection")
        {
            Ok(_) => {}
            Err(SocketError::Closed { code, .. }) => return code,
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_rotates_and_its_theft_ends_the_session() {
    let place = Place::open(|_| {}).await;
    let first = place.sign_up("ann").await;
    assert_eq!(first.body["expires_in_seconds"], 3_600);
    assert_eq!(first.body["refresh_expires_in_seconds"], 14 * 86_400);
    let mut socket = place.socket(first.token()).await;
    let second = place.post("/v1/refresh", None, first.refresh()).await;
    assert_eq!((second.status, &second.body["session"]), (200, &first.body["session"]), "{}", second.body);
    assert_ne!(second.body["refresh_token"], first.body["refresh_token"]);
    // The answer was lost: the very same token gets the very same successor, for a while.
    let again = place.post("/v1/refresh", None, first.refresh()).await;
    assert_eq!((again.status, &again.body["refresh_token"]), (200, &second.body["refresh_token"]));
    let third = place.post("/v1/refresh", None, second.refresh()).await;
    assert_eq!(third.status, 200);
    assert_eq!(place.sessions(third.token()).await.status, 200);
    // By now the first token can only be a thief's, or the thief was first.
    place.post("/v1/refresh", None, first.refresh()).await.refused(401, "unauthenticated");
    place.post("/v1/refresh", None, third.refresh()).await.refused(401, "unauthenticated");
    for answer in [&first, &second, &third] {
        place.sessions(answer.token()).await.refused(401, "unauthenticated");
    }
    assert_eq!(closed(&mut socket).await, 4410);
    let mut late = Socket::connect(&place.at).await.unwrap();
    late.send(&json!({ "type": "hello", "id": 0, "token": third.token() })).await.unwrap();
    assert_eq!(closed(&mut late).await, 4410);
    assert_eq!(place.sign_in("ann", PASSWORD).await.status, 200, "the account is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_refresh_token_of_this_cluster_is_refused() {
    let place = Place::open(|_| {}).await;
    let other = Place::open(|_| {}).await;
    let (here, there) = (place.sign_up("ann").await, other.sign_up("ann").await);
    place.post("/v1/refresh", None, there.refresh()).await.refused(401, "unauthenticated");
    place.post("/v1/refresh", None, json!({ "refresh_token": here.token() })).await.refused(401, "unauthenticated");
    place.post("/v1/refresh", None, json!({})).await.refused(422, "bad_request");
    // An access token is none for refreshing, and a refresh token opens nothing.
    let refresh = here.body["refresh_token"].as_str().unwrap();
    place.sessions(refresh).await.refused(401, "unauthenticated");
    assert_eq!(place.post("/v1/refresh", None, here.refresh()).await.status, 200, "none of that harmed the session");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_one_by_one_or_all() {
    let place = Place::open(|_| {}).await;
    let one = place.sign_up("ann").await;
    let headers = [("user-agent", "A telephone\u{7f}".replace('\u{7f}', ""))];
    let two = place.call(Method::POST, "/v1/sign-in", &headers, &json!({ "name": "ann", "password": PASSWORD })).await;
    let three = place.sign_in("ann", PASSWORD).await;
    let bob = place.sign_up("bob").await;
    let listed = place.sessions(two.token()).await.body["sessions"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 3, "{listed}");
    assert_eq!(listed[0]["id"], three.body["session"], "the newest first");
    assert_eq!((&listed[1]["user_agent"], &listed[1]["current"]), (&json!("A telephone"), &json!(true)));
    assert!(listed[1]["created_at"].as_str().unwrap().ends_with('Z'), "{listed}");

    let mut sockets = Vec::new();
    for answer in [&one, &two, &three, &bob] {
        sockets.push(place.socket(answer.token()).await);
    }
    // One by its id, but only by its user.
    let path = format!("/v1/sessions/{}", three.body["session"].as_str().unwrap());
    let by = |token: &str| [("authorization", format!("Bearer {token}"))];
    place.call(Method::DELETE, &path, &by(bob.token()), &Value::Null).await.refused(404, "not_found");
    assert_eq!(place.call(Method::DELETE, &path, &by(one.token()), &Value::Null).await.status, 204);
    assert_eq!(closed(&mut sockets[2]).await, 4410);
    // One's own, by the refresh token, with which it works when the access token has expired.
    assert_eq!(place.post("/v1/sign-out", None, two.refresh()).await.status, 204);
    assert_eq!(closed(&mut sockets[1]).await, 4410);
    place.post("/v1/refresh", None, two.refresh()).await.refused(401, "unauthenticated");
    // All that are left.
    let more = place.sign_in("ann", PASSWORD).await;
    assert_eq!(place.post("/v1/sign-out-everywhere", Some(more.token()), Value::Null).await.status, 204);
    assert_eq!(closed(&mut sockets[0]).await, 4410);
    place.post("/v1/refresh", None, one.refresh()).await.refused(401, "unauthenticated");
    place.sessions(more.token()).await.refused(401, "unauthenticated");
    assert_eq!(place.sessions(bob.token()).await.status, 200, "another's session is not touched");
    assert_eq!(place.post("/v1/sign-out", Some(bob.token()), Value::Null).await.status, 204);
    assert_eq!(closed(&mut sockets[3]).await, 4410);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_needs_the_old_one_and_ends_the_other_sessions() {
    let place = Place::open(|_| {}).await;
    let here = place.sign_up("ann").await;
    let there = place.sign_in("ann", PASSWORD).await;
    let (mut kept, mut gone) = (place.socket(here.token()).await, place.socket(there.token()).await);
    let change = |old: &str, new: &str| json!({ "old_password": old, "new_password": new });
    let wrong = place.post("/v1/password", Some(here.token()), change("a wrong password", "a new password")).await;
    wrong.refused(403, "forbidden");
    assert_eq!(wrong.body["error"]["field"], "old_password");
    let short = place.post("/v1/password", Some(here.token()), change(PASSWORD, "short")).await;
    short.refused(400, "bad_request");
    assert_eq!(short.body["error"]["field"], "new_password");
    place.post("/v1/password", None, change(PASSWORD, "a new password")).await.refused(401, "unauthenticated");
    assert_eq!(place.post("/v1/password", Some(here.token()), change(PASSWORD, "a new password")).await.status, 204);
    assert_eq!(closed(&mut gone).await, 4410);
    kept.send(&json!({ "type": "ping", "id": 5 })).await.unwrap();
    kept.recv().await.expect("this session goes on");
    place.post("/v1/refresh", None, there.refresh()).await.refused(401, "unauthenticated");
    assert_eq!(place.post("/v1/refresh", None, here.refresh()).await.status, 200);
    place.sign_in("ann", PASSWORD).await.refused(401, "unauthenticated");
    assert_eq!(place.sign_in("ann", "a new password").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_on_the_disk_of_an_embedded_store() {
    let place = Place::open(|_| {}).await;
    let local = "127.0.0.1:0".parse().unwrap();
    let config = embedded::prepare(place.folder.path(), local, local).unwrap();
    let file = config.database.embedded.clone().unwrap().file;
    let start = async || {
        let stop = CancellationToken::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        let store = loop {
            match SqliteStore::open(&file) {
                Ok(store) => break Arc::new(store),
                // Nobody has the store before this one any more, and it has not let go of its file yet.
                Err(OpenError::InUse(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        let gateway = serve::Gateway::start(config.clone(), "alone".into(), store.clone(), stop.clone()).await.unwrap();
        (gateway.address.to_string(), stop, store)
    };
    let (at, stop, store) = start().await;
    let addresses = chat_test_client::Addresses::new(vec![at.clone()]);
    let account = accounts::enter(&addresses, "ann", PASSWORD, Duration::from_secs(30)).await.unwrap();
    let fresh = accounts::refresh(&at, &account).await.unwrap();
    stop.cancel();
    let weak = Arc::downgrade(&store);
    drop(store);
    while weak.upgrade().is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (at, stop, _store) = start().await;
    let again = accounts::refresh(&at, &fresh).await.unwrap();
    assert_eq!(again.user.id, account.user.id);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_bounded_by_name_and_by_address() {
    let place = Place::open(|config| {
        config.http.rates.sign_in_per_name = Bucket { per_minute: 1, burst: 3 };
        config.http.rates.sign_in_per_address = Bucket { per_minute: 1, burst: 8 };
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let from = async |address: &str, name: &str, password: &str| {
        let headers = [("x-forwarded-for", address.to_owned())];
        place.call(Method::POST, "/v1/sign-in", &headers, &json!({ "name": name, "password": password })).await
    };
    place.sign_up("ann").await;
    // Guesses at one name from many addresses.
    for n in 0..3 {
        from(&format!("198.51.100.{n}"), "ann", "a wrong guess").await.refused(401, "unauthenticated");
    }
    let over = from("198.51.100.9", "ann", "a wrong guess").await;
    over.refused(429, "rate_limited");
    let wait = over.body["error"]["retry_after_ms"].as_u64().unwrap();
    assert!((1..=60_000).contains(&wait), "{wait}");
    from("198.51.100.9", "Ann ", PASSWORD).await.refused(429, "rate_limited");
    // Guesses at many names from one address.
    for n in 0..8 {
        from("203.0.113.1", &format!("nobody{n}"), "a wrong guess").await.refused(401, "unauthenticated");
    }
    from("203.0.113.1", "nobody8", "a wrong guess").await.refused(429, "rate_limited");
    from("203.0.113.2", "nobody8", "a wrong guess").await.refused(401, "unauthenticated");
    // A name in front of the address that the proxy wrote changes nothing.
    from("192.0.2.77, 203.0.113.1", "nobody9", "a wrong guess").await.refused(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_and_refreshes_are_bounded_and_retry_after_says_when() {
    let place = Place::open(|config| {
        config.http.rates.handshake_per_address = Bucket { per_minute: 60, burst: 2 };
        config.http.rates.refresh_per_user = Bucket { per_minute: 1, burst: 2 };
    })
    .await;
    let ann = place.sign_up("ann").await;
    let _sockets = [place.socket(ann.token()).await, place.socket(ann.token()).await];
    // An untrusted header is not believed: still the same address.
    let upgrade = [("x-forwarded-for", "198.51.100.1".to_owned())];
    place.call(Method::GET, "/v1/ws", &upgrade, &Value::Null).await.refused(429, "rate_limited");
    let mut last = ann;
    for _ in 0..2 {
        last = place.post("/v1/refresh", None, last.refresh()).await;
        assert_eq!(last.status, 200, "{}", last.body);
    }
    place.post("/v1/refresh", None, last.refresh()).await.refused(429, "rate_limited");
    // Forgeries are not counted against the user.
    place.post("/v1/refresh", None, json!({ "refresh_token": "ccr_forged" })).await.refused(401, "unauthenticated");
}
