//! The Centrifuge door as a connection: who gets in, what a frame may hold, and how it ends.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use crate::{
    centrifuge::{door, people},
    centrifuge_client::error,
    world::World,
};

#[tokio::test]
async fn connect_says_who_and_how_long() {
    let world = World::new(1);
    people(&world, &["ada"]).await;
    let mut client = world.centrifuge(0).await;
    let connect = client.connect("ada").await;
    assert_eq!((&connect["ping"], &connect["pong"], &connect["expires"]), (&json!(25), &json!(true), &json!(true)));
    assert!((3_500..=3_570).contains(&connect["ttl"].as_u64().unwrap()), "a lead before the token ends: {connect}");
    assert_eq!(connect["data"]["user"]["name"], "ada");
    assert!(connect.get("subs").is_none(), "no subscriptions but those asked for");
}

#[tokio::test]
async fn bad_tokens_are_told_apart_and_repeats_of_connect_are_refused() {
    let world = World::new(1);
    people(&world, &["ada"]).await;
    let mut client = world.centrifuge(0).await;
    client.command(json!({ "connect": { "token": "no:such" } })).await;
    assert_eq!(client.frame().await, Err((3500, "invalid token".into())));
    let mut client = world.centrifuge(0).await;
    let reply = client.ask(json!({ "connect": { "token": "old:ada" } })).await;
    assert_eq!(error(&reply), 109);
    assert_eq!(client.closed().await.0, 3005);
    let mut client = world.centrifuge(0).await;
    client.command(json!({ "subscribe": { "channel": "room:x" } })).await;
    client.command(json!({ "publish": {} })).await;
    client.command(json!({ "history": { "channel": format!("room:{}", Uuid::now_v7()) } })).await;
    assert_eq!(client.closed().await.0, 3500, "nothing before connect");
    let mut client = door(&world, 0, "ada").await;
    assert_eq!(error(&client.ask(json!({ "connect": { "token": "ada" } })).await), 107);
}

#[tokio::test]
async fn many_commands_in_one_frame_are_all_carried_out_in_order() {
    let world = World::new(1);
    people(&world, &["ada"]).await;
    let room = world.client(0, "ada").await.group(&[]).await;
    let channel = format!("room:{room}");
    let mut ada = world.centrifuge(0).await;
    let mut lines = vec![
        json!({ "id": 1, "connect": { "token": "ada" } }).to_string(),
        json!({ "id": 2, "subscribe": { "channel": channel } }).to_string(),
    ];
    let publish = |nth: u64| json!({ "publish": { "channel": channel, "data": { "body": format!("m{nth}") } } });
    for nth in 0..200_u64 {
        let mut command = publish(nth);
        command["id"] = json!(nth + 3);
        lines.push(command.to_string());
        // Pongs among them say nothing.
        lines.push("{}".into());
    }
    ada.raw(Message::text(lines.join("\n"))).await;
    let bodies = ada.publications(&channel, 0, 200).await;
    assert_eq!(bodies, (0..200).map(|nth| format!("m{nth}")).collect::<Vec<_>>());
    let replies = ada.pushes.iter().filter(|reply| reply.get("publish").is_some()).count();
    assert!(replies >= 199, "each is answered: {replies}");
}

#[tokio::test]
async fn a_new_token_keeps_the_connection_and_none_ends_it() {
    let world = World::new(1);
    people(&world, &["ada", "bob"]).await;
    let mut kept = world.centrifuge(0).await;
    assert_eq!(kept.connect("soon:ada").await["ttl"], json!(1));
    let mut ended = door(&world, 0, "soon:ada").await;
    assert_eq!(error(&kept.ask(json!({ "refresh": { "token": "bob" } })).await), 101);
    assert_eq!(error(&kept.ask(json!({ "refresh": { "token": "old:ada" } })).await), 109);
    let renewed = kept.ask(json!({ "refresh": { "token": "ada" } })).await;
    assert_eq!(renewed["refresh"]["expires"], json!(true), "{renewed}");
    assert_eq!(ended.closed().await, (3005, "connection expired".into()));
    assert!(kept.ask(json!({ "rpc": { "method": "ping" } })).await["rpc"].is_object());
}

#[tokio::test]
async fn what_is_no_command_closes_with_a_code_that_says_so() {
    let world = World::new(1);
    people(&world, &["ada"]).await;
    let frames = [
        Message::text("no json"),
        Message::text(r#"{"id":1,"publish":{"channel":5}}"#),
        Message::text(r#"{"id":-1,"ping":{}}"#),
        Message::text(r#"{"publish":{"channel":"room:x","data":{}}}"#),
        Message::binary(vec![0]),
    ];
    for frame in frames {
        let mut client = door(&world, 0, "ada").await;
        client.raw(frame.clone()).await;
        assert_eq!(client.closed().await, (3501, "bad request".into()), "{frame:?}");
    }
    let mut client = door(&world, 0, "ada").await;
    client.raw(Message::text(" ".repeat(65 * 1024))).await;
    assert_eq!(client.closed().await.0, 1009);
    let closed = world.gateways[0].services.counters.closed.counts();
    assert!(closed.contains(&("3501", 5)), "{closed:?}");
}

#[tokio::test(start_paused = true)]
async fn pings_are_empty_replies_and_silence_ends_the_connection() {
    let world = World::new(1);
    people(&world, &["ada"]).await;
    let mut lively = door(&world, 0, "ada").await;
    for _ in 0..5 {
        assert_eq!(lively.frame().await, Ok(json!({})), "a ping");
        lively.raw(Message::text("{}")).await;
    }
    assert_eq!(lively.closed().await, (3012, "no pong".into()));
}

#[tokio::test]
async fn a_drain_closes_with_the_code_to_connect_again() {
    let world = World::new(2);
    people(&world, &["ada"]).await;
    let mut ada = door(&world, 0, "ada").await;
    let gateway = &world.gateways[0];
    gateway.services.entrance.drain();
    gateway.hub.drain(Duration::from_millis(200)).await;
    assert_eq!(ada.closed().await, (3001, "shutdown".into()));
}

#[tokio::test]
async fn a_drain_answers_what_it_carried_out() {
    let world = World::new(2);
    people(&world, &["ada"]).await;
    let mut chat = world.client(1, "ada").await;
    let room = chat.group(&[]).await;
    let mut ada = door(&world, 0, "ada").await;
    let publish = json!({ "publish": { "channel": format!("room:{room}"), "data": { "body": "x" } } });
    let lines: Vec<_> = (100..400_u64)
        .map(|id| {
            let mut command = publish.clone();
            command["id"] = json!(id);
            command.to_string()
        })
        .collect();
    ada.raw(Message::text(lines.join("\n"))).await;
    assert_eq!(ada.reply(100).await["publish"], json!({}));
    let gateway = &world.gateways[0];
    gateway.services.entrance.drain();
    let drain = gateway.hub.drain(Duration::from_secs(60));
    let mut answered = 1;
    let read = async {
        loop {
            match ada.frame().await {
                Ok(reply) => answered += u64::from(reply["publish"].is_object()),
                Err((code, _)) => return code,
            }
        }
    };
    let ((), code) = tokio::join!(drain, read);
    assert_eq!(code, 3001);
    let newest = chat.ask(json!({ "type": "history", "room": room, "limit": 1 })).await;
    assert_eq!((&newest["last_seq"], answered), (&json!(300), 300), "none is cut off in the middle");
}
