//! The store of a gateway that is alone: one SQLite file in WAL mode, beside nothing else.
//!
//! All writes go through one thread, which puts what waits into one transaction and answers after its commit has reached the disk
//! (`synchronous = FULL`): a kill at any moment loses nothing that was acknowledged, and many writers share one `fsync`. Reads go to two
//! more threads and never wait for a writer. A file belongs to one process at a time, held by a lock beside it.

mod answers;
mod changes;
mod failure;
mod members;
mod messages;
mod outbox;
mod people;
mod requests;
mod rooms;
mod schema;
mod sessions;
mod threads;
mod wait;

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use chat_gateway_config::stats::{Component, ShardStats};
use jiff::Timestamp;
use rusqlite::Connection;

use self::threads::{Readers, Writer};
use super::{
    Changed, Entries, Marks, NewMessage, NewRoom, NewUser, OutboxEvent, OutboxKey, Page, Place, Replay, Sent, Standing,
    Store, StoreError, StoredEvent, View,
};
use crate::model::{Member, RequestId, Role, Room, RoomId, RoomSummary, Seq, User, UserId};

/// Name of the only shard, in statistics and errors.
pub const SHARD: &str = chat_gateway_config::Embedded::SHARD;
/// Slots, so that the data can move to a sharded database later; the default of a ChatCluster.
pub(crate) const SLOTS: u32 = 1024;
/// What [`Store::health`] promises.
const HEALTH_LIMIT: Duration = Duration::from_secs(2);

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{0} is in use by another gateway; stop that one, or name another folder with --data")]
    InUse(PathBuf),
    /// The file or its folder cannot be written.
    #[error("failed to open {path}: {source}")]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refuses the file.
    #[error("failed to open {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// A newer program wrote it.
    #[error("{path} has schema {found} and this program knows {known}; start the newer chat-gateway that wrote it")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest one that is known here.
        known: u32,
    },
}

/// [`Store`] in one SQLite file.
pub struct SqliteStore {
    file: PathBuf,
    writer: Writer,
    readers: Readers,
    // Dropped last: the file is free when its threads have ended.
    _lock: File,
}

impl SqliteStore {
    /// Opens the file, makes it when it is absent, and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has been changed then.
    pub fn open(file: &Path) -> Result<Self, OpenError> {
        let lock = lock(file)?;
        let open = |source| OpenError::Open { path: file.to_owned(), source };
        let connection = schema::open(file)?;
        let readers = [schema::open_reader(file).map_err(open)?, schema::open_reader(file).map_err(open)?];
        Ok(Self {
            file: file.to_owned(),
            writer: Writer::start(connection),
            readers: Readers::start(readers),
            _lock: lock,
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.run(job).await
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(job).await
    }

    /// Whether it reads, and whether it writes: after a failed commit only another write tells.
    async fn check(&self) -> Result<(), StoreError> {
        self.read(|connection| Ok(connection.query_row("select 1", [], |_| Ok(()))?)).await?;
        if self.writer.has_failed() {
            self.write(schema::touch).await?;
        }
        Ok(())
    }
}

/// Takes the file for this process; the lock goes with the process, however it ends.
fn lock(file: &Path) -> Result<File, OpenError> {
    let mut path = file.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |source| OpenError::Lock { path: path.clone(), source };
    let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(file.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The present, in the milliseconds that clients see.
fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

fn timestamp(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[async_trait]
impl Store for SqliteStore {
    async fn create_user(&self, new: NewUser) -> Result<User, StoreError> {
        self.write(move |connection| people::create(connection, new)).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        let ids = ids.to_vec();
        self.read(move |connection| people::find(connection, &ids)).await
    }

    async fn credentials(&self, id: UserId) -> Result<Option<(User, String)>, StoreError> {
        self.read(move |connection| people::credentials(connection, id)).await
    }

    async fn user_rooms(&self, user: UserId) -> Result<(Vec<Room>, bool), StoreError> {
        self.read(move |connection| Ok((rooms::of_user(connection, user)?, true))).await
    }

    async fn room_ids(&self, user: UserId) -> Result<Vec<RoomId>, StoreError> {
        self.read(move |connection| rooms::ids_of_user(connection, user)).await
    }

    async fn summaries(&self, user: UserId, rooms: &[RoomId]) -> Result<(Vec<RoomSummary>, bool), StoreError> {
        let rooms = rooms.to_vec();
        self.read(move |connection| Ok((rooms::summaries(connection, user, &rooms)?, true))).await
    }

    async fn create_room(&self, new: NewRoom, request: Option<RequestId>) -> Result<Changed<(Room, bool)>, StoreError> {
        self.write(move |connection| rooms::create(connection, &new, request)).await
    }

    async fn made_before(&self, new: &NewRoom, request: RequestId) -> Result<Option<(Room, bool)>, StoreError> {
        let new = new.clone();
        self.read(move |connection| rooms::made_before(connection, &new, Some(request))).await
    }

    async fn room(&self, room: RoomId, user: UserId) -> Result<Room, StoreError> {
        self.read(move |connection| rooms::view(connection, room, user)).await
    }

    async fn membership(&self, room: RoomId, user: UserId) -> Result<Option<Role>, StoreError> {
        self.read(move |connection| members::role(connection, room, user)).await
    }

    async fn members(
        &self,
        room: RoomId,
        user: UserId,
        after: i64,
        limit: u32,
    ) -> Result<(Vec<Member>, Option<i64>), StoreError> {
        self.read(move |connection| members::page(connection, room, user, after, limit)).await
    }

    async fn add_member(
        &self,
        room: RoomId,
        actor: UserId,
        member: User,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        self.write(move |connection| members::add_member(connection, (room, actor), &member, request)).await
    }

    async fn remove_member(
        &self,
        room: RoomId,
        actor: UserId,
        member: UserId,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        self.write(move |connection| members::remove_member(connection, (room, actor), member, request)).await
    }

    async fn set_role(
        &self,
        room: RoomId,
        actor: UserId,
        member: UserId,
        role: Role,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        self.write(move |connection| members::set_role(connection, (room, actor), (member, role), request)).await
    }

    async fn mute(
        &self,
        room: RoomId,
        user: UserId,
        until: Option<Timestamp>,
        request: Option<RequestId>,
    ) -> Result<bool, StoreError> {
        self.write(move |connection| members::mute(connection, (room, user), until, request)).await
    }

    async fn send(&self, new: NewMessage) -> Result<Sent, StoreError> {
        self.write(move |connection| messages::send(connection, new)).await?
    }

    async fn history(
        &self,
        room: RoomId,
        user: UserId,
        page: Page,
        view: View,
        limit: u32,
    ) -> Result<Entries, StoreError> {
        self.read(move |connection| {
            members::role(connection, room, user)?.ok_or(StoreError::RoomNotFound)?;
            messages::page(connection, room, Some(user), page, view, limit)
        })
        .await
    }

    async fn replay(&self, room: RoomId, after: Seq, limit: u32) -> Result<Replay, StoreError> {
        self.read(move |connection| {
            let removal = rooms::removal(connection, room)?;
            let page = messages::page(connection, room, None, Page::After(after), View::Log, limit)?;
            Ok(Replay { messages: page.messages, removal })
        })
        .await
    }

    async fn positions(&self, rooms: &[RoomId]) -> Result<Vec<Place>, StoreError> {
        let rooms = rooms.to_vec();
        self.read(move |connection| rooms::positions(connection, &rooms)).await
    }

    async fn standing(&self, room: RoomId, users: &[UserId]) -> Result<Standing, StoreError> {
        let users = users.to_vec();
        self.read(move |connection| members::standing(connection, room, &users)).await
    }

    async fn mark(
        &self,
        room: RoomId,
        user: UserId,
        delivered: Option<Seq>,
        read: Option<Seq>,
    ) -> Result<Marks, StoreError> {
        self.write(move |connection| members::mark(connection, room, user, delivered, read)).await
    }

    async fn apply_membership(&self, event: &StoredEvent) -> Result<(), StoreError> {
        let Some(listing) = super::membership::listing(event) else {
            return Ok(());
        };
        self.write(move |connection| people::list(connection, listing)).await
    }

    async fn claim_outbox(&self, min_age: Duration, limit: u32) -> Result<Vec<OutboxEvent>, StoreError> {
        // A look first: an idle gateway must not write to its disk.
        if !self.read(move |connection| outbox::is_due(connection, min_age)).await? {
            return Ok(Vec::new());
        }
        self.write(move |connection| outbox::claim(connection, min_age, limit)).await
    }

    async fn finish_outbox(&self, keys: &[OutboxKey]) -> Result<(), StoreError> {
        let keys = keys.to_vec();
        self.write(move |connection| outbox::finish(connection, &keys)).await
    }

    async fn trim(&self, room: RoomId, keep: Seq) -> Result<(), StoreError> {
        self.write(move |connection| messages::trim(connection, room, keep)).await
    }

    async fn health(&self) -> Vec<ShardStats> {
        let outcome = tokio::time::timeout(HEALTH_LIMIT, self.check()).await;
        let (available, reason, message) = match outcome {
            Ok(Ok(())) => (true, "Connected", format!("SQLite file {}", self.file.display())),
            Ok(Err(error)) => (false, "WriteFailed", error.to_string()),
            Err(_) => (false, "Timeout", format!("no answer within {} s; is the disk busy?", HEALTH_LIMIT.as_secs())),
        };
        let component = Component { available, reason: reason.to_owned(), message };
        vec![ShardStats { name: SHARD.to_owned(), slots: SLOTS, component, uris: Vec::new() }]
    }
}

#[cfg(test)]
mod tests;
