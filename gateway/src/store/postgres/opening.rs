//! S8 by a gateway: a slot whose mover died between the hand-over and its end is opened by a request that waits for it, on the word of the shard
//! that gave it away. Without mover and operator, too, somebody who writes waits for a fence and this, and no longer.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{PostgresStore, shard::Shard};
use crate::store::StoreError;

/// How long the standbys of the shard that gave the slot away may take to flush that (rule R1); another request asks again.
const STANDBYS: Duration = Duration::from_secs(1);
/// Between two looks at them.
const PAUSE: Duration = Duration::from_millis(20);

/// Slots that requests are opening: one is enough.
#[derive(Default)]
pub(super) struct Openings(Mutex<HashSet<i32>>);

/// Until it goes, nobody else opens this slot.
struct Turn<'a>(&'a Openings, i32);

impl Openings {
    fn turn(&self, slot: i32) -> Option<Turn<'_>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.insert(slot).then(|| Turn(self, slot))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// What a shard says of a slot that it gave away, as `chat.handed_over` answers.
#[derive(Clone, sqlx::FromRow)]
struct HandedOver {
    epoch: i64,
    r#gen: i64,
    move_id: Uuid,
    timeline: String,
    since: i64,
    position: String,
    flushed: bool,
}

impl PostgresStore {
    /// Opens a slot at the shard where it is arriving, if the shard that it comes from has given it away for good. Whether it did is seen by who
    /// asks again.
    pub(super) async fn open(&self, slot: i32, at: &Shard, from: &str) {
        let Some(_turn) = self.openings.turn(slot) else { return };
        match self.try_open(slot, at, from).await {
            Ok(true) => tracing::info!(slot, shard = at.name, from, "opened a slot that its mover had left"),
            Ok(false) => {}
            Err(error) => tracing::debug!(slot, shard = at.name, from, %error, "the slot was not opened"),
        }
    }

    async fn try_open(&self, slot: i32, at: &Shard, from: &str) -> Result<bool, StoreError> {
        let Some(source) = self.fleet.named(from) else { return Ok(false) };
        let deadline = Instant::now() + STANDBYS;
        let mut position: Option<String> = None;
        let word = loop {
            let asked = self.once(&source, |pool| {
                let position = position.clone();
                async move {
                    sqlx::query_as("select * from chat.handed_over($1, $2)")
                        .bind(slot)
                        .bind(position)
                        .fetch_optional(&pool)
                        .await
                }
            });
            let Some(word): Option<HandedOver> = asked.await? else { return Ok(false) };
            if word.flushed {
                break word;
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            position = Some(word.position);
            sleep(PAUSE).await;
        };
        self.once(at, |pool| {
            let HandedOver { epoch, r#gen, move_id, timeline, since, .. } = word.clone();
            async move {
                sqlx::query_scalar("select chat.open_slot($1, $2, $3, $4, $5, $6)")
                    .bind(slot)
                    .bind(epoch)
                    .bind(r#gen)
                    .bind(move_id)
                    .bind(timeline)
                    .bind(since)
                    .fetch_one(&pool)
                    .await
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_has_a_slots_turn_and_others_do_without() {
        let openings = Openings::default();
        let turn = openings.turn(5);
        assert!(turn.is_some() && openings.turn(5).is_none() && openings.turn(6).is_some());
        drop(turn);
        assert!(openings.turn(5).is_some());
    }
}
