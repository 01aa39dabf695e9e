//! Two shards, a slot that goes to and fro between them, and movers.

use std::{sync::Arc, time::Duration};

use chat_gateway::{
    model::{RoomId, UserId},
    store::postgres::PostgresStore,
};
use chat_shard_mover::{MoveError, Mover, Options, Plan, Refusal, Report, Shard};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    cluster::{Cluster, SLOTS},
    hook::Hook,
};

/// One of shard a's in the beginning.
pub(crate) const SLOT: i32 = 5;
pub(crate) const NAMES: [&str; 2] = ["a", "b"];
/// In which a slot has moved, whatever befell a mover.
const PATIENCE: Duration = Duration::from_secs(240);
/// Every table whose rows belong to slots.
pub(crate) const TABLES: [&str; 10] =
    ["rooms", "members", "messages", "reactions", "answers", "requests", "outbox", "users", "user_rooms", "sessions"];

/// A row of `chat.slot_ownership`, as far as these tests look at it.
pub(crate) type State = Option<(String, i64, i64)>;

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) store: Arc<PostgresStore>,
    /// Which shard owns [`SLOT`].
    pub(crate) owner: usize,
}

impl World {
    pub(crate) async fn start() -> Self {
        let cluster = Cluster::start().await;
        let store = Arc::new(cluster.store());
        Self { cluster, store, owner: 0 }
    }

    pub(crate) fn room_in(slot: i32) -> RoomId {
        RoomId(id_in(slot))
    }

    pub(crate) fn user_in(slot: i32) -> UserId {
        UserId(id_in(slot))
    }

    pub(crate) fn plan() -> Plan {
        Plan { slot: SLOT, move_id: Uuid::now_v7(), epoch: None }
    }

    /// The plan of the move that is under way, or of a new one.
    pub(crate) async fn pending(&self) -> Plan {
        let (mut from, mut to) = (self.shard(self.owner).await.unwrap(), self.shard(1 - self.owner).await.unwrap());
        let under_way = chat_shard_mover::pending(&mut from, &mut to, SLOT).await.unwrap();
        under_way.map_or_else(Self::plan, |move_id| Plan { move_id, ..Self::plan() })
    }

    /// Chunks small enough that there are several, and large enough to keep ahead of the writers.
    pub(crate) fn options() -> Options {
        Options { chunk_rows: 300, ..Options::default() }
    }

    pub(crate) async fn shard(&self, index: usize) -> Result<Shard, MoveError> {
        Shard::connect(NAMES[index], &self.options_of(index)).await
    }

    /// A session as a mover has one.
    pub(crate) async fn session(&self, index: usize) -> PgConnection {
        let options = self.options_of(index).application_name("chat-gateway move");
        PgConnection::connect_with(&options).await.unwrap()
    }

    fn options_of(&self, index: usize) -> PgConnectOptions {
        let path = self.cluster.config.database.shards[index].migration_uri_file.clone().unwrap();
        std::fs::read_to_string(path).unwrap().parse().unwrap()
    }

    /// A mover from the owner to the other shard.
    pub(crate) async fn mover(&self, plan: Plan, options: Options, hook: &Hook) -> Result<Mover<Hook>, MoveError> {
        let (from, to) = (self.shard(self.owner).await?, self.shard(1 - self.owner).await?);
        Mover::new(plan, from, to, options, hook.clone()).await
    }

    /// One mover's try.
    pub(crate) async fn run(&self, plan: Plan, options: Options, hook: &Hook) -> Result<Report, MoveError> {
        self.mover(plan, options, hook).await?.run().await
    }

    /// Movers, one after the other, until one succeeds; the slot has moved then.
    pub(crate) async fn finish(&mut self, plan: Plan) -> Report {
        let started = Instant::now();
        loop {
            match self.run(plan, Self::options(), &Hook::none()).await {
                Ok(report) => {
                    self.owner = 1 - self.owner;
                    return report;
                }
                // The mover that suffered may live, and claim the move anew when its fence has ended: then this one is the older one, as Jobs that
                // are tried again may be.
                Err(error) if (error.is_transient() || is_beaten(&error)) && started.elapsed() < PATIENCE => {
                    sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
            }
        }
    }

    /// State, epoch and claim of a slot at a shard.
    pub(crate) async fn state(&self, shard: usize, slot: i32) -> State {
        let mut admin = self.cluster.admin(shard).await;
        sqlx::query_as("select state, epoch, gen from chat.slot_ownership where slot = $1")
            .bind(slot)
            .fetch_optional(&mut admin)
            .await
            .unwrap()
    }

    /// All rows of a slot at a shard, each as text, a table after the other.
    pub(crate) async fn rows(&self, shard: usize, slot: i32) -> Vec<String> {
        let mut admin = self.cluster.admin(shard).await;
        let mut rows = Vec::new();
        for table in TABLES {
            let sql = format!("select '{table} ' || to_jsonb(t)::text from chat.{table} t where slot = $1 order by 1");
            let found: Vec<String> =
                sqlx::query_scalar(AssertSqlSafe(sql)).bind(slot).fetch_all(&mut admin).await.unwrap();
            rows.extend(found);
        }
        rows
    }

    /// Keys that wait in a shard's change log, of any slot.
    pub(crate) async fn backlog(&self, shard: usize) -> i64 {
        let mut admin = self.cluster.admin(shard).await;
        sqlx::query_scalar("select count(*) from chat.slot_changes").fetch_one(&mut admin).await.unwrap()
    }

    pub(crate) async fn owner_admin(&self) -> PgConnection {
        self.cluster.admin(self.owner).await
    }
}

fn id_in(slot: i32) -> Uuid {
    std::iter::repeat_with(Uuid::now_v7).find(|id| chat_shards::slot_of(*id, SLOTS) == slot).expect("endless")
}

/// Whether another mover has claimed the same move since.
fn is_beaten(error: &MoveError) -> bool {
    matches!(error, MoveError::Refused { refusal: Refusal::OldGeneration, .. })
}
