//! As many shards as a large cluster has: 64 databases, all in one PostgreSQL.

use std::time::{Duration, Instant};

use chat_gateway::{model::UserId, store::Store};
use chat_shard_mover::{Mover, Options, Plan};
use uuid::Uuid;

use crate::{
    fixtures::{group_as, say, sign_up},
    soak::shards::{Shards, session},
};

const SHARDS: usize = 64;
const SLOTS: u32 = 256;
/// Slots that move, each between two shards that no other one does.
const MOVES: usize = 16;

pub(crate) async fn slots_move_among_them() {
    let shards = Shards::on(1, SHARDS, SLOTS).await;
    assert_eq!(shards.given, [SLOTS as usize / SHARDS; SHARDS], "every shard was given as many slots");
    let store = shards.store();
    answer(&store).await;
    let ann = sign_up(&store).await;
    for nth in 0..MOVES {
        let (from, to) = (2 * nth, SHARDS - 1 - 2 * nth);
        let slot = i32::try_from(from * SLOTS as usize / SHARDS + 1).unwrap();
        let id = std::iter::repeat_with(Uuid::now_v7).find(|id| chat_shards::slot_of(*id, SLOTS) == slot).unwrap();
        let room = group_as(&store, chat_gateway::model::RoomId(id), std::slice::from_ref(&ann)).await;
        say(&store, room, ann.id, "before").await.unwrap();
        let (source, destination) =
            (session(&shards.config, from).await.unwrap(), session(&shards.config, to).await.unwrap());
        let plan = Plan { slot, move_id: Uuid::now_v7(), epoch: None };
        let mut mover = Mover::new(plan, source, destination, Options::default(), ()).await.unwrap();
        mover.run().await.unwrap();
        say(&store, room, ann.id, "after").await.unwrap();
        assert_eq!(store.room(room, ann.id).await.unwrap().last_seq, 2);
        let mut there = shards.admin(to).await;
        let owned: i64 = sqlx::query_scalar("select count(*) from chat.slot_ownership where state = 'owned'")
            .fetch_one(&mut there)
            .await
            .unwrap();
        assert_eq!(owned, i64::from(SLOTS) / SHARDS as i64 + 1, "shard {to} has one more");
    }
}

/// Waits for the first answer: 64 connections may take a busy machine longer than one request waits for them.
async fn answer(store: &dyn Store) {
    let begun = Instant::now();
    while let Err(error) = store.credentials(UserId(Uuid::now_v7())).await {
        assert!(begun.elapsed() < Duration::from_secs(120), "{error}");
    }
}
