//! Clients that speak the binary encoding against a gateway that runs as a program: the TypeScript client in Node.js, and the test client.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{path::Path, process::Stdio, time::Duration};

use chat_test_client::{Addresses, accounts, socket::Socket, wire::Body};
use serde_json::json;
use support::lone::{Lone, local, wait_ready};
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_client_says_the_same_in_both_encodings() {
    let dir = tempfile::tempdir().unwrap();
    let listen = local();
    let gateway = Lone::start(dir.path(), listen);
    wait_ready(gateway.admin, &gateway.log).await;
    let mut command = tokio::process::Command::new("node");
    // Before version 22 Node.js has a WebSocket for who asks.
    command.args(["--experimental-websocket", "--test", "tests/encoding.mjs"]);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("web"));
    command.env("CHAT_URL", format!("http://{listen}")).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(4 * MINUTE, command.output()).await.expect("the client's test did not end");
    let output = output.expect("Node.js 20.10 or newer is needed; on Debian: apt-get install nodejs npm");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{}: {said}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_the_test_client_speaks_it_too() {
    let dir = tempfile::tempdir().unwrap();
    let listen = local();
    let gateway = Lone::start(dir.path(), listen);
    wait_ready(gateway.admin, &gateway.log).await;
    let addresses = Addresses::new(vec![listen.to_string()]);
    let account = accounts::enter(&addresses, "ann", "a good password", MINUTE).await.unwrap();
    let mut socket = Socket::connect_cbor(&listen.to_string()).await.unwrap();
    socket.send(&json!({ "id": 1, "type": "hello", "token": account.token })).await.unwrap();
    let Body::Welcome(welcome) = socket.recv().await.unwrap().body else { panic!("no welcome") };
    assert_eq!(welcome.user.id, account.user.id);
    socket.send(&json!({ "id": 2, "type": "create_room", "kind": "group", "members": [] })).await.unwrap();
    let room = loop {
        if let Body::Room { room, created: true } = socket.recv().await.unwrap().body {
            break room.id;
        }
    };
    let message_id = Uuid::now_v7();
    let send = json!({ "id": 3, "type": "send", "room": room, "message_id": message_id, "body": "hello" });
    socket.send(&send).await.unwrap();
    let sent = loop {
        let inbound = socket.recv().await.unwrap();
        if let Body::Sent(sent) = inbound.body {
            assert_eq!(inbound.re, Some(3));
            break sent;
        }
    };
    assert_eq!((sent.room, sent.message_id, sent.seq), (room, message_id, 1));
    socket.close().await;
}
