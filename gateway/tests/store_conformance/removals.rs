//! What says up to which removal somebody must be known to be a member.

use std::{sync::Arc, time::Duration};

use chat_gateway::{
    model::{Content, RoomId, User, UserId},
    store::{OutboxEvent, Place, Replay, Standing, Store, StoredEvent, removals::Removal},
};
use futures::future::join_all;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::{
    cluster::{Cluster, SLOTS},
    fixtures::{entry, group, group_as, say, sign_up, sign_up_as},
    moves::{OWNED, TRANSIT},
};

async fn people(store: &dyn Store) -> [User; 3] {
    [sign_up(store).await, sign_up(store).await, sign_up(store).await]
}

/// The removal that stands beside the entry of an event.
fn beside(event: &OutboxEvent) -> i64 {
    let StoredEvent::Message { removal, .. } = &event.event else { panic!("{event:?}") };
    *removal
}

async fn put(store: &dyn Store, room: RoomId, user: UserId, content: Content) -> i64 {
    beside(&store.send(entry(room, user, content)).await.unwrap().events[0])
}

async fn standing(store: &dyn Store, room: RoomId, users: &[UserId]) -> Standing {
    let mut found = store.standing(room, users).await.unwrap();
    found.members.sort();
    found
}

pub(crate) async fn every_entry_and_every_read_says_the_newest_removal(store: Arc<dyn Store>) {
    let store = &*store;
    let [ann, bob, eve] = people(store).await;
    let room = group(store, &[ann.clone(), bob.clone(), eve.clone()]).await;
    let everyone = [ann.id, bob.id, eve.id, UserId(Uuid::now_v7())];
    assert_eq!(put(store, room, ann.id, Content::text("before")).await, 0);
    assert_eq!(standing(store, room, &everyone).await, Standing { version: 3, members: vec![ann.id, bob.id, eve.id] });
    store.remove_member(room, ann.id, bob.id, None).await.unwrap();
    assert_eq!(put(store, room, ann.id, Content::text("after")).await, 4);
    let together = (0..20).map(|_| put(store, room, eve.id, Content::text("together")));
    assert_eq!(join_all(together).await, [4; 20]);
    assert_eq!(put(store, room, ann.id, Content::React { target: 1, emoji: "👍".into() }).await, 4);
    assert_eq!(put(store, room, ann.id, Content::Edit { target: 1, body: "edited".into() }).await, 4);
    assert_eq!(standing(store, room, &everyone).await, Standing { version: 4, members: vec![ann.id, eve.id] });
    assert_eq!(store.positions(&[room]).await.unwrap(), [Place { room, last_seq: 24, removal: 4 }]);
    let page = store.replay(room, 22, 10).await.unwrap();
    assert_eq!((page.messages.len(), page.removal), (2, 4));
    assert_eq!(store.replay(room, 24, 10).await.unwrap(), Replay { messages: Vec::new(), removal: 4 });

    // Who comes back is a member at a later version, and nobody was removed by that or by a new role.
    let added = store.add_member(room, ann.id, bob.clone(), None).await.unwrap();
    store.apply_membership(&added.events[0].event).await.unwrap();
    store.set_role(room, ann.id, eve.id, chat_gateway::model::Role::Admin, None).await.unwrap();
    assert_eq!(put(store, room, bob.id, Content::text("back")).await, 4);
    assert_eq!(store.room(room, bob.id).await.unwrap().member_version, 6);
    let listed = store.user_rooms(bob.id).await.unwrap().0;
    assert_eq!(listed.iter().map(|listed| (listed.id, listed.member_version)).collect::<Vec<_>>(), [(room, 6)]);
    // The owner's departure makes two changes, and only the first removes somebody.
    store.remove_member(room, ann.id, ann.id, None).await.unwrap();
    assert_eq!(put(store, room, bob.id, Content::text("without ann")).await, 7);
    assert_eq!(standing(store, room, &everyone).await, Standing { version: 8, members: vec![bob.id, eve.id] });
    assert_eq!(standing(store, RoomId(Uuid::now_v7()), &everyone).await, Standing { version: 0, members: Vec::new() });

    // What a crash left tells no less than it did then.
    let left = store.claim_outbox(Duration::ZERO, 10_000).await.unwrap();
    let of_room = |event: &&OutboxEvent| matches!(&event.event, StoredEvent::Message { message, .. } if message.room == room && message.seq > 1);
    let removals: Vec<i64> = left.iter().filter(of_room).map(beside).collect();
    assert_eq!(removals.len(), 25);
    assert!(removals.iter().all(|removal| *removal >= 4), "{removals:?}");
    store.finish_outbox(&left.iter().map(|event| event.key).collect::<Vec<_>>()).await.unwrap();
}

pub(crate) async fn removals_are_told_since_a_mark(store: Arc<dyn Store>) {
    let [ann, bob, eve] = people(&*store).await;
    let room = group(&*store, &[ann.clone(), bob.clone(), eve.clone()]).await;
    let parts = store.ended_parts();
    let mut marks = vec![None; parts.len()];
    let mut news = async || {
        let mut told: Vec<Removal> = Vec::new();
        loop {
            let before = told.len();
            for (&part, mark) in parts.iter().zip(&mut marks) {
                let ended = store.ended_since(part, *mark).await.unwrap();
                assert!(mark.is_some() || ended.removals.is_empty(), "nothing without a mark");
                *mark = Some(ended.mark);
                told.extend(ended.removals.into_iter().filter(|removal| removal.room == room));
            }
            // Something is told again while an older transaction runs, such as one of the server itself.
            if told.len() == before {
                told.sort();
                told.dedup();
                return told;
            }
        }
    };
    news().await;
    say(&*store, room, ann.id, "nobody goes").await.unwrap();
    assert!(news().await.is_empty());
    store.remove_member(room, ann.id, bob.id, None).await.unwrap();
    let first = Removal { room, user: bob.id, version: 4 };
    assert_eq!(news().await, [first]);
    store.remove_member(room, ann.id, bob.id, None).await.unwrap();
    assert!(news().await.is_empty(), "there was nobody to remove");
    store.add_member(room, ann.id, bob.clone(), None).await.unwrap();
    assert!(news().await.is_empty(), "nobody went");
    store.remove_member(room, eve.id, eve.id, None).await.unwrap();
    store.remove_member(room, ann.id, bob.id, None).await.unwrap();
    let mut both = [Removal { room, user: eve.id, version: 6 }, Removal { room, user: bob.id, version: 7 }];
    both.sort();
    assert_eq!(news().await, both);
}

/// Who waited for a removal to be committed has to say so: what was there when its own statement began does not count.
pub(crate) async fn entries_that_waited_for_a_removal_know_of_it(cluster: &Cluster, store: &Arc<dyn Store>) {
    let ann = sign_up(&**store).await;
    let room = Cluster::room_on(0);
    let slot = chat_shards::slot_of(room.0, SLOTS);
    let bob = sign_up(&**store).await;
    group_as(&**store, room, &[ann.clone(), bob.clone()]).await;
    say(&**store, room, ann.id, "first").await.unwrap();
    let mut gateway = cluster.gateway(0).await;
    for (round, together) in [1, 10].into_iter().enumerate() {
        let mut removal = sqlx::Connection::begin(&mut gateway).await.unwrap();
        let version: i64 = sqlx::query_scalar("select chat.remove_member($1, $2, $3, $4, gen_random_uuid())")
            .bind(slot)
            .bind(room.0)
            .bind(ann.id.0)
            .bind(bob.id.0)
            .fetch_one(&mut *removal)
            .await
            .unwrap();
        let sends: Vec<_> = (0..together)
            .map(|n| {
                let (store, ann) = (Arc::clone(store), ann.id);
                tokio::spawn(async move { say(&*store, room, ann, &format!("waits {n}")).await.unwrap() })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(sends.iter().all(|send| !send.is_finished()), "they wait");
        removal.commit().await.unwrap();
        for sent in join_all(sends).await {
            assert_eq!(beside(&sent.unwrap().events[0]), version, "round {round}");
        }
        store.add_member(room, ann.id, bob.clone(), None).await.unwrap();
    }
}

/// A mover that clears a slot away removes nobody, and the memory of removals does not grow.
pub(crate) async fn only_removals_are_remembered_and_not_for_ever(cluster: &Cluster, store: &dyn Store) {
    let (ann, bob) = (sign_up_as(store, Cluster::user_on(0)).await, sign_up(store).await);
    let (room, cleared) = (Cluster::room_on(0), Cluster::room_on(0));
    for id in [room, cleared] {
        group_as(store, id, &[ann.clone(), bob.clone()]).await;
    }
    let slot = chat_shards::slot_of(cleared.0, SLOTS);
    let mut admin = cluster.admin(0).await;
    let run = async |admin: &mut sqlx::PgConnection, sql: String| {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(admin).await.unwrap();
    };
    let mark = store.ended_since(0, None).await.unwrap().mark;
    let moved = format!("state = 'moved', {TRANSIT}");
    run(&mut admin, format!("update chat.slot_ownership set {moved} where slot = {slot}")).await;
    run(&mut admin, format!("delete from chat.members where room_id = '{cleared}'")).await;
    run(&mut admin, format!("update chat.slot_ownership set {OWNED} where slot = {slot}")).await;
    let told = store.ended_since(0, Some(mark)).await.unwrap().removals;
    assert!(told.iter().all(|removal| removal.room != cleared), "{told:?}");
    let old = "insert into chat.removals (xid, room_id, user_id, version, at)
        select 3, gen_random_uuid(), gen_random_uuid(), 1, 'epoch' from generate_series(1, 50)";
    run(&mut admin, old.to_owned()).await;
    for _ in 0..10 {
        store.remove_member(room, ann.id, bob.id, None).await.unwrap();
        store.add_member(room, ann.id, bob.clone(), None).await.unwrap();
    }
    let left: i64 =
        sqlx::query_scalar("select count(*) from chat.removals where at < clock_timestamp() - interval '1 minute'")
            .fetch_one(&mut admin)
            .await
            .unwrap();
    assert_eq!(left, 0);
}
