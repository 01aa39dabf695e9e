//! Events that must still be relayed.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};
use uuid::Uuid;

use super::{SLOTS, now_ms};
use crate::{
    model::RoomId,
    store::{OutboxEvent, OutboxKey, StoreError, StoredEvent, limits::CLAIM_HOLD},
};

/// Notes an event in the transaction that made it.
pub(super) fn push(connection: &Connection, room: RoomId, event: StoredEvent) -> Result<OutboxEvent, StoreError> {
    let key = OutboxKey { slot: chat_shards::slot_of(room.0, SLOTS), id: Uuid::now_v7() };
    let text = serde_json::to_string(&event).map_err(|error| StoreError::Internal(error.to_string()))?;
    let sql = "insert into outbox (id, slot, event, created_ms) values (?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute((key.id, key.slot, text, now_ms()))?;
    Ok(OutboxEvent { key, event })
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Created before this, an event is due.
fn horizon(min_age: Duration) -> i64 {
    now_ms().saturating_sub(milliseconds(min_age))
}

/// Whether there is anything to claim.
pub(super) fn is_due(connection: &Connection, min_age: Duration) -> Result<bool, StoreError> {
    let sql = "select 1 from outbox where created_ms <= ?1 and claimed_until_ms < ?2 limit 1";
    let found = connection.prepare_cached(sql)?.query_row((horizon(min_age), now_ms()), |_| Ok(())).optional()?;
    Ok(found.is_some())
}

/// Claims events, oldest first.
pub(super) fn claim(connection: &Connection, min_age: Duration, limit: u32) -> Result<Vec<OutboxEvent>, StoreError> {
    let sql = "select id, slot, event from outbox where created_ms <= ?1 and claimed_until_ms < ?2
        order by created_ms, id limit ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((horizon(min_age), now_ms(), limit), |row| {
        Ok((OutboxKey { id: row.get(0)?, slot: row.get(1)? }, row.get::<_, String>(2)?))
    })?;
    let mut claimed = Vec::new();
    for row in rows {
        let (key, text) = row?;
        let event = serde_json::from_str(&text)
            .map_err(|error| StoreError::Internal(format!("outbox row {} cannot be read: {error}", key.id)))?;
        claimed.push(OutboxEvent { key, event });
    }
    let mut hold = connection.prepare_cached("update outbox set claimed_until_ms = ?2 where id = ?1")?;
    for event in &claimed {
        hold.execute((event.key.id, now_ms() + milliseconds(CLAIM_HOLD)))?;
    }
    Ok(claimed)
}

/// Forgets events that were relayed.
pub(super) fn finish(connection: &Connection, keys: &[OutboxKey]) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached("delete from outbox where id = ?1")?;
    for key in keys {
        statement.execute([key.id])?;
    }
    Ok(())
}
