//! Fences and moves, made by hand as a mover would make them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chat_gateway::{
    live::ShardsFolder,
    model::Content,
    store::{Page, Store, StoreError, View, postgres::PostgresStore},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::{
    cluster::{Cluster, SLOTS},
    fixtures::{entry, group_as, message, place, say, sign_up, sign_up_as},
    requests::request,
};

/// Changes a slot's row under the exclusive lock.
pub(crate) async fn set(connection: &mut PgConnection, slot: i32, change: &str) {
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock($1, $2)")
        .bind(chat_shards::SLOT_LOCK_CLASS)
        .bind(slot)
        .execute(&mut *transaction)
        .await
        .unwrap();
    let sql = format!("update chat.slot_ownership set {change} where slot = {slot}");
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
    transaction.commit().await.unwrap();
}

pub(crate) const OWNED: &str = "state = 'owned', peer = null, move_id = null, fence_until = null, timeline = null, \
    since = null, own_timeline = null";
/// What every row in transit to shard b has.
pub(crate) const TRANSIT: &str = "peer = 'b', move_id = gen_random_uuid(), timeline = chat._timeline(), since = 1";
const FENCE_1_S: &str = "state = 'fenced', peer = 'b', move_id = gen_random_uuid(), since = 1, \
    fence_until = clock_timestamp() + interval '1 s', timeline = chat._timeline()";

pub(crate) async fn logged(connection: &mut PgConnection, slot: i32) -> Vec<String> {
    sqlx::query_scalar("select kind || key::text from chat.slot_changes where slot = $1 order by n")
        .bind(slot)
        .fetch_all(connection)
        .await
        .unwrap()
}

pub(crate) async fn a_fence_holds_writers_and_lapses(cluster: &Cluster, store: &dyn Store) {
    let ann = sign_up(store).await;
    let room = group_as(store, Cluster::room_on(0), std::slice::from_ref(&ann)).await;
    let slot = chat_shards::slot_of(room.0, SLOTS);
    let mut admin = cluster.admin(0).await;
    assert!(logged(&mut admin, slot).await.is_empty(), "nothing is logged while nothing moves");
    set(&mut admin, slot, FENCE_1_S).await;
    let started = Instant::now();
    // Reads go on during the fence.
    assert_eq!(store.room(room, ann.id).await.unwrap().last_seq, 0);
    assert!(store.history(room, ann.id, Page::Newest, View::Log, 5).await.is_ok());
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    let sent = say(store, room, ann.id, "through the fence").await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(900), "the fence held for {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(4), "the fence lapsed after {:?}", started.elapsed());
    assert_eq!(sent.message.seq, 1);
    store.mark(room, ann.id, Some(1), None).await.unwrap();
    store.finish_outbox(&[sent.events[0].key]).await.unwrap();
    let outbox = format!("outbox[\"{}\"]", sent.events[0].key.id);
    let expected = [
        format!("room[\"{room}\"]"),
        format!("message[\"{room}\", 1]"),
        outbox.clone(),
        format!("member[\"{room}\", \"{}\"]", ann.id),
        outbox,
    ];
    assert_eq!(logged(&mut admin, slot).await, expected, "a lapsed fence is a migrating slot: keys are logged");
    set(&mut admin, slot, OWNED).await;
    sqlx::query("delete from chat.slot_changes").execute(&mut admin).await.unwrap();
}

/// A mover that missed a key would leave an old text, or a reaction, behind.
pub(crate) async fn every_row_that_a_change_touches_is_logged(cluster: &Cluster, store: &dyn Store) {
    let ann = sign_up(store).await;
    let room = group_as(store, Cluster::room_on(0), std::slice::from_ref(&ann)).await;
    let slot = chat_shards::slot_of(room.0, SLOTS);
    say(store, room, ann.id, "text").await.unwrap();
    let mut admin = cluster.admin(0).await;
    set(&mut admin, slot, &format!("state = 'migrating', {TRANSIT}")).await;
    let emoji = "👍".to_owned();
    let contents = [
        Content::Edit { target: 1, body: "first".to_owned() },
        Content::Edit { target: 1, body: "second".to_owned() },
        Content::React { target: 1, emoji: emoji.clone() },
        Content::Unreact { target: 1, emoji: emoji.clone() },
        Content::React { target: 1, emoji: emoji.clone() },
    ];
    for content in contents {
        store.send(entry(room, ann.id, content)).await.unwrap();
    }
    let idle = entry(room, ann.id, Content::React { target: 1, emoji: emoji.clone() });
    assert!(store.send(idle.clone()).await.unwrap().duplicate);
    store.send(entry(room, ann.id, Content::Delete { target: 1 })).await.unwrap();
    let answer = format!("answer[\"{room}\", \"{}\"]", idle.message_id);
    let mute = request();
    store.mute(room, ann.id, None, mute).await.unwrap();
    store.mute(room, ann.id, None, mute).await.unwrap();
    let reaction = format!("reaction[\"{room}\", 1, \"{}\", \"{emoji}\"]", ann.id);
    let message = |seq: i64| format!("message[\"{room}\", {seq}]");
    let member = format!("member[\"{room}\", \"{}\"]", ann.id);
    let mute = format!("request[\"{room}\", \"{}\", \"{}\"]", ann.id, mute.unwrap());
    let room = format!("room[\"{room}\"]");
    let expected = [
        [message(1), room.clone(), message(2)].to_vec(),
        [message(1), message(2), room.clone(), message(3)].to_vec(),
        [reaction.clone(), room.clone(), message(4)].to_vec(),
        [reaction.clone(), room.clone(), message(5)].to_vec(),
        [reaction.clone(), room.clone(), message(6)].to_vec(),
        [answer].to_vec(),
        [message(1), message(3), reaction, room, message(7)].to_vec(),
        [member, mute].to_vec(),
    ];
    let logged: Vec<String> =
        logged(&mut admin, slot).await.into_iter().filter(|key| !key.starts_with("outbox")).collect();
    assert_eq!(logged, expected.concat());
    set(&mut admin, slot, OWNED).await;
    sqlx::query("delete from chat.slot_changes").execute(&mut admin).await.unwrap();
}

pub(crate) async fn a_fence_of_another_timeline_does_not_lapse(cluster: &Cluster, store: &dyn Store) {
    let ann = sign_up(store).await;
    let room = group_as(store, Cluster::room_on(0), std::slice::from_ref(&ann)).await;
    let slot = chat_shards::slot_of(room.0, SLOTS);
    let mut admin = cluster.admin(0).await;
    let fence = "state = 'fenced', peer = 'b', move_id = gen_random_uuid(), since = 1, fence_until = 'epoch', \
        timeline = '0000FFFF'";
    set(&mut admin, slot, fence).await;
    let started = Instant::now();
    let refused = say(store, room, ann.id, "lost?").await.expect_err("fenced");
    assert!(matches!(&refused, StoreError::Unavailable { shard, .. } if shard == "a"), "{refused}");
    let waited = started.elapsed();
    assert!(Duration::from_millis(1_900) < waited && waited < Duration::from_millis(2_500), "{waited:?}");
    set(&mut admin, slot, OWNED).await;
    assert!(say(store, room, ann.id, "after all").await.is_ok());
}

/// The trap that the guard's two statements avoid: reading the state as it was before the wait for the lock.
pub(crate) async fn a_writer_that_waited_sees_what_the_mover_decided(cluster: &Cluster, store: Arc<dyn Store>) {
    let ann = sign_up(&*store).await;
    let room = group_as(&*store, Cluster::room_on(0), std::slice::from_ref(&ann)).await;
    let slot = chat_shards::slot_of(room.0, SLOTS);
    let mut admin = cluster.admin(0).await;
    let mut mover = admin.begin().await.unwrap();
    let lock = format!("select pg_advisory_xact_lock({}, {slot})", chat_shards::SLOT_LOCK_CLASS);
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *mover).await.unwrap();
    let fence = "fence_until = clock_timestamp() + interval '1 hour'";
    let fence = format!("update chat.slot_ownership set state = 'fenced', {TRANSIT}, {fence} where slot = {slot}");
    sqlx::raw_sql(AssertSqlSafe(fence)).execute(&mut *mover).await.unwrap();
    let sending = {
        let (store, user) = (store.clone(), ann.id);
        tokio::spawn(async move { say(&*store, room, user, "waited").await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    mover.commit().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!sending.is_finished(), "the fence was seen");
    assert_eq!(store.room(room, ann.id).await.unwrap().last_seq, 0);
    set(&mut admin, slot, OWNED).await;
    assert_eq!(sending.await.unwrap().unwrap().message.seq, 1);
}

/// Copies every row of a slot.
async fn copy(from: &mut PgConnection, to: &mut PgConnection, slot: i32) {
    for table in [
        "rooms",
        "members",
        "messages",
        "reactions",
        "answers",
        "requests",
        "outbox",
        "users",
        "user_rooms",
        "sessions",
    ] {
        let read = format!("select coalesce(jsonb_agg(t), '[]') from chat.{table} t where slot = {slot}");
        let rows: serde_json::Value = sqlx::query_scalar(AssertSqlSafe(read)).fetch_one(&mut *from).await.unwrap();
        let write = format!("insert into chat.{table} select * from jsonb_populate_recordset(null::chat.{table}, $1)");
        sqlx::query(AssertSqlSafe(write)).bind(rows).execute(&mut *to).await.unwrap();
    }
}

/// A gateway may hear of a new shard from a refusal before its list of shards does.
pub(crate) async fn a_shard_that_is_not_known_yet_is_waited_for(cluster: &Cluster, store: &dyn Store) {
    let (mut source, mut destination) = (cluster.admin(0).await, cluster.admin(1).await);
    // The case before has moved one of them.
    let owned: Vec<i32> =
        sqlx::query_scalar("select slot from chat.slot_ownership where state = 'owned' and slot < 32")
            .fetch_all(&mut source)
            .await
            .unwrap();
    let mut rooms = std::iter::repeat_with(|| Cluster::room_on(0));
    let room = rooms.find(|room| owned.contains(&chat_shards::slot_of(room.0, SLOTS))).expect("endless");
    let slot = chat_shards::slot_of(room.0, SLOTS);
    let mut people = std::iter::repeat_with(|| Cluster::user_on(0));
    let user = people.find(|user| owned.contains(&chat_shards::slot_of(user.0, SLOTS))).expect("endless");
    let ann = sign_up_as(store, user).await;
    group_as(store, room, std::slice::from_ref(&ann)).await;
    let folder = tempfile::tempdir().unwrap();
    let uri = |index: usize| std::fs::read(&cluster.config.database.shards[index].uri_file).unwrap();
    std::fs::write(folder.path().join("a"), uri(0)).unwrap();
    let follower =
        PostgresStore::start_following(&cluster.config, ShardsFolder::open(folder.path().to_owned()).unwrap());
    say(&follower, room, ann.id, "before the move").await.unwrap();
    let arrived = "insert into chat.slot_ownership (slot, shard, epoch, state) values ($1, 'b', 2, 'owned')";
    sqlx::query(arrived).bind(slot).execute(&mut destination).await.unwrap();
    copy(&mut source, &mut destination, slot).await;
    set(&mut source, slot, &format!("state = 'moved', epoch = 2, {TRANSIT}")).await;
    let started = Instant::now();
    let refused = say(&follower, room, ann.id, "to nobody").await;
    assert!(matches!(&refused, Err(StoreError::Unavailable { cause, .. }) if cause.contains("shard b")), "{refused:?}");
    assert!(started.elapsed() >= Duration::from_secs(2), "not at once: {:?}", started.elapsed());
    std::fs::write(folder.path().join("b"), uri(1)).unwrap();
    while say(&follower, room, ann.id, "there it is").await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(follower.health().await.len(), 2);
    // Back, for the cases that count slots.
    sqlx::query("delete from chat.slot_ownership where slot = $1").bind(slot).execute(&mut destination).await.unwrap();
    set(&mut source, slot, &format!("epoch = 3, {OWNED}")).await;
}

pub(crate) async fn a_moved_slot_is_followed(cluster: &Cluster, store: Arc<dyn Store>) {
    let room = Cluster::room_on(0);
    let slot = chat_shards::slot_of(room.0, SLOTS);
    let ann = sign_up_as(&*store, Cluster::user_on(1)).await;
    group_as(&*store, room, std::slice::from_ref(&ann)).await;
    let first = message(room, ann.id, "before the move");
    store.send(first.clone()).await.unwrap();
    let added = request();
    store.add_member(room, ann.id, ann.clone(), added).await.unwrap();
    let (mut source, mut destination) = (cluster.admin(0).await, cluster.admin(1).await);
    let id = Uuid::now_v7();
    // Since it began to arrive, a standby was promoted there: somebody has to look at the rows, and no gateway opens the slot.
    let importing = "insert into chat.slot_ownership (slot, shard, epoch, state, peer, move_id, timeline, since, own_timeline) \
        values ($1, 'b', 2, 'importing', 'a', $2, chat._timeline(), 1, '00000000')";
    sqlx::query(importing).bind(slot).bind(id).execute(&mut destination).await.unwrap();
    copy(&mut source, &mut destination, slot).await;
    let moved = format!("state = 'moved', epoch = 2, {}", TRANSIT.replace("gen_random_uuid()", &format!("'{id}'")));
    set(&mut source, slot, &moved).await;
    // The hand-over is committed and not yet followed: writers and readers wait for it.
    let waiting = [first.clone(), message(room, ann.id, "during the move")].map(|new| {
        let store = store.clone();
        tokio::spawn(async move { store.send(new).await })
    });
    let reading = {
        let (store, user) = (store.clone(), ann.id);
        tokio::spawn(async move { store.history(room, user, Page::Newest, View::Log, 10).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(waiting.iter().all(|task| !task.is_finished()) && !reading.is_finished());
    set(&mut destination, slot, OWNED).await;
    let [repeat, next] = waiting;
    let (repeat, next) = (repeat.await.unwrap().unwrap(), next.await.unwrap().unwrap());
    assert_eq!((repeat.message.seq, repeat.duplicate), (1, true), "the repeat is recognised at the new owner");
    assert_eq!((next.message.seq, next.duplicate), (2, false));
    assert!(!reading.await.unwrap().unwrap().messages.is_empty());
    assert!(
        matches!(store.remove_member(room, ann.id, ann.id, added).await, Err(StoreError::RequestIdReused)),
        "so is a request"
    );
    // A gateway that starts now, and one whose directory is old, both find everything.
    let fresh = cluster.store();
    let (rooms, complete) = fresh.user_rooms(ann.id).await.unwrap();
    assert!(complete && rooms.len() == 1 && rooms[0].last_seq == 2);
    assert_eq!(store.positions(&[room]).await.unwrap(), [place(room, 2)]);
    let direct = say(&fresh, room, ann.id, "after the move").await.unwrap();
    assert_eq!(direct.message.seq, 3);
    let owned: Vec<u32> = store.health().await.iter().map(|s| s.slots).collect();
    assert_eq!(owned, [31, 33]);
}
