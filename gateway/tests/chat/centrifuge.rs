//! The Centrifuge door: the same rooms, rules and guarantees, said in other words.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use crate::{
    centrifuge_client::{Centrifuge, error},
    faulty::Faults,
    world::{World, limits},
};

pub(crate) async fn door(world: &World, gateway: usize, name: &str) -> Centrifuge {
    let mut client = world.centrifuge(gateway).await;
    client.connect(name).await;
    client
}

pub(crate) async fn people(world: &World, names: &[&str]) {
    for name in names {
        world.user(name).await;
    }
}

#[tokio::test]
async fn both_doors_see_one_log_in_one_order() {
    let world = World::new(2);
    people(&world, &["ada", "bob"]).await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    let channel = format!("room:{room}");
    let mut bob = door(&world, 1, "bob").await;
    let subscribed = bob.subscribe(&channel).await;
    assert_eq!(
        subscribed["subscribe"],
        json!({ "recoverable": true, "positioned": true, "epoch": "log", "offset": 0 })
    );
    ada.send(&room, "from ada").await;
    let published = bob.ask(json!({ "publish": { "channel": channel, "data": { "body": "from bob" } } })).await;
    assert_eq!(published["publish"], json!({}));
    assert_eq!(bob.publications(&channel, 0, 2).await, ["from ada", "from bob"]);
    assert_eq!(ada.messages(&room, 0, 2).await, ["from ada", "from bob"]);
    // Entries that change a text are entries like any other.
    let edit = json!({ "room": room, "message_id": Uuid::now_v7(), "target": 2, "body": "from Bob" });
    let edited = bob.ask(json!({ "rpc": { "method": "edit", "data": edit } })).await;
    assert_eq!((&edited["rpc"]["data"]["type"], &edited["rpc"]["data"]["seq"]), (&json!("sent"), &json!(3)));
    let push = bob.push("pub").await;
    assert_eq!((&push["pub"]["offset"], &push["pub"]["data"]["kind"]), (&json!(3), &json!("edit")));
    assert!(edited["rpc"]["data"].get("re").is_none());
}

#[tokio::test]
async fn a_message_id_makes_a_publish_idempotent_and_its_absence_does_not() {
    let world = World::new(1);
    people(&world, &["ada"]).await;
    let room = world.client(0, "ada").await.group(&[]).await;
    let channel = format!("room:{room}");
    let mut ada = door(&world, 0, "ada").await;
    ada.subscribe(&channel).await;
    let once = json!({ "publish": { "channel": channel, "data": { "body": "once", "message_id": Uuid::now_v7() } } });
    let twice = json!({ "publish": { "channel": channel, "data": { "body": "twice" } } });
    for command in [&once, &once, &twice, &twice] {
        assert_eq!(ada.ask(command.clone()).await["publish"], json!({}));
    }
    assert_eq!(ada.publications(&channel, 0, 3).await, ["once", "twice", "twice"]);
    for (data, code) in [
        (json!({ "body": 5 }), 107),
        (json!("text"), 107),
        (json!({}), 107),
        (json!({ "body": "x".repeat(9_000) }), 106),
        (json!({ "body": "x", "message_id": Uuid::new_v4() }), 107),
    ] {
        let refused = ada.ask(json!({ "publish": { "channel": channel, "data": data } })).await;
        assert_eq!(error(&refused), code, "{refused}");
    }
}

#[tokio::test]
async fn only_members_get_in_and_only_what_was_asked_for_comes() {
    let world = World::new(1);
    people(&world, &["ada", "eve"]).await;
    let mut ada = world.client(0, "ada").await;
    let (one, two) = (ada.group(&[]).await, ada.group(&[]).await);
    let channel = format!("room:{one}");
    let mut eve = door(&world, 0, "eve").await;
    for command in [
        json!({ "subscribe": { "channel": channel } }),
        json!({ "publish": { "channel": channel, "data": { "body": "x" } } }),
        json!({ "history": { "channel": channel, "limit": 1 } }),
        json!({ "presence": { "channel": channel } }),
        json!({ "presence_stats": { "channel": channel } }),
        json!({ "subscribe": { "channel": format!("room:{}", Uuid::now_v7()) } }),
    ] {
        let reply = eve.ask(command.clone()).await;
        assert_eq!(error(&reply), 103, "{command}: {reply}");
    }
    for name in ["room:", "news", &one, &format!("room:{}", one.to_uppercase())] {
        assert_eq!(error(&eve.subscribe(name).await), 102, "{name}");
    }
    let mut mine = door(&world, 0, "ada").await;
    mine.subscribe(&channel).await;
    assert_eq!(error(&mine.subscribe(&channel).await), 105);
    ada.send(&two, "not asked for").await;
    ada.send(&one, "asked for").await;
    assert_eq!(mine.publications(&channel, 0, 1).await, ["asked for"]);
    assert_eq!(mine.ask(json!({ "unsubscribe": { "channel": channel } })).await["unsubscribe"], json!({}));
    ada.send(&one, "no longer").await;
    // The answer comes after anything that would have been delivered before it.
    assert!(mine.ask(json!({ "rpc": { "method": "ping" } })).await["rpc"].is_object());
    assert!(!mine.pushes.iter().any(|push| push["push"].get("pub").is_some()), "{:?}", mine.pushes);
    let again = mine.subscribe(&channel).await;
    assert_eq!(again["subscribe"]["offset"], json!(2));
}

#[tokio::test]
async fn recovers_on_another_gateway_or_says_plainly_that_it_cannot() {
    let world = World::new(2);
    people(&world, &["ada", "bob"]).await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    let channel = format!("room:{room}");
    ada.fill(&room, 0, 1_050).await;
    let recover = |offset: u64, epoch: &str, flag: u64| json!({ "subscribe": { "channel": channel, "recover": true, "offset": offset, "epoch": epoch, "flag": flag } });
    let mut near = door(&world, 1, "bob").await;
    let reply = near.ask(recover(1_000, "log", 0)).await["subscribe"].clone();
    assert_eq!((&reply["recovered"], &reply["was_recovering"]), (&json!(true), &json!(true)), "{reply}");
    assert_eq!(reply["offset"], json!(1_000), "publications go on from where the client stands");
    assert_eq!(near.publications(&channel, 1_000, 50).await.len(), 50);
    for (offset, epoch) in [(10, "log"), (2_000, "log"), (1_000, "_"), (u64::MAX, "log")] {
        let mut far = door(&world, 1, "bob").await;
        let reply = far.ask(recover(offset, epoch, 0)).await["subscribe"].clone();
        assert!(reply.get("recovered").is_none() && reply["was_recovering"] == json!(true), "{reply}");
        assert_eq!(reply["offset"], json!(1_050), "{reply}");
        let mut strict = door(&world, 1, "bob").await;
        assert_eq!(error(&strict.ask(recover(offset, epoch, 3)).await), 112);
        assert!(strict.subscribe(&channel).await["subscribe"].is_object(), "a refused one leaves nothing behind");
    }
    ada.send(&room, "live").await;
    assert_eq!(near.publications(&channel, 1_050, 1).await, ["live"]);
}

#[tokio::test]
async fn subscriptions_amid_a_stream_lose_and_repeat_nothing() {
    let world = World::with(2, Faults { lost: 20, repeated: 20, delayed: 20 }, limits());
    people(&world, &["ada", "bob"]).await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    let channel = format!("room:{room}");
    let talk = {
        let room = room.clone();
        tokio::spawn(async move {
            for _ in 0..300 {
                ada.send(&room, "during").await;
            }
        })
    };
    let mut seen = 0;
    while seen < 300 {
        let mut bob = door(&world, 1, "bob").await;
        let reply =
            bob.ask(json!({ "subscribe": { "channel": channel, "recover": true, "offset": seen, "epoch": "log" } }));
        assert_eq!(reply.await["subscribe"]["recovered"], json!(true));
        let count = 40.min(300 - seen);
        bob.publications(&channel, seen, count).await;
        seen += count;
    }
    talk.await.unwrap();
}

#[tokio::test]
async fn history_goes_both_ways_from_anywhere() {
    let world = World::new(1);
    people(&world, &["ada"]).await;
    let mut chat = world.client(0, "ada").await;
    let room = chat.group(&[]).await;
    for nth in 1..=10 {
        chat.send(&room, &format!("m{nth}")).await;
    }
    let channel = format!("room:{room}");
    let mut ada = door(&world, 0, "ada").await;
    for (fields, offsets) in [
        (json!({ "limit": 3 }), vec![1, 2, 3]),
        (json!({ "limit": 3, "reverse": true }), vec![10, 9, 8]),
        (json!({ "limit": 2, "since": { "offset": 4, "epoch": "log" } }), vec![5, 6]),
        (json!({ "limit": 2, "reverse": true, "since": { "offset": 4, "epoch": "log" } }), vec![3, 2]),
        (json!({ "limit": -1 }), (1..=10).collect()),
        (json!({}), vec![]),
    ] {
        let mut wanted = fields.clone();
        wanted["channel"] = json!(channel);
        let history = ada.ask(json!({ "history": wanted })).await["history"].clone();
        let found: Vec<u64> =
            history["publications"].as_array().unwrap().iter().map(|p| p["offset"].as_u64().unwrap()).collect();
        assert_eq!(found, offsets, "{fields}");
        assert_eq!((&history["offset"], &history["epoch"]), (&json!(10), &json!("log")));
    }
    let since = |offset: i64, epoch: &str| json!({ "history": { "channel": channel, "reverse": true, "since": { "offset": offset, "epoch": epoch } } });
    assert_eq!(error(&ada.ask(since(5, "other")).await), 112);
    assert_eq!(error(&ada.ask(since(0, "log")).await), 107);
}

#[tokio::test]
async fn presence_lists_members_who_are_there_by_either_door() {
    let world = World::new(2);
    people(&world, &["ada", "bob", "eve"]).await;
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob", "eve"]).await;
    let bob = door(&world, 1, "bob").await;
    let online = ada.event("presence").await;
    assert_eq!(online["state"], "online", "who comes by this door is announced like anybody");
    let mut asking = door(&world, 1, "bob").await;
    let channel = format!("room:{room}");
    let presence = asking.ask(json!({ "presence": { "channel": channel } })).await["presence"]["presence"].clone();
    let mut names: Vec<_> =
        presence.as_object().unwrap().values().map(|info| info["conn_info"]["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ada", "bob"]);
    let stats = asking.ask(json!({ "presence_stats": { "channel": channel } })).await;
    assert_eq!(stats["presence_stats"], json!({ "num_clients": 2, "num_users": 2 }));
    drop((bob, asking));
    assert_eq!(ada.event("presence").await["state"], "offline");
}

#[tokio::test]
async fn other_events_come_beside_the_channels() {
    let world = World::new(1);
    people(&world, &["ada", "bob", "eve"]).await;
    let mut ada = world.client(0, "ada").await;
    let mut bob = door(&world, 0, "bob").await;
    let room = ada.group(&["bob"]).await;
    let channel = format!("room:{room}");
    assert_eq!(bob.event("room_added").await["room"]["id"], json!(room));
    bob.subscribe(&channel).await;
    ada.ask(json!({ "type": "typing_start", "room": room })).await;
    assert_eq!(bob.event("typing").await["name"], "ada");
    bob.raw(Message::text(json!({ "send": { "data": { "type": "typing_start", "room": room } } }).to_string())).await;
    assert_eq!(ada.event("typing").await["name"], "bob");
    ada.ask(json!({ "type": "add_member", "room": room, "member": "eve" })).await;
    assert_eq!(bob.event("member_added").await["name"], "eve");
    ada.ask(json!({ "type": "remove_member", "room": room, "member": "bob" })).await;
    let push = bob.push("unsubscribe").await;
    assert_eq!((&push["channel"], &push["unsubscribe"]["code"]), (&json!(channel), &json!(2000)));
    assert_eq!(error(&bob.subscribe(&channel).await), 103);
}

#[tokio::test]
async fn everything_else_is_a_procedure() {
    let world = World::new(1);
    people(&world, &["ada", "bob"]).await;
    let mut ada = door(&world, 0, "ada").await;
    let create = json!({ "method": "create_room", "data": { "kind": "direct", "members": ["bob"] } });
    let created = ada.ask(json!({ "rpc": create })).await["rpc"]["data"].clone();
    assert_eq!((&created["type"], &created["created"]), (&json!("room"), &json!(true)));
    let rooms = ada.ask(json!({ "rpc": { "method": "rooms" } })).await;
    assert_eq!(rooms["rpc"]["data"]["rooms"][0]["id"], created["room"]["id"]);
    let channel = format!("room:{}", created["room"]["id"].as_str().unwrap());
    assert!(ada.subscribe(&channel).await["subscribe"].is_object(), "making a room does not follow it");
    for (rpc, code) in [
        (json!({ "method": "no_such" }), 104),
        (json!({ "method": "subscribe", "data": { "room": created["room"]["id"] } }), 104),
        (json!({ "method": "hello", "data": { "token": "ada" } }), 107),
        (json!({ "method": "members", "data": [] }), 107),
        (json!({ "method": "create_room", "data": { "kind": "direct", "members": ["nobody"] } }), 404),
    ] {
        let reply = ada.ask(json!({ "rpc": rpc })).await;
        assert_eq!(error(&reply), code, "{rpc}: {reply}");
    }
    assert_eq!(error(&ada.ask(json!({ "sub_refresh": { "channel": channel } })).await), 104);
    assert_eq!(error(&ada.ask(json!({ "command_of_the_future": {} })).await), 104);
}

#[tokio::test]
async fn the_room_limit_is_that_of_the_other_door() {
    let few = chat_gateway_config::Limits { rooms_per_connection: 2, ..limits() };
    let world = World::with(1, Faults::default(), few);
    people(&world, &["ada", "bob"]).await;
    let mut ada = door(&world, 0, "ada").await;
    let mut channels = Vec::new();
    for _ in 0..2 {
        let created = ada.ask(json!({ "rpc": create("t", &[]) })).await;
        channels.push(format!("room:{}", created["rpc"]["data"]["room"]["id"].as_str().unwrap()));
    }
    assert_eq!(error(&ada.ask(json!({ "rpc": create("one too many", &[]) })).await), 106);
    // Others may add to them; what is followed at once is bounded all the same.
    channels.push(format!("room:{}", world.client(0, "bob").await.group(&["ada"]).await));
    let mut codes = Vec::new();
    for channel in &channels {
        codes.push(error(&ada.subscribe(channel).await));
    }
    assert_eq!(codes, [0, 0, 106]);
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_that_of_the_other_door() {
    let slow = chat_gateway_config::Limits { messages_per_second: 1, message_burst: 2, ..limits() };
    let world = World::with(1, Faults::default(), slow);
    people(&world, &["ada", "bob"]).await;
    let refused = |reply: &serde_json::Value| (reply["error"]["code"].clone(), reply["error"]["temporary"].clone());
    for name in ["ada", "bob"] {
        let mut person = door(&world, 0, name).await;
        let created = person.ask(json!({ "rpc": create("t", &[]) })).await;
        let channel = format!("room:{}", created["rpc"]["data"]["room"]["id"].as_str().unwrap());
        let publish = json!({ "publish": { "channel": channel, "data": { "body": "x" } } });
        assert_eq!(error(&person.ask(publish.clone()).await), 0);
        let third = if name == "ada" { publish } else { json!({ "rpc": create("third", &[]) }) };
        assert_eq!(refused(&person.ask(third).await), (json!(111), json!(true)), "{name}");
    }
}

#[tokio::test]
async fn repeated_calls_get_the_first_answer() {
    let world = World::with(2, Faults::default(), limits());
    people(&world, &["ada", "bob"]).await;
    let mut create = create("once", &["bob"]);
    create["data"]["request_id"] = json!(uuid::Uuid::now_v7());
    let first = door(&world, 0, "ada").await.ask(json!({ "rpc": create })).await;
    let mut ada = door(&world, 1, "ada").await;
    let again = ada.ask(json!({ "rpc": create })).await;
    assert_eq!(again["rpc"], first["rpc"]);
    assert_eq!(again["rpc"]["data"]["created"], true);
    create["data"]["title"] = json!("twice");
    assert_eq!(error(&ada.ask(json!({ "rpc": create })).await), 409);
}

fn create(title: &str, members: &[&str]) -> serde_json::Value {
    json!({ "method": "create_room", "data": { "kind": "group", "title": title, "members": members } })
}
