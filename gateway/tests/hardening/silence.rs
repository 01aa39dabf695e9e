//! Clients that vanish without a word, or do not answer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    MINUTE,
    place::{Place, impatient},
    raw::Raw,
    support::eventually,
};

/// A line between a client and a gateway that can be cut: both ends stay open, and nothing passes any more, as when a telephone is in a tunnel.
async fn line(to: &str, cut: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let to = to.to_owned();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(&to).await.unwrap();
            let ((near_from, near_to), (far_from, far_to)) = (near.into_split(), far.into_split());
            tokio::spawn(pass(near_from, far_to, Arc::clone(&cut)));
            tokio::spawn(pass(far_from, near_to, Arc::clone(&cut)));
        }
    });
    at
}

async fn pass(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, cut: Arc<AtomicBool>) {
    let mut bytes = [0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if cut.load(Relaxed) {
            // Held, not closed.
            std::future::pending::<()>().await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

async fn connections(place: &Place) -> u64 {
    let token = std::fs::read_to_string(&place.config.admin_token_file).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let stats = crate::raw::call(&place.admin, "GET", "/stats", &[("authorization", &bearer)], b"").await;
    stats.json()["connections"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_vanished_is_noticed_and_its_presence_ends() {
    let place = Place::open_with(|config| config.http.timeouts = impatient()).await;
    let (ann, bob) = (place.sign_up("ann").await, place.sign_up("bob").await);
    let cut = Arc::new(AtomicBool::new(false));
    let mut far = Raw::open(&line(&place.at, Arc::clone(&cut)).await).await;
    far.hello(&ann.token).await;
    let room = far.group(&["bob"], "").await;
    // Lively until then: it answers pings.
    let alive = tokio::spawn(async move { while far.frame_answered().await {} });
    let mut near = place.connect(&bob).await;
    let state = async |near: &mut Raw| {
        near.ask(json!({ "type": "presence", "users": [ann.id] })).await["users"][0]["state"].clone()
    };
    assert_eq!(state(&mut near).await, "online");
    assert_eq!(connections(&place).await, 2);
    cut.store(true, Relaxed);
    let gone = async {
        loop {
            let event = near.event("presence").await;
            if (&event["user"], &event["state"]) == (&json!(ann.id), &json!("offline")) {
                break;
            }
        }
    };
    tokio::time::timeout(MINUTE, gone).await.expect("the others are not told that ann is gone");
    assert_eq!(state(&mut near).await, "offline");
    eventually("its place is free", MINUTE, async || connections(&place).await == 1).await;
    assert!(near.say(&room, "are you there?").await > 0);
    assert!(!alive.is_finished(), "nobody told the one behind the line");
    alive.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_pings_or_says_nothing_at_all_is_closed_with_its_code() {
    let place = Place::open_with(|config| config.http.timeouts = impatient()).await;
    let ann = place.sign_up("ann").await;
    let mut silent = place.connect(&ann).await;
    assert_eq!(silent.closed().await, 4408, "pings without an answer");
    assert_eq!(place.socket().await.closed().await, 4408, "no hello");
    // The times that a client is told are those that count.
    let mut lively = place.socket().await;
    let welcome: Value = lively.ask(json!({ "type": "hello", "token": ann.token })).await;
    assert_eq!(welcome["ping_seconds"], 1);
    // The other door says it in its own words.
    let (_, stream) = Raw::knock(&place.at, "/connection/websocket", &[]).await;
    assert_eq!(Raw::over(stream).closed().await, 3012, "no connect");
}
