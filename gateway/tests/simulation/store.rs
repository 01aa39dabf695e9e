//! The shared store as one gateway reaches it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chat_gateway::{
    model::{Member, RequestId, Role, Room, RoomId, RoomSummary, Seq, SessionId, User, UserId},
    store::{
        Changed, Entries, Marks, NewMessage, NewRoom, NewUser, OutboxEvent, OutboxKey, Page, Place, Replay, Sent,
        Standing, Store, StoreError, StoredEvent, View,
        memory::MemoryStore,
        sessions::{Ended, NewPassword, NewSession, Refresh, Refreshed, SessionStore, SessionView},
    },
};
use chat_gateway_config::stats::ShardStats;
use jiff::Timestamp;

use crate::{chronicle::Chronicle, line::Line};

pub(crate) struct SimStore {
    pub(crate) inner: Arc<MemoryStore>,
    pub(crate) line: Arc<Line>,
    pub(crate) chronicle: Arc<Chronicle>,
}

impl SimStore {
    /// Notes a change of members. Nothing in here waits, so nobody else can have come between the change and this.
    async fn note(&self, room: RoomId, answer: &Result<Changed<()>, StoreError>) {
        if let Ok(changed) = answer {
            let place = self.inner.positions(&[room]).await.ok().and_then(|places| places.first().copied());
            self.chronicle.note(&changed.events, place.map_or(0, |place| place.last_seq));
        }
    }
}

macro_rules! over_the_line {
    (
        impl $contract:ident { $(async fn $name:ident(&self $(, $arg:ident: $kind:ty)*) -> Result<$answer:ty>;)* }
        as it is { $($plain:tt)* }
    ) => {
        #[async_trait]
        impl $contract for SimStore {
            $(async fn $name(&self $(, $arg: $kind)*) -> Result<$answer, StoreError> {
                self.line.to_store().await?;
                let answer = self.inner.$name($($arg),*).await;
                self.line.back_from_store().await?;
                answer
            })*
            $($plain)*
        }
    };
}

over_the_line! {
    impl Store {
        async fn create_user(&self, new: NewUser) -> Result<User>;
        async fn users(&self, ids: &[UserId]) -> Result<Vec<User>>;
        async fn credentials(&self, id: UserId) -> Result<Option<(User, String)>>;
        async fn user_rooms(&self, user: UserId) -> Result<(Vec<Room>, bool)>;
        async fn room_ids(&self, user: UserId) -> Result<Vec<RoomId>>;
        async fn summaries(&self, user: UserId, rooms: &[RoomId]) -> Result<(Vec<RoomSummary>, bool)>;
        async fn create_room(&self, new: NewRoom, request: Option<RequestId>) -> Result<Changed<(Room, bool)>>;
        async fn made_before(&self, new: &NewRoom, request: RequestId) -> Result<Option<(Room, bool)>>;
        async fn room(&self, room: RoomId, user: UserId) -> Result<Room>;
        async fn membership(&self, room: RoomId, user: UserId) -> Result<Option<Role>>;
        async fn members(&self, room: RoomId, user: UserId, after: i64, limit: u32) -> Result<(Vec<Member>, Option<i64>)>;
        async fn set_role(&self, room: RoomId, actor: UserId, member: UserId, role: Role, request: Option<RequestId>) -> Result<Changed<()>>;
        async fn mute(&self, room: RoomId, user: UserId, until: Option<Timestamp>, request: Option<RequestId>) -> Result<bool>;
        async fn send(&self, new: NewMessage) -> Result<Sent>;
        async fn history(&self, room: RoomId, user: UserId, page: Page, view: View, limit: u32) -> Result<Entries>;
        async fn replay(&self, room: RoomId, after: Seq, limit: u32) -> Result<Replay>;
        async fn positions(&self, rooms: &[RoomId]) -> Result<Vec<Place>>;
        async fn standing(&self, room: RoomId, users: &[UserId]) -> Result<Standing>;
        async fn mark(&self, room: RoomId, user: UserId, delivered: Option<Seq>, read: Option<Seq>) -> Result<Marks>;
        async fn apply_membership(&self, event: &StoredEvent) -> Result<()>;
        async fn claim_outbox(&self, min_age: Duration, limit: u32) -> Result<Vec<OutboxEvent>>;
        async fn finish_outbox(&self, keys: &[OutboxKey]) -> Result<()>;
        async fn trim(&self, room: RoomId, keep: Seq) -> Result<()>;
    }
    as it is {
        async fn add_member(
            &self, room: RoomId, actor: UserId, member: User, request: Option<RequestId>,
        ) -> Result<Changed<()>, StoreError> {
            self.line.to_store().await?;
            let answer = self.inner.add_member(room, actor, member, request).await;
            self.note(room, &answer).await;
            self.line.back_from_store().await?;
            answer
        }

        async fn remove_member(
            &self, room: RoomId, actor: UserId, member: UserId, request: Option<RequestId>,
        ) -> Result<Changed<()>, StoreError> {
            self.line.to_store().await?;
            let answer = self.inner.remove_member(room, actor, member, request).await;
            self.note(room, &answer).await;
            self.line.back_from_store().await?;
            answer
        }

        async fn health(&self) -> Vec<ShardStats> {
            self.inner.health().await
        }
    }
}

over_the_line! {
    impl SessionStore {
        async fn create_session(&self, new: NewSession) -> Result<()>;
        async fn refresh_session(&self, refresh: Refresh) -> Result<Refreshed>;
        async fn end_session(&self, user: UserId, session: SessionId) -> Result<bool>;
        async fn end_sessions(&self, user: UserId, keep: Option<SessionId>) -> Result<u64>;
        async fn sessions(&self, user: UserId) -> Result<Vec<SessionView>>;
        async fn session_lives(&self, user: UserId, session: SessionId) -> Result<bool>;
        async fn ended_sessions(&self, sessions: &[(UserId, SessionId)]) -> Result<Vec<SessionId>>;
        async fn ended_since(&self, part: usize, mark: Option<i64>) -> Result<Ended>;
        async fn change_password(&self, new: NewPassword) -> Result<bool>;
        async fn ensure_user(&self, user: User) -> Result<User>;
    }
    as it is {
        fn ended_parts(&self) -> Vec<usize> {
            self.inner.ended_parts()
        }
    }
}
