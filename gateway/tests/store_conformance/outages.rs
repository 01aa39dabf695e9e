//! Shards that go away and come back.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chat_gateway::{
    model::MessageId,
    store::{Store, StoreError},
};

use crate::{
    cluster::Cluster,
    fixtures::{group_as, message, say, sign_up_as},
};

pub(crate) async fn a_shard_that_is_away_fails_only_its_rooms(cluster: &mut Cluster, store: &dyn Store) {
    let ann = sign_up_as(store, Cluster::user_on(0)).await;
    let rooms = [0, 1].map(Cluster::room_on);
    for room in rooms {
        group_as(store, room, std::slice::from_ref(&ann)).await;
        say(store, room, ann.id, "before").await.unwrap();
    }
    cluster.servers[1].crash();
    let started = Instant::now();
    let (lost, kept) = tokio::join!(say(store, rooms[1], ann.id, "gone"), async {
        let sent = say(store, rooms[0], ann.id, "here").await;
        (sent, started.elapsed())
    });
    assert!(kept.0.is_ok() && kept.1 < Duration::from_secs(2), "the other shard answers at once: {:?}", kept.1);
    let lost = lost.expect_err("the shard is away");
    assert!(matches!(&lost, StoreError::Unavailable { shard, .. } if shard == "b"), "{lost}");
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    let started = Instant::now();
    assert!(matches!(store.room(rooms[1], ann.id).await, Err(StoreError::Unavailable { .. })));
    let (list, complete) = store.user_rooms(ann.id).await.unwrap();
    assert_eq!((list.len(), complete), (1, false));
    assert_eq!(store.positions(&rooms).await.unwrap().len(), 1);
    assert!(store.claim_outbox(Duration::ZERO, 100).await.is_ok());
    // One that is asked for a connection would have been waited for.
    assert!(
        started.elapsed() < Duration::from_millis(1_500),
        "a shard known away fails at once: {:?}",
        started.elapsed()
    );
    let health = store.health().await;
    assert!(health[0].component.available && !health[1].component.available);
    assert_eq!(health[1].component.reason, "ConnectionRefused", "{}", health[1].component.message);
    crate::slots::a_shard_that_is_away_says_so(store).await;
    // A gateway that starts now serves what it can.
    let fresh = cluster.store();
    assert!(say(&fresh, rooms[0], ann.id, "fresh").await.is_ok());
    assert!(matches!(say(&fresh, rooms[1], ann.id, "gone").await, Err(StoreError::Unavailable { .. })));
    cluster.servers[1].resume();
    let started = Instant::now();
    for store in [store, &fresh] {
        while say(store, rooms[1], ann.id, "back").await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    println!("answering again {:?} after the server", started.elapsed());
}

pub(crate) async fn a_crash_under_load_loses_and_repeats_nothing(cluster: &mut Cluster, store: Arc<dyn Store>) {
    let ann = sign_up_as(&*store, Cluster::user_on(0)).await;
    let room = group_as(&*store, Cluster::room_on(1), std::slice::from_ref(&ann)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..8)
        .map(|_| {
            let (store, stop, user) = (store.clone(), stop.clone(), ann.id);
            tokio::spawn(async move {
                let mut acknowledged: Vec<(MessageId, i64)> = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let new = message(room, user, "load");
                    // As a client does: the same message again until it is acknowledged.
                    let sent = loop {
                        match store.send(new.clone()).await {
                            Ok(sent) => break sent,
                            Err(StoreError::Unavailable { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                            Err(other) => panic!("{other}"),
                        }
                    };
                    acknowledged.push((new.message_id, sent.message.seq));
                }
                acknowledged
            })
        })
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        cluster.servers[1].crash();
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.servers[1].resume();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = HashSet::new();
    for sender in senders {
        acknowledged.extend(sender.await.unwrap());
    }
    let mut stored = Vec::new();
    loop {
        let page = store.replay(room, stored.len() as i64, 1000).await.unwrap().messages;
        if page.is_empty() {
            break;
        }
        stored.extend(page);
    }
    assert!(stored.iter().map(|m| m.seq).eq(1..=stored.len() as i64), "no gap");
    let stored: HashSet<_> = stored.iter().map(|m| (m.message_id, m.seq)).collect();
    assert_eq!(stored, acknowledged, "exactly what was acknowledged");
    println!("{} messages through three crashes", stored.len());
}
