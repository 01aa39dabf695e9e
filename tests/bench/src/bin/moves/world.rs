//! Two shards, a store on them, and movers.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use chat_gateway::{
    model::{RoomId, User, UserId},
    store::postgres::PostgresStore,
};
use chat_shard_mover::{Mover, Observer, Options, Plan, Report, Shard};
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use crate::{
    cluster::{Cluster, SLOTS},
    fixtures::{group_as, sign_up_as},
};

const NAMES: [&str; 2] = ["a", "b"];

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) store: Arc<PostgresStore>,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        let cluster = Cluster::start().await;
        let store = Arc::new(cluster.store());
        Ok(Self { cluster, store })
    }

    /// Moves a slot from one of the two shards to the other, in a thread of its own: a mover is a process of its own, and what wakes it does
    /// not queue behind the tasks of those who send.
    pub(crate) async fn move_slot(
        &self,
        slot: i32,
        from: usize,
        options: Options,
        observer: impl Observer + 'static,
    ) -> Result<Report> {
        let ends = [self.shard(from).await?, self.shard(1 - from).await?];
        let moving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(moved(slot, ends, options, observer))
        });
        let joined = tokio::task::spawn_blocking(|| moving.join()).await?;
        joined.map_err(|_| anyhow::anyhow!("the mover of slot {slot} panicked"))?
    }

    async fn shard(&self, index: usize) -> Result<(&'static str, PgConnectOptions)> {
        let path = self.cluster.config.database.shards[index].migration_uri_file.as_ref().context("no such file")?;
        Ok((NAMES[index], tokio::fs::read_to_string(path).await?.parse()?))
    }

    /// A room with one member in each of these slots.
    pub(crate) async fn rooms(&self, slots: impl IntoIterator<Item = i32>) -> Vec<Room> {
        let mut rooms = Vec::new();
        for slot in slots {
            let member = sign_up_as(&*self.store, UserId(id_in(slot))).await;
            let id = group_as(&*self.store, RoomId(id_in(slot)), std::slice::from_ref(&member)).await;
            rooms.push(Room { slot, id, member });
        }
        rooms
    }

    /// Puts a room with so many texts of some 300 bytes each into a slot of a shard, past the store.
    pub(crate) async fn fill(&self, shard: usize, slot: i32, texts: u32) -> Result<()> {
        let mut admin = self.cluster.admin(shard).await;
        let sql = "with texts as ( \
                insert into chat.messages (slot, room_id, seq, message_id, sender, sender_name, body, at) \
                select $1, $2, n, gen_random_uuid(), gen_random_uuid(), 'somebody', repeat(md5(n::text), 5), clock_timestamp() \
                from generate_series(1, $3) n) \
            insert into chat.rooms (slot, room_id, kind, title, last_seq) values ($1, $2, 'group', 'large', $3)";
        sqlx::query(sql).bind(slot).bind(Uuid::now_v7()).bind(i32::try_from(texts)?).execute(&mut admin).await?;
        sqlx::raw_sql("vacuum analyze chat.messages").execute(&mut admin).await?;
        Ok(())
    }
}

async fn moved(
    slot: i32,
    ends: [(&'static str, PgConnectOptions); 2],
    options: Options,
    observer: impl Observer,
) -> Result<Report> {
    let [(from, source), (to, destination)] = ends;
    let (source, destination) = (Shard::connect(from, &source).await?, Shard::connect(to, &destination).await?);
    let plan = Plan { slot, move_id: Uuid::now_v7(), epoch: None };
    let mut mover = Mover::new(plan, source, destination, options, observer).await?;
    mover.run().await.with_context(|| format!("slot {slot} could not be moved"))
}

/// A room to talk in.
pub(crate) struct Room {
    pub(crate) slot: i32,
    pub(crate) id: RoomId,
    pub(crate) member: User,
}

fn id_in(slot: i32) -> Uuid {
    loop {
        let id = Uuid::now_v7();
        if chat_shards::slot_of(id, SLOTS) == slot {
            return id;
        }
    }
}
