//! S10: the source forgets the rows that it gave away. Its row stays, as a tombstone that tells where the slot went.

use chat_shard_protocol::{CleanProof, Refusal, clean};
use sqlx::AssertSqlSafe;
use tokio::time::Instant;

use crate::{
    begin::{BATCH, begin, delete_batch},
    book,
    error::MoveError,
    flush,
    mover::{Mover, refused},
    observe::{Observer, Point, Step},
    ranges::next_range,
    row::{self, Hold},
    shard::failed,
    tables::Range,
};

/// What never changes about a row once it is there, and what only grows: the part of the source's rows that the destination must have, whatever
/// was written there since.
const KEPT: &[(&str, &str, &str)] = &[
    (
        "messages",
        "room_id, seq, message_id, sender, kind, at, target, reply_to",
        "t.room_id = f.room_id and t.seq = f.seq and (t.message_id, t.sender, t.kind, t.at) = (f.message_id, f.sender, f.kind, f.at) \
         and t.target is not distinct from f.target and t.reply_to is not distinct from f.reply_to",
    ),
    (
        "rooms",
        "room_id, last_seq, member_version",
        "t.room_id = f.room_id and t.last_seq >= f.last_seq and t.member_version >= f.member_version",
    ),
    ("users", "user_id, name", "t.user_id = f.user_id and t.name = f.name"),
];
const ROWS: u32 = 5_000;
const BYTES: u64 = 64 << 20;

impl<O: Observer> Mover<O> {
    /// S10: deletes the source's rows of the slot once its new owner has them for good (rule R3); how many. `published`: every live gateway
    /// has a map of the new epoch or a later one, and the grace is over; both are the caller's to know.
    ///
    /// # Errors
    /// [`Refusal::Unverified`] unless published; [`Refusal::WrongState`] unless the slot has moved; [`MoveError::Mismatch`] when the new owner
    /// lacks something, and then nothing is deleted; the databases'.
    pub async fn clean(&mut self, published: bool) -> Result<u64, MoveError> {
        let cleaned = self.clean_all(published).await;
        self.let_go().await;
        cleaned
    }

    async fn clean_all(&mut self, published: bool) -> Result<u64, MoveError> {
        self.tell(Step::Clean);
        self.at(Point::Before(Step::Clean)).await?;
        let deadline = Instant::now() + self.options.standby_patience;
        let standbys = self.options.destination_standbys;
        // S8 did not wait for it.
        flush::on_disk(&mut self.destination).await?;
        let activation_is_flushed = flush::reached(&mut self.destination, standbys, deadline).await?;
        let proof = |compared| CleanProof { activation_is_flushed, compared, published };
        // Before the long comparison, what it cannot change.
        self.may_clean(proof(true)).await?;
        self.compare_kept().await?;
        let mut deleted = 0;
        for nth in 0..self.layouts.len() {
            deleted += self.clean_table(nth, proof(true)).await?;
        }
        book::cleaned(&mut self.destination, self.plan.slot, &self.source.name).await?;
        self.at(Point::After(Step::Clean)).await?;
        Ok(deleted)
    }

    async fn may_clean(&mut self, proof: CleanProof) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        let there = row::look(&mut self.destination, slot).await?;
        let here = row::look(&mut self.source, slot).await?;
        clean(here.as_ref(), there.as_ref(), proof).map_err(|refusal| self.source_refused(Step::Clean, refusal))
    }

    async fn clean_table(&mut self, nth: usize, proof: CleanProof) -> Result<u64, MoveError> {
        let slot = self.plan.slot;
        let name = self.source.name.clone();
        let table = self.layouts[nth].table.name;
        let mut deleted = 0;
        loop {
            let there = row::look(&mut self.destination, slot).await?;
            let mut transaction = begin(&mut self.source).await?;
            let (here, _) = row::read(&mut transaction, &name, slot, Hold::Row).await?;
            clean(here.as_ref(), there.as_ref(), proof)
                .map_err(|refusal: Refusal| refused(slot, &name, Step::Clean, refusal))?;
            let gone = delete_batch(transaction, &name, table, slot, "delete rows that have moved").await?;
            deleted += gone;
            if gone < BATCH {
                return Ok(deleted);
            }
        }
    }

    /// Whether the new owner has what the source retains, as far as that never changes.
    async fn compare_kept(&mut self) -> Result<(), MoveError> {
        let slot = self.plan.slot;
        for (table, columns, same) in KEPT {
            let Some(layout) = self.layouts.iter().find(|layout| layout.table.name == *table) else { continue };
            let mut after = None;
            loop {
                let range = next_range(&mut self.source, layout, slot, after, ROWS, BYTES).await?;
                let read = format!(
                    "select coalesce(jsonb_agg(to_jsonb(t)), '[]')::text from (select {columns} from chat.{table} where {} order by {}) t",
                    range.condition(layout.table, slot),
                    layout.table.bounds()
                );
                let kept: String = sqlx::query_scalar(AssertSqlSafe(read))
                    .persistent(false)
                    .fetch_one(&mut self.source.connection)
                    .await
                    .map_err(failed(&self.source.name, "read what is retained"))?;
                let missing: Option<String> = sqlx::query_scalar(AssertSqlSafe(format!(
                    "select to_jsonb(f)::text from jsonb_populate_recordset(null::chat.{table}, $2::jsonb) f \
                     where not exists (select from chat.{table} t where t.slot = $1 and {same}) limit 1"
                )))
                .bind(slot)
                .bind(kept)
                .fetch_optional(&mut self.destination.connection)
                .await
                .map_err(failed(&self.destination.name, "compare with what is retained"))?;
                if let Some(key) = missing {
                    return Err(MoveError::Mismatch { slot, table: layout.table.name, key });
                }
                match range {
                    Range { upto: Some(upto), .. } => after = Some(upto),
                    Range { upto: None, .. } => break,
                }
            }
        }
        Ok(())
    }
}
