//! A client that comes back goes on where it stood, on any gateway.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn resumes_on_another_gateway_any_number_of_times() {
    let world = World::new(3);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    for nth in 0..10 {
        ada.send(&room, &format!("m{nth}")).await;
    }
    for gateway in [1, 2, 1, 0] {
        let mut bob = world.socket(gateway);
        let welcome = bob.hello("bob", &[(&room, 4)]).await;
        assert_eq!(welcome["resumed"], json!([{ "room": room, "from": 4, "to": 10, "recovered": true }]));
        assert!(bob.events.is_empty(), "welcome comes first");
        assert_eq!(bob.messages(&room, 4, 6).await.len(), 6);
    }
}

#[tokio::test]
async fn a_replay_joins_the_live_stream_without_gap_or_repeat() {
    let world = World::new(2);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    ada.fill(&room, 0, 500).await;
    let talk = {
        let room = room.clone();
        tokio::spawn(async move {
            for _ in 0..300 {
                ada.send(&room, "during").await;
            }
            ada
        })
    };
    // Two at once, at different places.
    let mut near = world.socket(1);
    near.hello("bob", &[(&room, 450)]).await;
    let mut far = world.socket(1);
    far.hello("bob", &[(&room, 0)]).await;
    let near = async { near.messages(&room, 450, 350).await };
    let far = async { far.messages(&room, 0, 800).await };
    tokio::join!(near, far);
    talk.await.unwrap();
}

#[tokio::test]
async fn says_plainly_when_the_distance_is_too_great() {
    let world = World::new(1);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&[]).await;
    ada.fill(&room, 0, 1_002).await;
    let mut again = world.socket(0);
    let welcome = again.hello("ada", &[(&room, 1)]).await;
    assert_eq!(welcome["resumed"][0], json!({ "room": room, "from": 1, "to": 1_002, "recovered": false }));
    ada.send(&room, "live").await;
    assert_eq!(again.messages(&room, 1_002, 1).await, ["live"]);
    let page = again.ask(json!({ "type": "history", "room": room, "after": 1, "limit": 100 })).await;
    assert_eq!((page["messages"].as_array().unwrap().len(), &page["more"]), (100, &json!(true)));
}

#[tokio::test]
async fn a_replay_larger_than_the_queue_arrives_whole() {
    let world = World::new(2);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    let body = "y".repeat(8_000);
    for _ in 0..400 {
        ada.send(&room, &body).await;
    }
    let mut bob = world.socket(1);
    bob.hello("bob", &[(&room, 0)]).await;
    assert_eq!(bob.messages(&room, 0, 400).await.len(), 400);
    assert_eq!(world.gateways[1].services.counters.slow_closed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn rooms_that_were_not_named_start_live() {
    let world = World::new(1);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    ada.send(&room, "past").await;
    let mut bob = world.socket(0);
    let welcome = bob.hello("bob", &[]).await;
    assert_eq!((&welcome["rooms"][0]["last_seq"], &welcome["resumed"]), (&json!(1), &json!([])));
    ada.send(&room, "now").await;
    assert_eq!(bob.messages(&room, 1, 1).await, ["now"]);
}
