//! A gateway that stops asks its clients to move, and loses nothing.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

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
    world.gateways[0].services.draining.store(true, Ordering::Relaxed);
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
async fn reconnects_are_paced_and_the_rest_is_closed_with_1012() {
    let world = World::new(1);
    let mut clients = Vec::new();
    for nth in 0..10 {
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
    assert!(asked[9].0 >= Duration::from_secs(4) && asked[9].0 < Duration::from_secs(6), "{asked:?}");
    assert_eq!(world.gateways[0].services.counters.connections.load(Ordering::Relaxed), 0);
}
