//! What a crash leaves behind.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chat_gateway::store::{OutboxEvent, OutboxKey, Store, StoredEvent};

use crate::fixtures::{group, say, sign_up};

pub(crate) async fn what_was_not_finished_is_claimed_once_at_a_time(store: Arc<dyn Store>) {
    let ann = sign_up(&*store).await;
    // Several rooms, so that both shards have rows.
    let mut rooms = Vec::new();
    for _ in 0..6 {
        rooms.push(group(&*store, std::slice::from_ref(&ann)).await);
    }
    let mut keys = HashSet::new();
    for room in &rooms {
        for n in 0..5 {
            keys.insert(say(&*store, *room, ann.id, &n.to_string()).await.unwrap().events[0].key);
        }
    }
    let mine = |events: &[chat_gateway::store::OutboxEvent]| -> Vec<OutboxKey> {
        events.iter().map(|e| e.key).filter(|key| keys.contains(key)).collect()
    };
    assert!(mine(&store.claim_outbox(Duration::from_secs(60), 1000).await.unwrap()).is_empty(), "too young");
    assert!(store.claim_outbox(Duration::ZERO, 3).await.unwrap().len() <= 3);
    // The gateways sweep at the same time: nobody gets what another one has.
    let sweeps = futures::future::join_all((0..4).map(|_| store.claim_outbox(Duration::ZERO, 1000))).await;
    let claimed: Vec<OutboxKey> = sweeps.into_iter().flat_map(|events| mine(&events.unwrap())).collect();
    let distinct: HashSet<_> = claimed.iter().copied().collect();
    assert_eq!(claimed.len(), distinct.len(), "claimed twice");
    assert!(distinct.len() >= keys.len() - 3, "left behind");
    let all: Vec<_> = keys.iter().copied().collect();
    store.finish_outbox(&all).await.unwrap();
    store.finish_outbox(&all).await.unwrap();
    assert!(mine(&store.claim_outbox(Duration::ZERO, 1000).await.unwrap()).is_empty());
}

pub(crate) async fn events_survive_their_journey_through_the_store(store: Arc<dyn Store>) {
    let (ann, bob) = (sign_up(&*store).await, sign_up(&*store).await);
    let room = group(&*store, std::slice::from_ref(&ann)).await;
    let mut events = store.add_member(room, ann.id, bob.clone(), None).await.unwrap().events;
    events.extend(say(&*store, room, bob.id, "in the outbox").await.unwrap().events);
    events.extend(store.remove_member(room, ann.id, bob.id, None).await.unwrap().events);
    assert_eq!(events.len(), 3);
    // Which removal stands beside an entry may be a later one by then.
    let told = |mut event: OutboxEvent| {
        if let StoredEvent::Message { removal, .. } = &mut event.event {
            *removal = 0;
        }
        event
    };
    let claimed: Vec<_> = store.claim_outbox(Duration::ZERO, 10_000).await.unwrap().into_iter().map(told).collect();
    let order: Vec<_> = claimed.iter().filter(|e| events.contains(e)).collect();
    assert_eq!(order, events.iter().collect::<Vec<_>>(), "the same events, oldest first");
    store.finish_outbox(&events.iter().map(|e| e.key).collect::<Vec<_>>()).await.unwrap();
}
