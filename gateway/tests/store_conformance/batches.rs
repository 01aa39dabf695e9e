//! Texts that come together: each has its own outcome, as if it had come alone.

use std::{collections::HashSet, sync::Arc};

use chat_gateway::{
    model::{Content, RoomId, User},
    store::{NewMessage, Page, Sent, Store, StoreError, View},
};
use futures::future::join_all;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    cluster::{Cluster, SLOTS},
    fixtures::{entry, group, group_as, message, place, say, sign_up},
    moves::{OWNED, TRANSIT, logged, set},
};

/// Sends all at once.
async fn together(store: &Arc<dyn Store>, news: Vec<NewMessage>) -> Vec<Result<Sent, StoreError>> {
    let sends = news.into_iter().map(|new| {
        let store = store.clone();
        tokio::spawn(async move { store.send(new).await })
    });
    join_all(sends).await.into_iter().map(Result::unwrap).collect()
}

pub(crate) async fn a_crowd_in_many_rooms_is_answered_one_by_one(store: Arc<dyn Store>) {
    const ROOMS: usize = 24;
    const ROUNDS: usize = 4;
    let (ann, eve) = (sign_up(&*store).await, sign_up(&*store).await);
    let mut rooms = Vec::new();
    let mut firsts = Vec::new();
    for _ in 0..ROOMS {
        let room = group(&*store, std::slice::from_ref(&ann)).await;
        let first = message(room, ann.id, "first");
        store.send(first.clone()).await.unwrap();
        rooms.push(room);
        firsts.push(first);
    }
    for round in 0..ROUNDS {
        let mut news = Vec::new();
        for (room, first) in rooms.iter().zip(&firsts) {
            let text = |reply_to, mentions| Content::Text { body: format!("in round {round}"), reply_to, mentions };
            news.extend([
                entry(*room, ann.id, text(None, Vec::new())),
                entry(*room, ann.id, text(Some(1), vec![eve.id, ann.id])),
                // Refused: no member, no such text to answer, no such room, an id that was used for something else.
                message(*room, eve.id, "let me in"),
                entry(*room, ann.id, text(Some(1_000_000), Vec::new())),
                message(RoomId(Uuid::now_v7()), ann.id, "hello?"),
                NewMessage { content: Content::text("not what was said"), ..first.clone() },
                first.clone(),
            ]);
        }
        let outcomes = together(&store, news).await;
        for outcome in outcomes.chunks(7) {
            let [one, reply, stranger, nothing, nowhere, reused, repeat] = outcome else { panic!("seven each") };
            let (one, reply) = (one.as_ref().unwrap(), reply.as_ref().unwrap());
            assert!(!one.duplicate && one.events.len() == 1 && one.message.sender_name == ann.display_name);
            assert_eq!((reply.message.reply_to, &reply.message.mentions), (Some(1), &vec![ann.id]));
            assert!(matches!(stranger, Err(StoreError::RoomNotFound)), "{stranger:?}");
            assert!(matches!(nothing, Err(StoreError::MessageNotFound("reply_to"))), "{nothing:?}");
            assert!(matches!(nowhere, Err(StoreError::RoomNotFound)), "{nowhere:?}");
            assert!(matches!(reused, Err(StoreError::MessageIdReused)), "{reused:?}");
            let repeat = repeat.as_ref().unwrap();
            assert!(repeat.duplicate && repeat.events.is_empty() && repeat.message.seq == 1);
        }
    }
    for room in rooms {
        let log = store.history(room, ann.id, Page::Newest, View::Log, 100).await.unwrap();
        let seqs: Vec<_> = log.messages.iter().map(|message| message.seq).collect();
        assert_eq!(seqs, (1..=1 + 2 * i64::try_from(ROUNDS).unwrap()).collect::<Vec<_>>(), "no gap, nothing twice");
        assert_eq!(log.last_seq, *seqs.last().unwrap());
    }
}

pub(crate) async fn one_id_sent_many_times_at_once_among_others_is_one_message(store: Arc<dyn Store>) {
    let ann = sign_up(&*store).await;
    let room = group(&*store, std::slice::from_ref(&ann)).await;
    let same = message(room, ann.id, "the same");
    let news = (0..60).map(|n| if n % 2 == 0 { same.clone() } else { message(room, ann.id, "another") }).collect();
    let sent: Vec<Sent> = together(&store, news).await.into_iter().map(Result::unwrap).collect();
    let repeats: Vec<&Sent> = sent.iter().step_by(2).collect();
    assert!(repeats.iter().all(|sent| sent.message == repeats[0].message));
    assert_eq!(repeats.iter().filter(|sent| !sent.duplicate).count(), 1);
    assert_eq!(repeats.iter().map(|sent| sent.events.len()).sum::<usize>(), 1);
    assert_eq!(store.positions(&[room]).await.unwrap(), [place(room, 31)]);
}

pub(crate) async fn texts_that_come_together_share_commits(cluster: &Cluster, store: Arc<dyn Store>) {
    const TEXTS: usize = 400;
    let ann = sign_up(&*store).await;
    let mut rooms = Vec::new();
    for _ in 0..20 {
        rooms.push(group_as(&*store, Cluster::room_on(0), std::slice::from_ref(&ann)).await);
    }
    let news = (0..TEXTS).map(|n| message(rooms[n % rooms.len()], ann.id, "together")).collect();
    let sent = together(&store, news).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    let mut admin = cluster.admin(0).await;
    let rooms: Vec<Uuid> = rooms.iter().map(|room| room.0).collect();
    let commits: i64 =
        sqlx::query_scalar("select count(distinct xmin::text) from chat.messages where room_id = any ($1)")
            .bind(&rooms)
            .fetch_one(&mut admin)
            .await
            .unwrap();
    // Far fewer on a machine at rest; a loaded one hands them over one by one for a while.
    assert!(commits < i64::try_from(TEXTS).unwrap() / 2, "{commits} commits for {TEXTS} texts");
}

/// One call of the function by hand: texts as (slot, room, sender, message id, outbox id).
type Text = (i32, RoomId, Uuid, Uuid, Uuid);

async fn call(gateway: &mut PgConnection, texts: &[Text]) -> Result<Vec<(i64, i64)>, sqlx::Error> {
    let ids = |of: fn(&Text) -> Uuid| texts.iter().map(of).collect::<Vec<_>>();
    sqlx::query_as("select place, seq from chat.send_messages($1, $2, $3, $4, $5, $6, $7, $8) order by place")
        .bind(texts.iter().map(|text| text.0).collect::<Vec<_>>())
        .bind(ids(|text| text.1.0))
        .bind(ids(|text| text.3))
        .bind(ids(|text| text.2))
        .bind(vec!["b"; texts.len()])
        .bind(vec![None::<i64>; texts.len()])
        .bind(vec![None::<String>; texts.len()])
        .bind(ids(|text| text.4))
        .fetch_all(gateway)
        .await
}

fn text(room: RoomId, sender: &User) -> Text {
    (chat_shards::slot_of(room.0, SLOTS), room, sender.id.0, Uuid::now_v7(), Uuid::now_v7())
}

pub(crate) async fn slots_that_may_not_be_written_are_left_out(cluster: &Cluster, store: &dyn Store) {
    let ann = sign_up(store).await;
    // Four rooms in four slots of the first shard, and one of the other shard.
    let mut slots = HashSet::new();
    let mut rooms = Vec::new();
    while rooms.len() < 4 {
        let id = Cluster::room_on(0);
        if slots.insert(chat_shards::slot_of(id.0, SLOTS)) {
            rooms.push(group_as(store, id, std::slice::from_ref(&ann)).await);
        }
    }
    rooms.push(group_as(store, Cluster::room_on(1), std::slice::from_ref(&ann)).await);
    let texts: Vec<Text> = rooms.iter().map(|room| text(*room, &ann)).collect();
    let (mut gateway, mut admin, mut mover) =
        (cluster.gateway(0).await, cluster.admin(0).await, cluster.admin(0).await);
    set(&mut admin, texts[0].0, &format!("state = 'moved', {TRANSIT}")).await;
    set(&mut admin, texts[1].0, &format!("state = 'migrating', {TRANSIT}")).await;
    // A mover holds the third: the call must not wait for it.
    sqlx::query("select pg_advisory_lock($1, $2)")
        .bind(chat_shards::SLOT_LOCK_CLASS)
        .bind(texts[2].0)
        .execute(&mut mover)
        .await
        .unwrap();
    assert_eq!(call(&mut gateway, &texts).await.unwrap(), [(2, 1), (4, 1)]);
    let (room, outbox) = (texts[1].1, texts[1].4);
    let mut expected =
        [format!("room[\"{room}\"]"), format!("message[\"{room}\", 1]"), format!("outbox[\"{outbox}\"]")];
    let mut keys = logged(&mut admin, texts[1].0).await;
    expected.sort();
    keys.sort();
    assert_eq!(keys, expected, "only the migrating slot is logged");
    assert!(logged(&mut admin, texts[3].0).await.is_empty());
    drop(mover);
    for slot in [texts[0].0, texts[1].0] {
        set(&mut admin, slot, OWNED).await;
    }
    sqlx::query("delete from chat.slot_changes").execute(&mut admin).await.unwrap();
    // What was left out can be stored with the same ids, and what was stored is not stored again.
    for n in [0, 2] {
        let again = store.send(message(rooms[n], ann.id, "later")).await.unwrap();
        assert_eq!(again.message.seq, 1, "nothing was left behind");
    }
    assert_eq!(call(&mut gateway, &texts[1..2]).await.unwrap(), []);
    let mut transaction = sqlx::Connection::begin(&mut gateway).await.unwrap();
    sqlx::raw_sql("set transaction isolation level repeatable read").execute(&mut *transaction).await.unwrap();
    let refused = call(&mut transaction, &texts).await.expect_err("another isolation level");
    assert_eq!(refused.as_database_error().and_then(|error| error.code()).as_deref(), Some("CC004"));
}

/// Gateways that name the same rooms in any order wait for each other, and never in a circle.
pub(crate) async fn batches_over_the_same_rooms_never_deadlock(cluster: &Cluster, store: &dyn Store) {
    const CALLS: usize = 60;
    let ann = sign_up(store).await;
    let mut rooms = Vec::new();
    for _ in 0..12 {
        rooms.push(group_as(store, Cluster::room_on(0), std::slice::from_ref(&ann)).await);
    }
    let gateways = (0..4).map(|gateway| {
        let (mut rooms, ann) = (rooms.clone(), ann.clone());
        if gateway % 2 == 1 {
            rooms.reverse();
        }
        async move {
            let mut connection = cluster.gateway(0).await;
            for n in 0..CALLS {
                rooms.rotate_left(n % 5);
                let texts: Vec<Text> = rooms.iter().map(|room| text(*room, &ann)).collect();
                assert_eq!(call(&mut connection, &texts).await.unwrap().len(), rooms.len());
            }
        }
    });
    join_all(gateways).await;
    let after = i64::try_from(4 * CALLS).unwrap();
    for room in rooms {
        assert_eq!(say(store, room, ann.id, "the end").await.unwrap().message.seq, after + 1, "no gap");
    }
}
