//! Rooms of the operator's probe are kept short, and no others.

use chat_gateway::{
    model::{RoomId, Seq, User},
    store::{OutboxKey, Page, Store, View},
};

use crate::{
    cluster::{Cluster, SLOTS},
    fixtures::{group, group_as, people, say, sign_up},
    moves::{OWNED, TRANSIT, logged, set},
};

/// The seqs that a room has.
async fn seqs(store: &dyn Store, room: RoomId, user: &User) -> Vec<Seq> {
    let page = store.history(room, user.id, Page::Newest, View::Log, 100).await.unwrap();
    page.messages.iter().map(|message| message.seq).collect()
}

/// Says so much, all of it relayed; returns the keys.
async fn talk(store: &dyn Store, room: RoomId, user: &User, messages: usize) -> Vec<OutboxKey> {
    let mut keys = Vec::new();
    for number in 0..messages {
        keys.push(say(store, room, user.id, &number.to_string()).await.unwrap().events[0].key);
    }
    keys
}

pub(crate) async fn only_a_room_of_one_loses_what_is_old(store: &dyn Store) {
    let [ann, bob] = people(store).await;
    let (alone, both) = (group(store, std::slice::from_ref(&ann)).await, group(store, &[ann.clone(), bob]).await);
    for room in [alone, both] {
        let keys = talk(store, room, &ann, 6).await;
        store.finish_outbox(&keys).await.unwrap();
        store.trim(room, 4).await.unwrap();
        store.trim(room, 4).await.unwrap();
    }
    assert_eq!(seqs(store, alone, &ann).await, [3, 4, 5, 6]);
    assert_eq!(seqs(store, both, &ann).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(say(store, alone, ann.id, "next").await.unwrap().message.seq, 7, "numbers go on");
}

pub(crate) async fn what_is_removed_is_logged_and_what_is_not_relayed_stays(cluster: &Cluster, store: &dyn Store) {
    let ann = sign_up(store).await;
    let room = group_as(store, Cluster::room_on(0), std::slice::from_ref(&ann)).await;
    let slot = chat_shards::slot_of(room.0, SLOTS);
    let keys = talk(store, room, &ann, 4).await;
    store.finish_outbox(&keys[1..]).await.unwrap();
    let mut admin = cluster.admin(0).await;
    set(&mut admin, slot, &format!("state = 'migrating', {TRANSIT}")).await;
    store.trim(room, 1).await.unwrap();
    let mut removed = logged(&mut admin, slot).await;
    removed.sort_unstable();
    assert_eq!(removed, [format!("message[\"{room}\", 2]"), format!("message[\"{room}\", 3]")]);
    assert_eq!(seqs(store, room, &ann).await, [1, 4], "somebody must hear of the first one yet");
    set(&mut admin, slot, OWNED).await;
    sqlx::query("delete from chat.slot_changes").execute(&mut admin).await.unwrap();
}
