//! Members of rooms, in the room's slot.

use jiff::Timestamp;
use uuid::Uuid;

use super::PostgresStore;
use crate::{
    model::{Member, RequestId, Role, RoomId, Seq, User, UserId},
    store::{
        Changed, Marks, OutboxEvent, OutboxKey, StoreError, StoredEvent,
        limits::{MAX_MEMBERS, MAX_PAGE},
        membership::members_page,
        requests::{Asked, Change},
    },
};

pub(super) fn max_members() -> i32 {
    i32::try_from(MAX_MEMBERS).unwrap_or(i32::MAX)
}

/// A request's id and the digest of what it asks, as the guarded functions take them.
pub(super) fn columns(asked: Option<Asked>) -> (Option<Uuid>, Option<Vec<u8>>) {
    asked.map(|asked| (asked.id.0, asked.digest.to_vec())).unzip()
}

impl PostgresStore {
    /// Members after a cursor, and the cursor of the next page.
    pub(super) async fn list_members(
        &self,
        room: RoomId,
        user: UserId,
        after: i64,
        limit: u32,
    ) -> Result<(Vec<Member>, Option<i64>), StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            asked: bool,
            user_id: Option<Uuid>,
            name: Option<String>,
            display_name: Option<String>,
            role: Option<String>,
            delivered_seq: Option<Seq>,
            read_seq: Option<Seq>,
            version: Option<i64>,
        }
        let slot = self.slot(room.0);
        let limit = i32::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(1);
        let rows: Vec<Row> = self
            .on_slot(slot, |pool| async move {
                // One more than asked for tells whether there are more.
                sqlx::query_as("select * from chat.members_page($1, $2, $3, $4, $5)")
                    .bind(slot)
                    .bind(room.0)
                    .bind(user.0)
                    .bind(after)
                    .bind(limit + 1)
                    .fetch_all(&pool)
                    .await
            })
            .await?;
        if rows.iter().any(|row| !row.asked) {
            return Err(StoreError::RoomNotFound);
        }
        let member = |row: Row| {
            let member = Member {
                user: UserId(row.user_id?),
                name: row.name?,
                display_name: row.display_name?,
                role: Role::of_name(&row.role?),
                delivered_seq: row.delivered_seq?,
                read_seq: row.read_seq?,
            };
            Some((member, row.version?))
        };
        let members: Vec<(Member, i64)> = rows.into_iter().filter_map(member).collect();
        Ok(members_page(members, limit as usize))
    }

    pub(super) async fn insert_member(
        &self,
        room: RoomId,
        actor: UserId,
        member: User,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        let (slot, outbox) = (self.slot(room.0), Uuid::now_v7());
        let (request, asked) = columns(Asked::new(request, &Change::Add(member.id)));
        let version: Option<i64> = self
            .on_slot(slot, |pool| {
                let (member, asked) = (&member, &asked);
                async move {
                    sqlx::query_scalar("select chat.add_member($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
                        .bind(slot)
                        .bind(room.0)
                        .bind(actor.0)
                        .bind(member.id.0)
                        .bind(&member.name)
                        .bind(&member.display_name)
                        .bind(outbox)
                        .bind(max_members())
                        .bind(request)
                        .bind(asked)
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
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        let (slot, outbox) = (self.slot(room.0), Uuid::now_v7());
        let (request, asked) = columns(Asked::new(request, &Change::Remove(member)));
        let version: Option<i64> = self
            .on_slot(slot, |pool| {
                let asked = &asked;
                async move {
                    sqlx::query_scalar("select chat.remove_member($1, $2, $3, $4, $5, $6, $7)")
                        .bind(slot)
                        .bind(room.0)
                        .bind(actor.0)
                        .bind(member.0)
                        .bind(outbox)
                        .bind(request)
                        .bind(asked)
                        .fetch_one(&pool)
                        .await
                }
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

    pub(super) async fn change_role(
        &self,
        room: RoomId,
        actor: UserId,
        member: UserId,
        role: Role,
        request: Option<RequestId>,
    ) -> Result<Changed<()>, StoreError> {
        let (slot, outbox) = (self.slot(room.0), Uuid::now_v7());
        let (request, asked) = columns(Asked::new(request, &Change::SetRole(member, role)));
        let version: Option<i64> = self
            .on_slot(slot, |pool| {
                let asked = &asked;
                async move {
                    sqlx::query_scalar("select chat.set_role($1, $2, $3, $4, $5, $6, $7, $8)")
                        .bind(slot)
                        .bind(room.0)
                        .bind(actor.0)
                        .bind(member.0)
                        .bind(role.name())
                        .bind(outbox)
                        .bind(request)
                        .bind(asked)
                        .fetch_one(&pool)
                        .await
                }
            })
            .await?;
        let former_owner = (role == Role::Owner).then_some(actor);
        let event = version.map(|version| OutboxEvent {
            key: OutboxKey { slot, id: outbox },
            event: StoredEvent::Role { room, user: member, role, former_owner, version },
        });
        Ok(Changed { value: (), events: event.into_iter().collect() })
    }

    pub(super) async fn set_muted(
        &self,
        room: RoomId,
        user: UserId,
        until: Option<Timestamp>,
        request: Option<RequestId>,
    ) -> Result<bool, StoreError> {
        let slot = self.slot(room.0);
        let (request, asked) = columns(Asked::new(request, &Change::Mute(until)));
        let until = until.map(Timestamp::as_millisecond);
        self.on_slot(slot, |pool| {
            let asked = &asked;
            async move {
                sqlx::query_scalar("select chat.mute($1, $2, $3, $4, $5, $6)")
                    .bind(slot)
                    .bind(room.0)
                    .bind(user.0)
                    .bind(until)
                    .bind(request)
                    .bind(asked)
                    .fetch_one(&pool)
                    .await
            }
        })
        .await
    }
}
