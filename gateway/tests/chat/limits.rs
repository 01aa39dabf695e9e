//! What a write costs, and what happens when there is nothing left to pay with. Time stands still where a bucket would fill up meanwhile.

use chat_gateway_config::{Bucket, Limits};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{Client, send},
    world::{World, config, limits},
};

fn refused(answer: &Value) {
    assert_eq!(answer["code"], "rate_limited", "{answer}");
    assert!(answer["retry_after_ms"].as_u64().is_some_and(|wait| (1..=1_000).contains(&wait)), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_write_costs_a_token() {
    let world = World::with(1, Default::default(), Limits { messages_per_second: 1, message_burst: 4, ..limits() });
    world.user("bob").await;
    let entry = |kind: &str, room: &str, more: Value| {
        let mut request = json!({ "type": kind, "room": room, "message_id": Uuid::now_v7() });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    for kind in [
        "create_room",
        "add_member",
        "remove_member",
        "set_role",
        "mute",
        "unmute",
        "send",
        "edit",
        "delete",
        "react",
        "unreact",
    ] {
        let name = format!("writer{}", kind.replace('_', "-"));
        world.user(&name).await;
        let mut writer = world.client(0, &name).await;
        let room = writer.group(&["bob"]).await;
        writer.send(&room, "text").await;
        let request = || match kind {
            "create_room" => json!({ "type": kind, "kind": "group", "members": [] }),
            "add_member" | "remove_member" => json!({ "type": kind, "room": room, "member": "bob" }),
            "set_role" => json!({ "type": kind, "room": room, "member": "bob", "role": "admin" }),
            "mute" | "unmute" => json!({ "type": kind, "room": room }),
            "send" => send(&room, "another"),
            "edit" => entry(kind, &room, json!({ "target": 1, "body": "better" })),
            "delete" => entry(kind, &room, json!({ "target": 1 })),
            _ => entry(kind, &room, json!({ "target": 1, "emoji": "x" })),
        };
        for token in [3, 4] {
            let answer = writer.ask(request()).await;
            assert_ne!(answer["code"], "rate_limited", "{kind} with token {token}");
        }
        refused(&writer.ask(request()).await);
        // Questions cost nothing.
        assert_eq!(writer.ask(json!({ "type": "rooms" })).await["type"], "rooms");
        assert_eq!(writer.ask(json!({ "type": "ping" })).await["type"], "pong");
    }
}

#[tokio::test(start_paused = true)]
async fn the_people_of_one_address_share_its_bucket() {
    let mut settings = config(limits());
    settings.http.rates.write_per_address = Bucket { per_minute: 60, burst: 3 };
    let world = World::configured(1, Default::default(), &settings);
    let mut people = Vec::new();
    for (name, address) in [("ada", [10, 0, 0, 1]), ("bob", [10, 0, 0, 1]), ("cid", [10, 0, 0, 2])] {
        world.user(name).await;
        let mut client = world.socket_from(0, address);
        client.hello(name, &[]).await;
        people.push(client);
    }
    let [ada, bob, cid] = &mut people[..] else { panic!("three people") };
    let room = ada.group(&["bob", "cid"]).await;
    ada.send(&room, "two").await;
    bob.send(&room, "three").await;
    refused(&bob.ask(send(&room, "four")).await);
    refused(&ada.ask(json!({ "type": "mute", "room": room })).await);
    cid.send(&room, "from elsewhere").await;
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    bob.send(&room, "a second later").await;
}

#[tokio::test(start_paused = true)]
async fn what_one_user_may_not_costs_the_others_of_the_address_nothing() {
    let mut settings = config(Limits { messages_per_second: 1, message_burst: 2, ..limits() });
    settings.http.rates.write_per_address = Bucket { per_minute: 60, burst: 4 };
    let world = World::configured(1, Default::default(), &settings);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let (mut ada, mut bob) = (world.client(0, "ada").await, world.client(0, "bob").await);
    let room = ada.group(&["bob"]).await;
    ada.send(&room, "her last").await;
    for _ in 0..10 {
        refused(&ada.ask(send(&room, "too much")).await);
    }
    for body in ["the third", "the fourth"] {
        bob.send(&room, body).await;
    }
}

/// Asks until it is refused; how often it was not.
async fn exhaust(client: &mut Client, request: &Value) -> u32 {
    for done in 0..10_000 {
        let answer = client.ask(request.clone()).await;
        if answer["type"] != "ok" {
            refused(&answer);
            return done;
        }
    }
    panic!("never refused");
}

#[tokio::test]
async fn marks_are_many_and_not_without_end_and_typing_over_them_is_told_to_nobody() {
    const NOTICES: usize = 600;
    let world = World::new(1);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let (mut ada, mut bob) = (world.client(0, "ada").await, world.client(0, "bob").await);
    let room = ada.group(&["bob"]).await;
    bob.event("room_added").await;
    ada.send(&room, "text").await;
    let done = exhaust(&mut ada, &json!({ "type": "delivered", "room": room, "seq": 1 })).await;
    assert!(done >= 1_000, "{done}");
    // Typing is answered all the same. A hundred a second come back meanwhile.
    for _ in 0..NOTICES / 100 {
        let mut asked = Vec::new();
        for nth in 0..100 {
            let kind = if nth % 2 == 0 { "typing_start" } else { "typing_stop" };
            asked.push(ada.request(json!({ "type": kind, "room": room })).await);
        }
        for id in asked {
            assert_eq!(ada.answer(id).await["type"], "ok");
        }
    }
    exhaust(&mut ada, &json!({ "type": "read", "room": room, "seq": 1 })).await;
    ada.send(&room, "messages have a bucket of their own").await;
    let mut told = 0;
    loop {
        let event = bob.frame().await.unwrap();
        told += usize::from(event["type"] == "typing");
        if event["message"]["seq"] == 2 {
            break;
        }
    }
    assert!(told < NOTICES / 2, "{told}");
    // The bucket is the connection's.
    let mut other = world.client(0, "ada").await;
    assert_eq!(other.ask(json!({ "type": "read", "room": room, "seq": 1 })).await["type"], "ok");
}
