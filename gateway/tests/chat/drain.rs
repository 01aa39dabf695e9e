//! A gateway that stops asks its clients to move, and loses nothing.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chat_gateway::hub::Whom;
use tokio::time::Instant;

use crate::world::World;

#[tokio::test(start_paused = true)]
async fn clients_move_and_resume_while_people_chat() {
    let world = World::new(2);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(1, "ada").await;
    let room = ada.group(&["bob"]).await;
    let mut bob = world.client(0, "bob").await;
    ada.send(&room, "before").await;
    bob.messages(&room, 0, 1).await;
    let hub = Arc::clone(&world.gateways[0].hub);
    world.gateways[0].services.entrance.drain();
    let draining = tokio::spawn(async move { hub.drain(Duration::from_secs(10)).await });
    let reconnect = bob.event("reconnect").await;
    assert!(reconnect["after_ms"].as_u64().unwrap() <= 1_000);
    assert_eq!(reconnect["reason"], "drain");
    ada.send(&room, "during").await;
    // The old socket still delivers until it is closed.
    bob.messages(&room, 1, 1).await;
    let mut moved = world.socket(1);
    moved.hello("bob", &[(&room, 2)]).await;
    drop(bob);
    draining.await.unwrap();
    ada.send(&room, "after").await;
    assert_eq!(moved.messages(&room, 2, 1).await, ["after"]);
}

#[tokio::test(start_paused = true)]
async fn some_are_asked_to_move_nobody_twice_and_who_stays_is_closed() {
    let world = World::new(1);
    let mut clients = Vec::new();
    for nth in 0..5 {
        let name = format!("user{nth}");
        world.user(&name).await;
        clients.push(world.client(0, &name).await);
    }
    let hub = &world.gateways[0].hub;
    let begin = Instant::now();
    assert_eq!(hub.move_clients(2, Duration::from_secs(4), Whom::Anybody), 2);
    assert_eq!(hub.move_clients(2, Duration::from_secs(4), Whom::Anybody), 2);
    assert_eq!(hub.move_clients(9, Duration::from_secs(4), Whom::Anybody), 1, "the last one");
    assert_eq!(hub.move_clients(9, Duration::from_secs(4), Whom::Anybody), 0, "all were asked");
    for client in &mut clients {
        let reconnect = client.event("reconnect").await;
        assert!(reconnect["after_ms"].as_u64().unwrap() <= 4_000, "{reconnect}");
    }
    for client in &mut clients {
        let end = async { while client.frame_within(Duration::from_secs(60)).await.is_ok() {} };
        end.await;
    }
    assert_eq!(begin.elapsed().as_secs(), 34, "four seconds for the turns, thirty to move");
}

#[tokio::test(start_paused = true)]
async fn a_cordoned_gateway_keeps_its_clients_and_takes_no_new_ones() {
    let world = World::new(1);
    for name in ["ada", "bob"] {
        world.user(name).await;
    }
    let mut ada = world.client(0, "ada").await;
    let room = ada.group(&["bob"]).await;
    let services = &world.gateways[0].services;
    services.entrance.cordon(true);
    assert!(services.entrance.turns_away());
    ada.send(&room, "goes on").await;
    // Who came through the door before it was shut is asked to go on at once.
    let mut late = world.client(0, "bob").await;
    assert_eq!(late.event("reconnect").await["reason"], "drain");
    services.entrance.cordon(false);
    assert!(!services.entrance.turns_away());
}

#[tokio::test(start_paused = true)]
async fn reconnects_are_paced_and_the_rest_is_closed_with_1012() {
    let world = World::new(1);
    let mut clients = Vec::new();
    for nth in 0..200 {
        let name = format!("user{nth}");
        world.user(&name).await;
        clients.push(world.client(0, &name).await);
    }
    let begin = Instant::now();
    let waits = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            client.event("reconnect").await;
            (begin.elapsed(), client.closed().await)
        })
    });
    let waits = futures::future::join_all(waits);
    let (ends, ()) = tokio::join!(waits, world.gateways[0].hub.drain(Duration::from_secs(10)));
    let mut asked: Vec<_> = ends.into_iter().map(|end| end.unwrap()).collect();
    asked.sort();
    assert!(asked.iter().all(|(_, code)| *code == 1012), "{asked:?}");
    assert!(asked[199].0 >= Duration::from_secs(4) && asked[199].0 < Duration::from_secs(6), "{asked:?}");
    assert_eq!(world.gateways[0].services.counters.connections.load(Ordering::Relaxed), 0);
}

/// Two gateways that end at the same time know nothing of each other; the operator knows what all of them move.
async fn first_asked(orders: bool) -> Duration {
    let world = World::new(1);
    world.user("ada").await;
    let mut ada = world.client(0, "ada").await;
    let (hub, services) = (Arc::clone(&world.gateways[0].hub), &world.gateways[0].services);
    services.entrance.drain();
    let begin = Instant::now();
    let draining = tokio::spawn(async move { hub.drain(Duration::from_secs(100)).await });
    let waiting = tokio::spawn(async move {
        while ada.frame_within(Duration::from_secs(90)).await.unwrap()["type"] != "reconnect" {}
        begin.elapsed()
    });
    for second in 0..80 {
        services.entrance.hear();
        if orders && second % 10 == 5 {
            services.entrance.order();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let first = waiting.await.unwrap();
    draining.await.unwrap();
    first
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_ends_leaves_its_clients_to_an_operator_that_orders() {
    let ordered = first_asked(true).await.as_secs();
    assert!((50..=52).contains(&ordered), "half of the time is the operator's: {ordered} s");
    let silent = first_asked(false).await.as_secs();
    assert!((20..=22).contains(&silent), "it asks and orders nothing: {silent} s");
}
