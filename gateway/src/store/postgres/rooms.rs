//! Rooms, in their slots.

use uuid::Uuid;

use super::{
    PostgresStore, kind,
    members::{columns, max_members},
    timestamp,
};
use crate::{
    model::{Newest, RequestId, Role, Room, RoomId, RoomKind, RoomSummary, Seq, User, UserId},
    store::{
        Changed, NewRoom, OutboxEvent, OutboxKey, StoreError, StoredEvent,
        limits::UNREAD_WINDOW,
        membership::members_of,
        requests::{Asked, Change},
    },
};

/// kind, title, last_seq, delivered_seq, read_seq, created_ms, member_version
pub(super) type RoomColumns =
    (Option<String>, Option<String>, Option<Seq>, Option<Seq>, Option<Seq>, Option<i64>, Option<i64>);

pub(super) fn room_view(id: RoomId, columns: RoomColumns) -> Option<Room> {
    let (kind_name, title, last_seq, delivered_seq, read_seq, created, member_version) = columns;
    Some(Room {
        id,
        kind: kind(&kind_name?),
        title: title?,
        last_seq: last_seq?,
        read_seq: read_seq?,
        delivered_seq: delivered_seq?,
        created_at: timestamp(created?),
        member_version: member_version?,
    })
}

impl PostgresStore {
    pub(super) async fn insert_room(
        &self,
        new: NewRoom,
        request: Option<RequestId>,
    ) -> Result<Changed<(Room, bool)>, StoreError> {
        let creator = self.find_users(&[new.creator]).await?.pop();
        let creator = creator.ok_or_else(|| StoreError::UserNotFound(new.creator.to_string()))?;
        let users = members_of(creator, &new)?;
        let ids: Vec<Uuid> = users.iter().map(|u| u.id.0).collect();
        let names: Vec<&str> = users.iter().map(|u| u.name.as_str()).collect();
        let displays: Vec<&str> = users.iter().map(|u| u.display_name.as_str()).collect();
        let outbox: Vec<Uuid> = users.iter().map(|_| Uuid::now_v7()).collect();
        let kind_name = if new.kind == RoomKind::Direct { "direct" } else { "group" };
        let slot = self.slot(new.id.0);
        let (request, asked) = columns(Asked::new(request, &Change::Create(&new)));
        type Row = (String, String, Seq, Seq, Seq, i64, bool, bool);
        let row: Row = self
            .on_slot(slot, |pool| {
                let (new, ids, names, displays, outbox, asked) = (&new, &ids, &names, &displays, &outbox, &asked);
                async move {
                    sqlx::query_as("select * from chat.create_room($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
                        .bind(slot)
                        .bind(new.id.0)
                        .bind(kind_name)
                        .bind(&new.title)
                        .bind(ids)
                        .bind(names)
                        .bind(displays)
                        .bind(outbox)
                        .bind(max_members())
                        .bind(request)
                        .bind(asked)
                        .fetch_one(&pool)
                        .await
                }
            })
            .await?;
        let (kind_name, title, last_seq, delivered_seq, read_seq, created_ms, created, repeated) = row;
        let told = created && !repeated;
        let member_version = match (told, repeated) {
            (true, _) => i64::try_from(users.len()).unwrap_or(0),
            (false, true) => 0,
            // It was there, at a version that this answer does not say.
            (false, false) => self.find_room(new.id, new.creator).await?.member_version,
        };
        let room = Room {
            id: new.id,
            kind: kind(&kind_name),
            title,
            last_seq,
            read_seq,
            delivered_seq,
            created_at: timestamp(created_ms),
            member_version,
        };
        let joined = |((user, id), version): ((User, Uuid), i64)| OutboxEvent {
            key: OutboxKey { slot, id },
            event: StoredEvent::Joined { room: new.id, user: user.id, name: user.name, version },
        };
        let events = if told { users.into_iter().zip(outbox).zip(1..).map(joined).collect() } else { Vec::new() };
        Ok(Changed { value: (room, created), events })
    }

    /// What making a room was answered, if this request was carried out before.
    pub(super) async fn find_made(
        &self,
        new: &NewRoom,
        request: RequestId,
    ) -> Result<Option<(Room, bool)>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            kind: Option<String>,
            title: Option<String>,
            last_seq: Option<Seq>,
            delivered_seq: Option<Seq>,
            read_seq: Option<Seq>,
            created_ms: Option<i64>,
            created: Option<bool>,
            same: Option<bool>,
        }
        let (slot, id, creator) = (self.slot(new.id.0), new.id, new.creator);
        let (request, asked) = columns(Asked::new(Some(request), &Change::Create(new)));
        let row: Row = self
            .on_slot(slot, |pool| {
                let asked = &asked;
                async move {
                    sqlx::query_as("select * from chat.made_before($1, $2, $3, $4, $5)")
                        .bind(slot)
                        .bind(id.0)
                        .bind(creator.0)
                        .bind(request)
                        .bind(asked)
                        .fetch_one(&pool)
                        .await
                }
            })
            .await?;
        if row.same == Some(false) {
            return Err(StoreError::RequestIdReused);
        }
        let columns = (row.kind, row.title, row.last_seq, row.delivered_seq, row.read_seq, row.created_ms, Some(0));
        Ok(room_view(id, columns).zip(row.created))
    }

    pub(super) async fn find_room(&self, room: RoomId, user: UserId) -> Result<Room, StoreError> {
        let slot = self.slot(room.0);
        let columns: RoomColumns = self
            .on_slot(slot, |pool| async move {
                sqlx::query_as(
                    "select kind, title, last_seq, delivered_seq, read_seq, created_ms, member_version \
                     from chat.room_view($1, $2, $3)",
                )
                .bind(slot)
                .bind(room.0)
                .bind(user.0)
                .fetch_one(&pool)
                .await
            })
            .await?;
        room_view(room, columns).ok_or(StoreError::RoomNotFound)
    }

    pub(super) async fn find_role(&self, room: RoomId, user: UserId) -> Result<Option<Role>, StoreError> {
        let slot = self.slot(room.0);
        let name: Option<String> = self
            .on_slot(slot, |pool| async move {
                sqlx::query_scalar("select chat.membership($1, $2, $3)")
                    .bind(slot)
                    .bind(room.0)
                    .bind(user.0)
                    .fetch_one(&pool)
                    .await
            })
            .await?;
        Ok(name.as_deref().map(Role::of_name))
    }

    /// Rooms as a user sees them; those the user is not in are left out.
    pub(super) async fn rooms_of(&self, user: UserId, ids: &[Uuid]) -> Result<(Vec<Room>, bool), StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            room_id: Uuid,
            readable: bool,
            kind: Option<String>,
            title: Option<String>,
            last_seq: Option<Seq>,
            delivered_seq: Option<Seq>,
            read_seq: Option<Seq>,
            created_ms: Option<i64>,
            member_version: Option<i64>,
        }
        let (rows, complete) = self
            .gather(ids, |pool, slots, ids| async move {
                let rows: Vec<Row> = sqlx::query_as("select * from chat.room_views($1, $2, $3)")
                    .bind(user.0)
                    .bind(slots)
                    .bind(ids)
                    .fetch_all(&pool)
                    .await?;
                Ok(rows.into_iter().map(|row| (row.room_id, row.readable, row)).collect())
            })
            .await?;
        let view = |r: Row| {
            let columns = (r.kind, r.title, r.last_seq, r.delivered_seq, r.read_seq, r.created_ms, r.member_version);
            room_view(RoomId(r.room_id), columns)
        };
        Ok((rows.into_iter().filter_map(view).collect(), complete))
    }

    /// Rooms as their list shows them; those the user is not in are left out.
    pub(super) async fn list_summaries(
        &self,
        user: UserId,
        rooms: &[RoomId],
    ) -> Result<(Vec<RoomSummary>, bool), StoreError> {
        let ids: Vec<Uuid> = rooms.iter().map(|room| room.0).collect();
        let (rows, complete) = self
            .gather(&ids, |pool, slots, ids| async move {
                let rows: Vec<SummaryRow> = sqlx::query_as("select * from chat.summaries($1, $2, $3, $4)")
                    .bind(user.0)
                    .bind(slots)
                    .bind(ids)
                    .bind(i32::try_from(UNREAD_WINDOW).unwrap_or(i32::MAX))
                    .fetch_all(&pool)
                    .await?;
                Ok(rows.into_iter().map(|row| (row.room_id, row.readable, row)).collect())
            })
            .await?;
        Ok((rows.into_iter().filter_map(SummaryRow::summary).collect(), complete))
    }
}

#[derive(sqlx::FromRow)]
struct SummaryRow {
    room_id: Uuid,
    readable: bool,
    kind: Option<String>,
    title: Option<String>,
    last_seq: Option<Seq>,
    delivered_seq: Option<Seq>,
    read_seq: Option<Seq>,
    created_ms: Option<i64>,
    role: Option<String>,
    muted_ms: Option<i64>,
    member_count: Option<i32>,
    unread: Option<i64>,
    mentioned: Option<i64>,
    newest_seq: Option<Seq>,
    newest_sender: Option<Uuid>,
    newest_name: Option<String>,
    newest_body: Option<String>,
    newest_ms: Option<i64>,
    newest_deleted: Option<bool>,
}

impl SummaryRow {
    /// The summary, if the user is in the room.
    fn summary(self) -> Option<RoomSummary> {
        // Nobody follows a room by its summary, so the version is not asked for.
        let columns =
            (self.kind, self.title, self.last_seq, self.delivered_seq, self.read_seq, self.created_ms, Some(0));
        let newest = || {
            Some(Newest {
                seq: self.newest_seq?,
                sender: UserId(self.newest_sender?),
                sender_name: self.newest_name?,
                body: self.newest_body?,
                at: timestamp(self.newest_ms?),
                deleted: self.newest_deleted?,
            })
        };
        let count = |number: Option<i64>| u32::try_from(number.unwrap_or(0)).unwrap_or(u32::MAX);
        Some(RoomSummary {
            role: Role::of_name(&self.role?),
            muted_until: self.muted_ms.map(timestamp),
            members: count(self.member_count.map(i64::from)),
            unread: count(self.unread),
            mentioned: count(self.mentioned),
            newest: newest(),
            room: room_view(RoomId(self.room_id), columns)?,
        })
    }
}
