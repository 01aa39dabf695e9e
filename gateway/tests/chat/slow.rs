//! A client that does not read harms only itself.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn sheds_ephemera_first_and_then_closes_with_4503() {
    let world = World::new(1);
    for name in ["ada", "bob", "cid"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let mut bob = world.client(0, "bob").await;
    let mut cid = world.client(0, "cid").await;
    let room = ada.group(&["bob", "cid"]).await;
    for client in [&mut bob, &mut cid] {
        client.event("room_added").await;
    }
    let counters = &world.gateways[0].services.counters;
    let body = "z".repeat(8_000);
    let mut sent = 0;
    // Bob does not read from here on.
    while counters.slow_closed.load(Ordering::Relaxed) == 0 {
        ada.send(&room, &body).await;
        cid.messages(&room, sent, 1).await;
        sent += 1;
        if sent % 10 == 0 {
            for kind in ["typing_start", "typing_stop"] {
                ada.ask(json!({ "type": kind, "room": room })).await;
            }
        }
        assert!(sent < 400, "never closed");
    }
    assert!(counters.shed.load(Ordering::Relaxed) > 0, "typing was shed before");
    assert!(sent > 120, "the queue held a megabyte: {sent}");
    assert_eq!(bob.closed().await, 4503);
    assert_eq!(counters.slow_closed.load(Ordering::Relaxed), 1);
    // The others noticed nothing, and Bob gets all of it after a resume.
    ada.send(&room, "on we go").await;
    cid.messages(&room, sent, 1).await;
    let mut bob = world.socket(0);
    bob.hello("bob", &[(&room, 0)]).await;
    bob.messages(&room, 0, sent + 1).await;
}

#[tokio::test(start_paused = true)]
async fn closes_who_gives_no_sign_of_life() {
    let world = World::new(1);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    // It is not even polled, so pings are not answered. The goodbye takes two seconds; this is within them.
    tokio::time::sleep(Duration::from_secs(52)).await;
    assert_eq!(ada.closed().await, 4408);
}

#[tokio::test(start_paused = true)]
async fn closes_who_does_not_say_hello() {
    let world = World::new(1);
    assert_eq!(world.socket(0).closed().await, 4408);
}
