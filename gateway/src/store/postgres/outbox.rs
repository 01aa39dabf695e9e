//! The outboxes of all shards.

use std::{sync::atomic::Ordering, time::Duration};

use futures::future::join_all;
use sqlx::PgPool;
use tokio::time::Instant;
use uuid::Uuid;

use super::{PostgresStore, entry_row::EntryRow, failure::Failure};
use crate::{
    model::RoomId,
    store::{OutboxEvent, OutboxKey, StoreError, StoredEvent, limits::CLAIM_HOLD},
};

#[derive(sqlx::FromRow)]
struct Row {
    slot: i32,
    id: Uuid,
    created_ms: i64,
    event: Option<serde_json::Value>,
    room_id: Uuid,
    removal_version: Option<i64>,
    #[sqlx(flatten)]
    entry: EntryRow,
}

impl Row {
    fn event(self) -> Option<OutboxEvent> {
        let key = OutboxKey { slot: self.slot, id: self.id };
        if let Some(event) = self.event {
            return match serde_json::from_value(event) {
                Ok(event) => Some(OutboxEvent { key, event }),
                // Written by a newer gateway; a newer gateway will relay it.
                Err(error) => {
                    tracing::warn!(slot = key.slot, id = %key.id, %error, "an outbox event is not understood");
                    None
                }
            };
        }
        let message = self.entry.message(RoomId(self.room_id))?;
        Some(OutboxEvent { key, event: StoredEvent::Message { message, removal: self.removal_version.unwrap_or(0) } })
    }
}

impl PostgresStore {
    pub(super) async fn claim(&self, min_age: Duration, limit: u32) -> Result<Vec<OutboxEvent>, StoreError> {
        let first = self.sweep.fetch_add(1, Ordering::Relaxed);
        let mut rows: Vec<Row> = Vec::new();
        let mut left = i32::try_from(limit).unwrap_or(i32::MAX);
        let mut shards = self.fleet.shards();
        let turn = first.checked_rem(shards.len()).unwrap_or(0);
        shards.rotate_left(turn);
        for shard in &shards {
            // A sweep waits for nobody: what is away now is swept once it is back.
            if left <= 0 || shard.status().borrow().away.is_some() {
                continue;
            }
            let op = |pool: PgPool| async move {
                sqlx::query_as(
                    "select * from chat.claim_events(make_interval(secs => $1), make_interval(secs => $2), $3)",
                )
                .bind(min_age.as_secs_f64())
                .bind(CLAIM_HOLD.as_secs_f64())
                .bind(left)
                .fetch_all(&pool)
                .await
            };
            match self.attempt(shard, Instant::now(), &op).await {
                Ok(found) => rows.extend::<Vec<Row>>(found),
                Err(Failure::Final(error)) => return Err(error),
                Err(_) => {}
            }
            left =
                i32::try_from(limit).unwrap_or(i32::MAX).saturating_sub(i32::try_from(rows.len()).unwrap_or(i32::MAX));
        }
        rows.sort_by_key(|row| (row.created_ms, row.id));
        Ok(rows.into_iter().filter_map(Row::event).collect())
    }

    /// Rows whose shard is away or whose slot is moving stay, and are relayed once more: that is allowed, waiting is not.
    pub(super) async fn finish(&self, keys: &[OutboxKey]) -> Result<(), StoreError> {
        let shards = self.fleet.shards();
        let groups = shards.iter().filter_map(|shard| {
            let here = keys.iter().filter(|key| self.directory.shard_of(key.slot) == Some(shard.index));
            let group: (Vec<i32>, Vec<Uuid>) = here.map(|key| (key.slot, key.id)).unzip();
            (!group.0.is_empty()).then_some((shard, group))
        });
        let outcomes =
            join_all(groups.map(|(shard, (slots, ids))| async move {
                let op = |pool: PgPool| {
                    let (slots, ids) = (&slots, &ids);
                    async move {
                        sqlx::query("select chat.finish_outbox($1, $2)").bind(slots).bind(ids).execute(&pool).await
                    }
                };
                self.attempt(shard, Instant::now(), &op).await
            }))
            .await;
        for outcome in outcomes {
            match outcome {
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Away(cause)) => {
                    tracing::debug!(cause = %cause.message, "outbox rows stay for the sweeper")
                }
                _ => {}
            }
        }
        Ok(())
    }
}
