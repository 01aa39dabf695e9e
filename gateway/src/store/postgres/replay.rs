//! What the hub reads about whole rooms: what it has to bring, and to whom it may.

use uuid::Uuid;

use super::{PostgresStore, entry_row::EntryRow};
use crate::{
    model::{RoomId, Seq, UserId},
    store::{Place, Replay, Standing, StoreError, limits::MAX_PAGE},
};

impl PostgresStore {
    /// Entries after a seq, and the newest removal under the same snapshot; an absent room has none.
    pub(super) async fn entries_after(&self, room: RoomId, after: Seq, limit: u32) -> Result<Replay, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            removal_version: Option<i64>,
            #[sqlx(flatten)]
            entry: EntryRow,
        }
        let slot = self.slot(room.0);
        let limit = i32::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(1);
        let mut rows: Vec<Row> = self
            .on_slot(slot, |pool| async move {
                sqlx::query_as("select * from chat.replay($1, $2, $3, $4)")
                    .bind(slot)
                    .bind(room.0)
                    .bind(after)
                    .bind(limit)
                    .fetch_all(&pool)
                    .await
            })
            .await?;
        let removal = rows.iter().find_map(|row| row.removal_version).unwrap_or(0);
        rows.sort_by_key(|row| row.entry.seq);
        Ok(Replay { messages: rows.into_iter().filter_map(|row| row.entry.message(room)).collect(), removal })
    }

    /// Where rooms stand, as far as their shards answer.
    pub(super) async fn places(&self, rooms: &[RoomId]) -> Result<Vec<Place>, StoreError> {
        let ids: Vec<Uuid> = rooms.iter().map(|room| room.0).collect();
        let (rows, _) = self
            .gather(&ids, |pool, slots, ids| async move {
                type Row = (Uuid, bool, Option<Seq>, Option<i64>);
                let rows: Vec<Row> =
                    sqlx::query_as("select room_id, readable, last_seq, removal_version from chat.places($1, $2)")
                        .bind(slots)
                        .bind(ids)
                        .fetch_all(&pool)
                        .await?;
                let place =
                    |id, last_seq, removal| Some(Place { room: RoomId(id), last_seq: last_seq?, removal: removal? });
                Ok(rows
                    .into_iter()
                    .map(|(id, readable, seq, removal)| (id, readable, place(id, seq, removal)))
                    .collect())
            })
            .await?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// Which of some users are members.
    pub(super) async fn find_standing(&self, room: RoomId, users: &[UserId]) -> Result<Standing, StoreError> {
        let slot = self.slot(room.0);
        let ids: Vec<Uuid> = users.iter().map(|user| user.0).collect();
        let (version, members): (Option<i64>, Option<Vec<Uuid>>) = self
            .on_slot(slot, |pool| {
                let ids = &ids;
                async move {
                    sqlx::query_as("select member_version, users from chat.still_members($1, $2, $3)")
                        .bind(slot)
                        .bind(room.0)
                        .bind(ids)
                        .fetch_one(&pool)
                        .await
                }
            })
            .await?;
        let members = members.unwrap_or_default().into_iter().map(UserId).collect();
        Ok(Standing { version: version.unwrap_or(0), members })
    }
}
