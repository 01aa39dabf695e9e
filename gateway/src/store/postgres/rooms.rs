//! Rooms and members, in the room's slot.

use uuid::Uuid;

use super::{PostgresStore, kind, role, timestamp};
use crate::{
    model::{Member, Role, Room, RoomId, RoomKind, Seq, User, UserId},
    store::{
        Changed, Marks, NewRoom, OutboxEvent, OutboxKey, StoreError, StoredEvent, limits::MAX_MEMBERS,
        membership::members_of,
    },
};

/// kind, title, last_seq, delivered_seq, read_seq, created_ms
type RoomColumns = (Option<String>, Option<String>, Option<Seq>, Option<Seq>, Option<Seq>, Option<i64>);

fn room_view(id: RoomId, columns: RoomColumns) -> Option<Room> {
    let (kind_name, title, last_seq, delivered_seq, read_seq, created) = columns;
    Some(Room {
        id,
        kind: kind(&kind_name?),
        title: title?,
        last_seq: last_seq?,
        read_seq: read_seq?,
        delivered_seq: delivered_seq?,
        created_at: timestamp(created?),
    })
}

fn max_members() -> i32 {
    i32::try_from(MAX_MEMBERS).unwrap_or(i32::MAX)
}

impl PostgresStore {
    pub(super) async fn insert_room(&self, new: NewRoom) -> Result<Changed<(Room, bool)>, StoreError> {
        let creator = self.find_users(&[new.creator]).await?.pop();
        let creator = creator.ok_or_else(|| StoreError::UserNotFound(new.creator.to_string()))?;
        let users = members_of(creator, &new)?;
        let ids: Vec<Uuid> = users.iter().map(|u| u.id.0).collect();
        let names: Vec<&str> = users.iter().map(|u| u.name.as_str()).collect();
        let displays: Vec<&str> = users.iter().map(|u| u.display_name.as_str()).collect();
        let outbox: Vec<Uuid> = users.iter().map(|_| Uuid::now_v7()).collect();
        let kind_name = if new.kind == RoomKind::Direct { "direct" } else { "group" };
        let slot = self.slot(new.id.0);
        type Row = (String, String, Seq, Seq, Seq, i64, bool);
        let row: Row = self
            .on_slot(slot, |pool| {
                let (new, ids, names, displays, outbox) = (&new, &ids, &names, &displays, &outbox);
                async move {
                    sqlx::query_as("select * from chat.create_room($1, $2, $3, $4, $5, $6, $7, $8, $9)")
                        .bind(slot)
                        .bind(new.id.0)
                        .bind(kind_name)
                        .bind(&new.title)
                        .bind(ids)
                        .bind(names)
                        .bind(displays)
                        .bind(outbox)
                        .bind(max_members())
                        .fetch_one(&pool)
                        .await
                }
            })
            .await?;
        let (kind_name, title, last_seq, delivered_seq, read_seq, created_ms, created) = row;
        let room = Room {
            id: new.id,
            kind: kind(&kind_name),
            title,
            last_seq,
            read_seq,
            delivered_seq,
            created_at: timestamp(created_ms),
        };
        let joined = |((user, id), version): ((User, Uuid), i64)| OutboxEvent {
            key: OutboxKey { slot, id },
            event: StoredEvent::Joined { room: new.id, user: user.id, name: user.name, version },
        };
        let events = if created { users.into_iter().zip(outbox).zip(1..).map(joined).collect() } else { Vec::new() };
        Ok(Changed { value: (room, created), events })
    }

    pub(super) async fn find_room(&self, room: RoomId, user: UserId) -> Result<Room, StoreError> {
        let slot = self.slot(room.0);
        let columns: RoomColumns = self
            .on_slot(slot, |pool| async move {
                sqlx::query_as(
                    "select kind, title, last_seq, delivered_seq, read_seq, created_ms from chat.room($1, $2, $3)",
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
        Ok(name.as_deref().map(role))
    }

    pub(super) async fn list_members(&self, room: RoomId, user: UserId) -> Result<Vec<Member>, StoreError> {
        type Row = (Option<Uuid>, Option<String>, Option<String>, Option<String>, Option<Seq>, Option<Seq>);
        let slot = self.slot(room.0);
        let rows: Vec<Row> = self
            .on_slot(slot, |pool| async move {
                sqlx::query_as(
                    "select user_id, name, display_name, role, delivered_seq, read_seq from chat.members($1, $2, $3)",
                )
                .bind(slot)
                .bind(room.0)
                .bind(user.0)
                .fetch_all(&pool)
                .await
            })
            .await?;
        let member = |(user, name, display_name, role_name, delivered_seq, read_seq): Row| {
            Some(Member {
                user: UserId(user?),
                name: name?,
                display_name: display_name?,
                role: role(&role_name?),
                delivered_seq: delivered_seq?,
                read_seq: read_seq?,
            })
        };
        let members: Vec<Member> = rows.into_iter().filter_map(member).collect();
        if members.is_empty() { Err(StoreError::RoomNotFound) } else { Ok(members) }
    }

    pub(super) async fn insert_member(
        &self,
        room: RoomId,
        actor: UserId,
        member: User,
    ) -> Result<Changed<()>, StoreError> {
        let (slot, outbox) = (self.slot(room.0), Uuid::now_v7());
        let version: Option<i64> = self
            .on_slot(slot, |pool| {
                let member = &member;
                async move {
                    sqlx::query_scalar("select chat.add_member($1, $2, $3, $4, $5, $6, $7, $8)")
                        .bind(slot)
                        .bind(room.0)
                        .bind(actor.0)
                        .bind(member.id.0)
                        .bind(&member.name)
                        .bind(&member.display_name)
                        .bind(outbox)
                        .bind(max_members())
                        .fetch_one(&pool)
                        .await
                }
            })
            .await?;
        let event = version.map(|version| OutboxEvent {
            key: OutboxKey { slot, id: outbox },
            event: StoredEvent::Joined { room, user: member.id, name: member.name, version },
        });
        Ok(Changed { value: (), events: event.into_iter().collect() })
    }

    pub(super) async fn delete_member(
        &self,
        room: RoomId,
        actor: UserId,
        member: UserId,
    ) -> Result<Changed<()>, StoreError> {
        let (slot, outbox) = (self.slot(room.0), Uuid::now_v7());
        let version: Option<i64> = self
            .on_slot(slot, |pool| async move {
                sqlx::query_scalar("select chat.remove_member($1, $2, $3, $4, $5)")
                    .bind(slot)
                    .bind(room.0)
                    .bind(actor.0)
                    .bind(member.0)
                    .bind(outbox)
                    .fetch_one(&pool)
                    .await
            })
            .await?;
        let event = version.map(|version| OutboxEvent {
            key: OutboxKey { slot, id: outbox },
            event: StoredEvent::Left { room, user: member, version },
        });
        Ok(Changed { value: (), events: event.into_iter().collect() })
    }

    pub(super) async fn raise_marks(
        &self,
        room: RoomId,
        user: UserId,
        delivered: Option<Seq>,
        read: Option<Seq>,
    ) -> Result<Marks, StoreError> {
        let slot = self.slot(room.0);
        let (delivered_seq, read_seq, changed): (Seq, Seq, bool) = self
            .on_slot(slot, |pool| async move {
                sqlx::query_as("select delivered_seq, read_seq, changed from chat.mark($1, $2, $3, $4, $5)")
                    .bind(slot)
                    .bind(room.0)
                    .bind(user.0)
                    .bind(delivered)
                    .bind(read)
                    .fetch_one(&pool)
                    .await
            })
            .await?;
        Ok(Marks { delivered_seq, read_seq, changed })
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
        }
        let (rows, complete) = self
            .gather(ids, |pool, slots, ids| async move {
                let rows: Vec<Row> = sqlx::query_as("select * from chat.rooms_of($1, $2, $3)")
                    .bind(user.0)
                    .bind(slots)
                    .bind(ids)
                    .fetch_all(&pool)
                    .await?;
                Ok(rows.into_iter().map(|row| (row.room_id, row.readable, row)).collect())
            })
            .await?;
        let view = |r: Row| {
            let columns = (r.kind, r.title, r.last_seq, r.delivered_seq, r.read_seq, r.created_ms);
            room_view(RoomId(r.room_id), columns)
        };
        Ok((rows.into_iter().filter_map(view).collect(), complete))
    }

    pub(super) async fn last_seqs(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Seq)>, StoreError> {
        let ids: Vec<Uuid> = rooms.iter().map(|room| room.0).collect();
        let (rows, _) = self
            .gather(&ids, |pool, slots, ids| async move {
                let rows: Vec<(Uuid, bool, Option<Seq>)> =
                    sqlx::query_as("select room_id, readable, last_seq from chat.positions($1, $2)")
                        .bind(slots)
                        .bind(ids)
                        .fetch_all(&pool)
                        .await?;
                Ok(rows.into_iter().map(|(id, readable, seq)| (id, readable, (RoomId(id), seq))).collect())
            })
            .await?;
        Ok(rows.into_iter().filter_map(|(room, seq)| Some((room, seq?))).collect())
    }
}
