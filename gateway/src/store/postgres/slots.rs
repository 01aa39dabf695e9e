//! What the shards say of their slots: `chat.slot_report()` and `chat.slot_sizes()`.

use std::{sync::Arc, time::Duration};

use chat_gateway_config::slots::{MovedSlot, OwnedSlots, ShardSlots, SlotSize, SlotsAnswer, Transit};
use futures::future::join_all;
use sqlx::{Connection as _, PgConnection, types::Json};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{PostgresStore, connect, failure, shard::Shard};
use crate::store::{SlotsQuestion, StoreError};

/// How long an answer waits for one shard's sizes; its report is bounded as every statement is.
const SIZES_BUDGET: Duration = Duration::from_secs(3);
/// How long sizes are good for: counting reads whole tables, and plans of moves are made of them every few minutes.
const SIZES_KEPT: Duration = Duration::from_secs(60);
/// The server ends the count after this long; ten times the longest other statement, hence a session of its own.
const SIZES_TIMEOUT: &str = "30s";
/// As [`SIZES_TIMEOUT`] with the way there: after this long nobody answers any more.
const SIZES_PATIENCE: Duration = Duration::from_secs(40);

/// The sizes of one shard's slots as they were counted last.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    known: watch::Sender<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// When the last count ended, well or not.
    at: Option<Instant>,
    counting: bool,
    sizes: Vec<SlotSize>,
}

#[derive(sqlx::FromRow)]
struct Report {
    id: Uuid,
    owned: Vec<i32>,
    epochs: Vec<i64>,
    arriving: Json<Vec<Transit>>,
    leaving: Json<Vec<Transit>>,
    moved: Json<Vec<MovedSlot>>,
    lag_bytes: Option<i64>,
}

impl PostgresStore {
    /// Asks every shard at once.
    pub(super) async fn slots_of_all(&self, question: SlotsQuestion) -> SlotsAnswer {
        let shards = self.fleet.shards();
        let answers = shards.iter().map(|shard| async move {
            match self.slots_of(shard, question).await {
                Ok(answer) => answer,
                Err(error) => {
                    let error = match error {
                        StoreError::Unavailable { cause, .. } => cause,
                        other => other.to_string(),
                    };
                    ShardSlots { name: shard.name.clone(), error: Some(error), ..ShardSlots::default() }
                }
            }
        });
        let mut shards = join_all(answers).await;
        shards.sort_by(|a, b| a.name.cmp(&b.name));
        SlotsAnswer { slots: self.slots, shards }
    }

    async fn slots_of(&self, shard: &Arc<Shard>, question: SlotsQuestion) -> Result<ShardSlots, StoreError> {
        // Without a time there is no move that ended since.
        let since = question.since.map(|at| at.as_millisecond());
        let report = self.once(shard, |pool| async move {
            sqlx::query_as("select * from chat.slot_report('epoch'::timestamptz + $1 * interval '1 millisecond')")
                .bind(since)
                .fetch_optional(&pool)
                .await
        });
        let sizes = async { if question.sizes { shard.sizes.get(shard).await } else { Vec::new() } };
        let (report, sizes) = tokio::join!(report, sizes);
        let report: Report = report?.ok_or_else(|| StoreError::Internal("the database has no identity".to_owned()))?;
        Ok(ShardSlots {
            name: shard.name.clone(),
            error: None,
            id: Some(report.id.to_string()),
            owned: ranges(report.owned.into_iter().zip(report.epochs)),
            arriving: report.arriving.0,
            leaving: report.leaving.0,
            moved: report.moved.0,
            sizes,
            lag_bytes: report.lag_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        })
    }
}

/// Neighbours of one epoch as one entry; the slots rise.
fn ranges(owned: impl Iterator<Item = (i32, i64)>) -> Vec<OwnedSlots> {
    let mut ranges: Vec<OwnedSlots> = Vec::new();
    for (slot, epoch) in owned {
        // The schema's checks leave no negative ones.
        let (Ok(slot), Ok(epoch)) = (u32::try_from(slot), u64::try_from(epoch)) else { continue };
        match ranges.last_mut() {
            Some(last) if last.epoch == epoch && last.last.checked_add(1) == Some(slot) => last.last = slot,
            _ => ranges.push(OwnedSlots { first: slot, last: slot, epoch }),
        }
    }
    ranges
}

impl Sizes {
    /// The sizes of the last count; one begins when that is old, and is waited for within [`SIZES_BUDGET`]. Empty while nothing was counted.
    async fn get(&self, shard: &Arc<Shard>) -> Vec<SlotSize> {
        let mut known = self.known.subscribe();
        if self.begin() {
            // Goes on when whoever asked has gone: the next one wants it, too.
            let shard = Arc::clone(shard);
            tokio::spawn(async move {
                let counted = timeout(SIZES_PATIENCE, count(&shard)).await;
                shard.sizes.end(&shard.name, counted.unwrap_or_else(|_| Err("no answer within 40 s".to_owned())));
            });
        }
        // Its sender is in `self`, so only the time can end the wait.
        let _ = timeout(SIZES_BUDGET, known.wait_for(|known| !known.counting)).await;
        self.known.borrow().sizes.clone()
    }

    /// Whether the caller is the one that has to count.
    fn begin(&self) -> bool {
        self.known.send_if_modified(|known| {
            let fresh = known.at.is_some_and(|at| at.elapsed() < SIZES_KEPT);
            let begins = !known.counting && !fresh;
            known.counting |= begins;
            begins
        })
    }

    /// Takes in a count. After one that failed the sizes before it stay, and nobody tries again for a while.
    fn end(&self, shard: &str, counted: Result<Vec<SlotSize>, String>) {
        self.known.send_modify(|known| {
            known.counting = false;
            known.at = Some(Instant::now());
            match counted {
                Ok(sizes) => known.sizes = sizes,
                Err(error) => tracing::warn!(shard, error, "the rows of slots could not be counted"),
            }
        });
    }
}

/// Counts over a session of its own.
async fn count(shard: &Shard) -> Result<Vec<SlotSize>, String> {
    let said = |error: sqlx::Error| failure::cause(&error).map_or_else(|| error.to_string(), |cause| cause.message);
    let options = connect::options(&shard.uri_file).await.map_err(|error| error.to_string())?;
    let options = options.options([("statement_timeout", SIZES_TIMEOUT)]);
    let mut connection = PgConnection::connect_with(&options).await.map_err(said)?;
    let rows: Vec<(i32, i64, i64)> = sqlx::query_as("select slot, rows, bytes from chat.slot_sizes()")
        .fetch_all(&mut connection)
        .await
        .map_err(said)?;
    // The answer is there; a session that does not end well is the server's to notice.
    drop(connection.close().await);
    let size = |(slot, rows, bytes): (i32, i64, i64)| {
        Some(SlotSize {
            slot: u32::try_from(slot).ok()?,
            rows: u64::try_from(rows).ok()?,
            bytes: u64::try_from(bytes).ok()?,
        })
    };
    Ok(rows.into_iter().filter_map(size).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_epoch_are_one_entry() {
        let owned = [(0, 1), (1, 1), (2, 3), (4, 3), (5, 3)];
        let range = |first, last, epoch| OwnedSlots { first, last, epoch };
        assert_eq!(ranges(owned.into_iter()), [range(0, 1, 1), range(2, 2, 3), range(4, 5, 3)]);
        assert!(ranges(std::iter::empty()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_counts_for_a_minute_and_a_failure_keeps_what_was_known() {
        let sizes = Sizes::default();
        assert!(sizes.begin());
        assert!(!sizes.begin(), "somebody counts already");
        let one = SlotSize { slot: 1, rows: 2, bytes: 3 };
        sizes.end("a", Ok(vec![one]));
        assert!(!sizes.begin(), "it is fresh");
        tokio::time::advance(SIZES_KEPT).await;
        assert!(sizes.begin());
        sizes.end("a", Err("away".to_owned()));
        assert_eq!(sizes.known.borrow().sizes, [one]);
        assert!(!sizes.begin(), "nor is a failure repeated at once");
    }
}
