//! Brings a call to the shard that owns its slot, and repeats it there, with the same ids, when that may help.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use futures::future::join_all;
use sqlx::PgPool;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

use super::{
    PostgresStore,
    failure::{Cause, Failure, classify},
    shard::{Doubt, Shard},
};
use crate::store::StoreError;

/// Bound of one try, so that a connection into nowhere does not hold a request.
pub(super) const ATTEMPT: Duration = Duration::from_secs(3);
/// How long a request waits for a slot that is on the move. Moves keep it under 250 ms.
const MOVE_BUDGET: Duration = Duration::from_secs(2);
/// How long a request waits for the mover of a slot that was handed over, before it opens the slot itself. Movers need some milliseconds.
const OPENS_AFTER: Duration = Duration::from_millis(50);
/// How long a request waits for a shard that went away; once it has been away for longer, requests fail at once.
const AWAY_BUDGET: Duration = Duration::from_secs(3);
/// Times a bulk read asks again for the rooms that had moved.
const BULK_ROUNDS: usize = 4;

/// 5 to 20 ms: long enough for a hand-over, spread so that waiting gateways do not come back together.
fn jitter() -> Duration {
    Duration::from_millis(rand::random_range(5..=20))
}

fn unavailable(shard: &str, cause: impl Into<String>) -> StoreError {
    StoreError::Unavailable { shard: shard.to_owned(), cause: cause.into() }
}

impl PostgresStore {
    /// Calls `op` on the owner of `slot` until it is answered, within the budgets above.
    pub(super) async fn on_slot<T, F, Fut>(&self, slot: i32, op: F) -> Result<T, StoreError>
    where
        F: Fn(PgPool) -> Fut,
        Fut: Future<Output = Result<T, sqlx::Error>>,
    {
        let started = Instant::now();
        let mut arriving = None;
        loop {
            let shard = self.owner(slot, started).await?;
            let cause = match self.attempt(&shard, started, &op).await {
                Ok(value) => return Ok(value),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Away(cause)) => return Err(unavailable(&shard.name, cause.message)),
                Err(Failure::Moved { peer, epoch, arriving: is_arriving }) => {
                    if self.follow(slot, &shard, &peer, epoch) && started.elapsed() < MOVE_BUDGET {
                        continue;
                    }
                    // The peer has sent us here: the slot is nobody's.
                    if is_arriving && arriving.get_or_insert_with(Instant::now).elapsed() >= OPENS_AFTER {
                        self.open(slot, &shard, &peer).await;
                    }
                    let how = if is_arriving { "is arriving from" } else { "moved to" };
                    format!("slot {slot} {how} shard {peer}")
                }
                Err(Failure::Fenced) => format!("slot {slot} is moving"),
                Err(Failure::NotOwned) => {
                    self.look_everywhere();
                    format!("slot {slot} is not owned by it")
                }
            };
            if started.elapsed() > MOVE_BUDGET {
                return Err(unavailable(&shard.name, cause));
            }
            sleep(jitter()).await;
        }
    }

    /// Takes in that `slot` is at `peer` now; true when there is another shard to ask at once. It is false while the peer
    /// says that `from` has it: then the news of one of them is old. It is also false for a peer that this gateway has not
    /// heard of yet: then the slot may have moved on to one that it knows, and the request waits for either within its budget.
    fn follow(&self, slot: i32, from: &Shard, peer: &str, epoch: i64) -> bool {
        let Some(owner) = self.fleet.named(peer) else {
            self.look_everywhere();
            return false;
        };
        self.directory.learn(owner.index, [(slot, epoch)]);
        owner.index != from.index && self.directory.shard_of(slot) == Some(owner.index)
    }

    /// The owner as far as is known; waits for the shards that have not told yet, and a moment for those that have told before the owner that
    /// was known left the list.
    async fn owner(&self, slot: i32, started: Instant) -> Result<Arc<Shard>, StoreError> {
        // Nearly always, and without a look at the other shards.
        if let Some(member) = self.member_of(slot) {
            return Ok(member.shard.clone());
        }
        let mut changes = self.directory.changes();
        loop {
            changes.mark_unchanged();
            // Before the look into the directory: a shard is in there before it counts as loaded.
            let mut silent = self.fleet.shards();
            silent.retain(|shard| !shard.status().borrow().loaded);
            if let Some(member) = self.member_of(slot) {
                return Ok(member.shard.clone());
            }
            let since = silent.iter().map(|shard| shard.status().borrow().since).max();
            let deadline = match since {
                Some(since) => (since + AWAY_BUDGET).min(started + AWAY_BUDGET),
                None => {
                    self.look_everywhere();
                    started + MOVE_BUDGET
                }
            };
            if timeout_at(deadline, changes.changed()).await.is_err() {
                if silent.is_empty() {
                    return Err(unavailable("none", format!("no shard owns slot {slot}")));
                }
                let names: Vec<&str> = silent.iter().map(|shard| shard.name.as_str()).collect();
                return Err(unavailable(&names.join(","), "it has not been reached since the start"));
            }
        }
    }

    /// Calls `op` on one shard, and again while it is away, until [`AWAY_BUDGET`] is over for it or for the request.
    pub(super) async fn attempt<T, F, Fut>(&self, shard: &Shard, started: Instant, op: &F) -> Result<T, Failure>
    where
        F: Fn(PgPool) -> Fut,
        Fut: Future<Output = Result<T, sqlx::Error>>,
    {
        let mut last: Option<Cause> = None;
        loop {
            let pool = self.wait_for(shard, started, last.take()).await?;
            let (cause, doubt) = match timeout(ATTEMPT, op(pool)).await {
                Ok(Ok(value)) => {
                    shard.note_answer();
                    return Ok(value);
                }
                Ok(Err(error)) => match classify(&error) {
                    Failure::Away(cause) => (cause, Doubt::of(&error)),
                    other => return Err(other),
                },
                Err(_) => (Cause::new("Timeout", "no answer within 3 s"), Doubt::Some),
            };
            shard.look(doubt);
            if started.elapsed() > AWAY_BUDGET {
                return Err(Failure::Away(cause));
            }
            last = Some(cause);
            sleep(jitter()).await;
        }
    }

    /// Calls `op` on one shard, once, and not at all while it is known to be away: for what is asked again soon anyway.
    pub(super) async fn once<T, F, Fut>(&self, shard: &Shard, op: F) -> Result<T, StoreError>
    where
        F: Fn(PgPool) -> Fut,
        Fut: Future<Output = Result<T, sqlx::Error>>,
    {
        let away = shard.status().borrow().away.clone();
        let pool = match (away, shard.pool()) {
            (None, Some(pool)) => pool,
            (Some(cause), _) => return Err(unavailable(&shard.name, cause.message)),
            (None, None) => return Err(unavailable(&shard.name, "no pool")),
        };
        match timeout(ATTEMPT, op(pool)).await {
            Ok(Ok(answer)) => {
                shard.note_answer();
                Ok(answer)
            }
            Ok(Err(error)) => Err(match classify(&error) {
                Failure::Final(error) => error,
                Failure::Away(cause) => {
                    shard.look(Doubt::of(&error));
                    unavailable(&shard.name, cause.message)
                }
                _ => unavailable(&shard.name, error.to_string()),
            }),
            Err(_) => Err(unavailable(&shard.name, "no answer within 3 s")),
        }
    }

    /// The pool of a shard that answers; waits while it has been away for less than the budget. A shard that has left the list owns nothing.
    async fn wait_for(&self, shard: &Shard, started: Instant, last: Option<Cause>) -> Result<PgPool, Failure> {
        let mut status = shard.status();
        loop {
            let (away, since, retired) = {
                let status = status.borrow_and_update();
                (status.away.clone(), status.since, status.retired)
            };
            if retired {
                return Err(Failure::NotOwned);
            }
            match (away, shard.pool()) {
                (None, Some(pool)) => return Ok(pool),
                // It was retired just now.
                (None, None) if shard.status().borrow().retired => return Err(Failure::NotOwned),
                (None, None) => return Err(Failure::Away(Cause::new("ProtocolError", "no pool"))),
                (Some(cause), _) => {
                    let deadline = (since + AWAY_BUDGET).min(started + AWAY_BUDGET);
                    if timeout_at(deadline, status.changed()).await.is_err() {
                        return Err(Failure::Away(last.unwrap_or(cause)));
                    }
                }
            }
        }
    }

    /// Reads rows of many ids, one query a shard, all shards at once. `op` answers `(id, readable, row)`; ids that were not
    /// readable are asked for again at their new owner. The second value is false when some could not be read.
    pub(super) async fn gather<R, F, Fut>(&self, ids: &[Uuid], op: F) -> Result<(Vec<R>, bool), StoreError>
    where
        F: Fn(PgPool, Vec<i32>, Vec<Uuid>) -> Fut,
        Fut: Future<Output = Result<Vec<(Uuid, bool, R)>, sqlx::Error>>,
    {
        let started = Instant::now();
        let mut rows = Vec::with_capacity(ids.len());
        let mut pending = ids.to_vec();
        let mut complete = true;
        for round in 0..BULK_ROUNDS {
            if pending.is_empty() {
                break;
            }
            if round > 0 {
                self.look_everywhere();
                sleep(4 * jitter()).await;
            }
            let mut groups: HashMap<usize, (Arc<Shard>, Vec<Uuid>)> = HashMap::new();
            let mut unknown = Vec::new();
            for id in pending.drain(..) {
                match self.member_of(self.slot(id)) {
                    Some(member) => {
                        let shard = &member.shard;
                        groups.entry(shard.index).or_insert_with(|| (shard.clone(), Vec::new())).1.push(id);
                    }
                    None => unknown.push(id),
                }
            }
            // An unknown owner is one that has not been reached: the answer is incomplete. Unless all have been: then it was a shard that has
            // left the list, and the others will say who has its slots.
            if self.fleet.shards().iter().all(|shard| shard.status().borrow().loaded) {
                pending.append(&mut unknown);
            } else {
                complete &= unknown.is_empty();
            }
            let asked = groups.into_values();
            let op = &op;
            let answers = join_all(asked.map(|(shard, group)| async move {
                let slots: Vec<i32> = group.iter().map(|id| self.slot(*id)).collect();
                let answer = self.attempt(&shard, started, &|pool| op(pool, slots.clone(), group.clone())).await;
                (answer, group)
            }))
            .await;
            for (answer, group) in answers {
                match answer {
                    Ok(found) => {
                        for (id, readable, row) in found {
                            if readable { rows.push(row) } else { pending.push(id) }
                        }
                    }
                    Err(Failure::Final(error)) => return Err(error),
                    // It has left the list since: the rows are elsewhere.
                    Err(Failure::NotOwned) => pending.extend(group),
                    Err(_) => complete = false,
                }
            }
        }
        Ok((rows, complete && pending.is_empty()))
    }

    /// Asks every prober to look now, after a refusal showed that the directory is old.
    fn look_everywhere(&self) {
        for shard in self.fleet.shards() {
            shard.look(Doubt::None);
        }
    }
}
