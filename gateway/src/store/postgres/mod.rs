//! The store on sharded PostgreSQL. Every call is one statement, a guarded function of `chat-shards`, hence one transaction
//! and one round trip; gateways have no table privilege. Texts that come together share one (`commits.rs`).
//!
//! A shard that is away slows nobody else: each has its own bounded pool and its own prober (`probe.rs`), and once it has
//! been away for a few seconds its requests fail at once.

mod commits;
mod connect;
mod directory;
mod entry_row;
mod failure;
mod fleet;
mod follow;
mod members;
mod messages;
mod opening;
mod outbox;
mod pooled;
mod probe;
mod replay;
mod rooms;
mod route;
mod sessions;
mod shard;
mod slots;
mod users;
mod ways;

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use async_trait::async_trait;
use chat_gateway_config::{GatewayConfig, slots::SlotsAnswer, stats::ShardStats};
use futures::future::join_all;
use jiff::Timestamp;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    Changed, Entries, Marks, NewMessage, NewRoom, NewUser, OutboxEvent, OutboxKey, Page, Place, Replay, Sent,
    SlotsQuestion, Standing, Store, StoreError, StoredEvent, View,
};
use crate::{
    live::ShardsFolder,
    model::{Member, RequestId, Role, Room, RoomId, RoomKind, RoomSummary, Seq, User, UserId},
};

pub(crate) use self::failure::{AUTHENTICATION_FAILED, Cause, INVALID_SETTINGS, TLS_FAILED, cause};

/// How long `health` waits for the probers.
const HEALTH_BUDGET: Duration = Duration::from_secs(2);

/// The store on sharded PostgreSQL; its probers end when it is dropped.
pub struct PostgresStore {
    slots: u32,
    fleet: Arc<fleet::Fleet>,
    directory: Arc<directory::Directory>,
    openings: opening::Openings,
    /// Where the next sweep of the outboxes begins, so that a busy shard does not starve the others.
    sweep: AtomicUsize,
    /// Follows the list of shards, if anybody does.
    follower: JoinSet<()>,
}

impl PostgresStore {
    /// Starts the probers and returns at once; requests wait up to 3 s for shards that have not been reached yet.
    /// Must be called inside a tokio runtime.
    #[must_use]
    pub fn start(config: &GatewayConfig) -> Self {
        let slots = config.database.slots;
        let directory = Arc::new(directory::Directory::new(slots));
        let expected = probe::Expected { cluster: config.cluster.clone(), slots };
        let fleet = Arc::new(fleet::Fleet::new(directory.clone(), expected));
        for shard in &config.database.shards {
            fleet.add(shard);
        }
        Self {
            slots,
            fleet,
            directory,
            openings: opening::Openings::default(),
            sweep: AtomicUsize::new(0),
            follower: JoinSet::new(),
        }
    }

    /// As [`Self::start`], with the shards of a folder, which may change while the store runs, in place of the configuration's.
    #[must_use]
    pub fn start_following(config: &GatewayConfig, folder: ShardsFolder) -> Self {
        let mut config = config.clone();
        config.database.shards = folder.shards();
        let mut store = Self::start(&config);
        store.follower.spawn(follow::run(store.fleet.clone(), folder));
        store
    }

    /// The slot of an id.
    fn slot(&self, id: Uuid) -> i32 {
        chat_shards::slot_of(id, self.slots)
    }

    /// The shard that owns a slot, as far as is known.
    fn member_of(&self, slot: i32) -> Option<Arc<fleet::Member>> {
        self.directory.shard_of(slot).and_then(|index| self.fleet.get(index))
    }
}

/// A time that the database gave in milliseconds.
fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn kind(name: &str) -> RoomKind {
    if name == "direct" { RoomKind::Direct } else { RoomKind::Group }
}

#[async_trait]
impl Store for PostgresStore {
    async fn create_user(&self, new: NewUser) -> Result<User, StoreError> {
        self.insert_user(new).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        self.find_users(ids).await
    }

    async fn credentials(&self, id: UserId) -> Result<Option<(User, String)>, StoreError> {
        self.find_credentials(id).await
    }

    async fn user_rooms(&self, user: UserId) -> Result<(Vec<Room>, bool), StoreError> {
        self.list_rooms(user).await
    }

    async fn room_ids(&self, user: UserId) -> Result<Vec<RoomId>, StoreError> {
        Ok(self.list_ids(user).await?.into_iter().map(RoomId).collect())
    }

    async fn summaries(&self, user: UserId, rooms: &[RoomId]) -> Result<(Vec<RoomSummary>, bool), StoreError> {
        self.list_summaries(user, rooms).await
    }

    async fn create_room(&self, new: NewRoom, request: Option<RequestId>) -> Result<Changed<(Room, bool)>, StoreError> {
        self.insert_room(new, request).await
    }

    async fn made_before(&self, new: &NewRoom, request: RequestId) -> Result<Option<(Room, bool)>, StoreError> {
        self.find_made(new, request).await
    }

    async fn room(&self, room: RoomId, user: UserId) -> Result<Room, StoreError> {
        self.find_room(room, user).await
    }

    async fn membership(&self, room: RoomId, user: UserId) -> Result<Option<Role>, StoreError> {
        self.find_role(room, user).await
    }

    async fn members(
        &self,
        room: RoomId,
        user: UserId,
        after: i64,
        limit: u32,
    ) -> Result<(Vec<Member>, Option<i64>), StoreError> {
        self.list_members(room, user, after, limit).await
    }

    async fn add_member(
        &self,
        room: RoomId,
        actor: UserId,
        member: User,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        self.insert_member(room, actor, member, request).await
    }

    async fn remove_member(
        &self,
        room: RoomId,
        actor: UserId,
        member: UserId,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        self.delete_member(room, actor, member, request).await
    }

    async fn set_role(
        &self,
        room: RoomId,
        actor: UserId,
        member: UserId,
        role: Role,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        self.change_role(room, actor, member, role, request).await
    }

    async fn mute(
        &self,
        room: RoomId,
        user: UserId,
        until: Option<Timestamp>,
        request: Option<RequestId>,
    ) -> Result<bool, StoreError> {
        self.set_muted(room, user, until, request).await
    }

    async fn send(&self, new: NewMessage) -> Result<Sent, StoreError> {
        self.insert_entry(new).await
    }

    async fn history(
        &self,
        room: RoomId,
        user: UserId,
        page: Page,
        view: View,
        limit: u32,
    ) -> Result<Entries, StoreError> {
        self.page(room, user, page, view, limit).await
    }

    async fn replay(&self, room: RoomId, after: Seq, limit: u32) -> Result<Replay, StoreError> {
        self.entries_after(room, after, limit).await
    }

    async fn positions(&self, rooms: &[RoomId]) -> Result<Vec<Place>, StoreError> {
        self.places(rooms).await
    }

    async fn standing(&self, room: RoomId, users: &[UserId]) -> Result<Standing, StoreError> {
        self.find_standing(room, users).await
    }

    async fn mark(
        &self,
        room: RoomId,
        user: UserId,
        delivered: Option<Seq>,
        read: Option<Seq>,
    ) -> Result<Marks, StoreError> {
        self.raise_marks(room, user, delivered, read).await
    }

    async fn apply_membership(&self, event: &StoredEvent) -> Result<(), StoreError> {
        self.apply_listing(event).await
    }

    async fn claim_outbox(&self, min_age: Duration, limit: u32) -> Result<Vec<OutboxEvent>, StoreError> {
        self.claim(min_age, limit).await
    }

    async fn finish_outbox(&self, keys: &[OutboxKey]) -> Result<(), StoreError> {
        self.finish(keys).await
    }

    async fn slots(&self, question: SlotsQuestion) -> SlotsAnswer {
        self.slots_of_all(question).await
    }

    async fn trim(&self, room: RoomId, keep: Seq) -> Result<(), StoreError> {
        self.trim_room(room, keep).await
    }

    async fn health(&self) -> Vec<ShardStats> {
        join_all(self.fleet.shards().into_iter().map(|shard| async move {
            let mut status = shard.status();
            let before = status.borrow().probes;
            shard.look(shard::Doubt::None);
            let probed = status.wait_for(|status| status.probes > before);
            let answered = tokio::time::timeout(HEALTH_BUDGET, probed).await.is_ok();
            let mut stats = shard.stats();
            if !answered && !shard.answers() {
                stats.component.available = false;
                stats.component.reason = "Timeout".to_owned();
                stats.component.message = "no answer within 2 s".to_owned();
            }
            stats
        }))
        .await
    }
}
