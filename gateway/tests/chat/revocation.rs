//! A session that was ended loses its connections, on every gateway, whatever happens to the event that says so.

use std::{sync::Arc, time::Duration};

use chat_gateway::{
    model::{SessionId, User},
    store::sessions::{NewSession, SessionStore},
};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    client::Client,
    faulty::Faults,
    world::{World, limits},
};

const ENDED: u16 = 4410;

async fn session(world: &World, user: &User) -> SessionId {
    let id = SessionId(Uuid::now_v7());
    let day = Duration::from_secs(86_400);
    let new = NewSession { user: user.id, id, token_hash: [1; 32], idle: day, life: day, user_agent: String::new() };
    world.store.create_session(new).await.unwrap();
    id
}

async fn client(world: &World, gateway: usize, user: &User, session: SessionId) -> Client {
    world.client(gateway, &format!("{session}:{}", user.name)).await
}

#[tokio::test]
async fn its_connections_close_on_all_gateways_and_no_others() {
    let world = World::new(4);
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    let (gone, kept) = (session(&world, &ann).await, session(&world, &ann).await);
    let others = session(&world, &bob).await;
    let (mut closing, mut staying) = (Vec::new(), Vec::new());
    for gateway in 0..4 {
        closing.push(client(&world, gateway, &ann, gone).await);
        staying.push(client(&world, gateway, &ann, kept).await);
        staying.push(client(&world, gateway, &bob, others).await);
        // A token that was signed elsewhere belongs to no session here.
        staying.push(world.client(gateway, "ann").await);
    }
    let begin = Instant::now();
    assert!(world.store.end_session(ann.id, gone).await.unwrap());
    world.gateways[0].hub.sessions_ended(ann.id).await;
    for client in &mut closing {
        assert_eq!(client.closed().await, ENDED);
    }
    println!("4 connections on 4 gateways were closed {:?} after the end of their session", begin.elapsed());
    for client in &mut staying {
        assert_eq!(client.ask(json!({ "type": "ping" })).await["type"], "pong");
    }
    let mut late = world.socket(2);
    let refused = late.ask(json!({ "type": "hello", "token": format!("{gone}:ann") })).await;
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("unauthenticated")), "{refused}");
    assert_eq!(late.closed().await, ENDED);
}

/// What is promised wherever the store answers.
const PROMISED: Duration = Duration::from_secs(2);

/// Waits for the close; pings are answered meanwhile, while the client reads.
async fn closed_within(client: &mut Client, limit: Duration, begin: Instant) {
    let reading = tokio::time::timeout(4 * limit, client.closed());
    assert_eq!(reading.await.expect("it closes"), ENDED);
    assert!(begin.elapsed() <= limit, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_broker_loses_costs_less_than_two_seconds() {
    let faults = Faults { lost: 100, ..Faults::default() };
    let world = World::with(3, faults, limits());
    let ann = world.user("ann").await;
    // Again and again, at different moments between two questions to the store.
    for round in 0..8 {
        tokio::time::sleep(Duration::from_millis(137 * round)).await;
        let (gone, kept) = (session(&world, &ann).await, session(&world, &ann).await);
        let mut clients = [client(&world, 0, &ann, gone).await, client(&world, 1, &ann, gone).await];
        let mut stays = client(&world, 2, &ann, kept).await;
        world.store.end_session(ann.id, gone).await.unwrap();
        let begin = Instant::now();
        world.gateways[2].hub.sessions_ended(ann.id).await;
        for client in &mut clients {
            closed_within(client, PROMISED, begin).await;
        }
        assert_eq!(stays.ask(json!({ "type": "ping" })).await["type"], "pong");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_costs_less_than_two_seconds() {
    let world = World::new(2);
    let ann = world.user("ann").await;
    world.exchange.stop();
    for round in 0..8 {
        tokio::time::sleep(Duration::from_millis(911 * round)).await;
        let gone = session(&world, &ann).await;
        let mut there = client(&world, 1, &ann, gone).await;
        world.store.end_session(ann.id, gone).await.unwrap();
        let begin = Instant::now();
        world.gateways[0].hub.sessions_ended(ann.id).await;
        closed_within(&mut there, PROMISED, begin).await;
    }
    // Nobody says anything at all, as when a gateway dies between its commit and the word.
    let gone = session(&world, &ann).await;
    let mut there = client(&world, 1, &ann, gone).await;
    let begin = Instant::now();
    world.store.end_session(ann.id, gone).await.unwrap();
    closed_within(&mut there, PROMISED, begin).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_while_the_store_was_away_for_long_is_found_when_it_is_back() {
    let world = World::with(2, Faults { lost: 100, ..Faults::default() }, limits());
    let ann = world.user("ann").await;
    // Shorter and longer than the store may be trusted to remember what happened meanwhile.
    for away in [5, 40] {
        let gone = session(&world, &ann).await;
        let mut there = client(&world, 1, &ann, gone).await;
        world.store.end_session(ann.id, gone).await.unwrap();
        world.store.set_away(true);
        tokio::time::sleep(Duration::from_secs(away)).await;
        let begin = Instant::now();
        world.store.set_away(false);
        closed_within(&mut there, PROMISED, begin).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_asked_again() {
    let world = World::new(2);
    let ann = world.user("ann").await;
    let gone = session(&world, &ann).await;
    let mut there = client(&world, 1, &ann, gone).await;
    world.store.end_session(ann.id, gone).await.unwrap();
    world.store.set_away(true);
    world.gateways[0].hub.sessions_ended(ann.id).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let store = Arc::clone(&world.store);
    let back = Instant::now();
    store.set_away(false);
    assert_eq!(there.closed().await, ENDED);
    assert!(back.elapsed() <= Duration::from_secs(2), "{:?}", back.elapsed());
}
