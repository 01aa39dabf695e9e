//! Which slots move where, so that every shard carries what its weight says and a shard that is to go carries nothing. Pure: no
//! I/O, no clock, and the same answer to the same question.
//!
//! A plan moves as little as it can: a move that does not take load from a shard that has too much, or does not bring it to one that
//! has too little, is not made unless at least half of it is a gain. No slot moves twice. When a plan has been carried out, a new
//! one for the same loads is empty (invariant I11 of the protocol of a move).

mod balance;
mod load;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use load::{Measure, loads};

/// A shard as plans see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its name, as in the spec.
    pub name: String,
    /// How much it carries in proportion to the others; at least 1.
    pub weight: u32,
    /// Everything is to leave it.
    pub draining: bool,
}

/// A slot as plans see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its number.
    pub slot: u32,
    /// Index of the shard that owns it.
    pub shard: usize,
    /// What it costs its shard, in any unit; [`loads`] makes it of what was measured.
    pub load: u64,
    /// It has moved a short while ago, or is about to: only a shard that is to go gives it away.
    pub rests: bool,
}

/// When a plan is made, and what a move has to bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Percent of its share by which a shard may be off before anything is moved; 10, as in Citus.
    pub tolerance_percent: u64,
    /// Percent of a slot's load that its move has to bring at least; 50, as in Citus.
    pub least_gain_percent: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { tolerance_percent: 10, least_gain_percent: 50 }
    }
}

/// One slot that is to move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Move {
    /// The slot.
    pub slot: u32,
    /// The shard that has it.
    pub from: String,
    /// The shard that gets it.
    pub to: String,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nobody could take anything.
    #[error("every shard is to go; leave one, or add one")]
    NobodyStays,
    /// A slot without an owner, which only the shards themselves can answer for.
    #[error("slot {0} is owned by none of the shards that were asked")]
    Ownerless(u32),
}

/// Compares what the shards carry with what they should, and tells which slots are to move, by number. Empty when nothing is to
/// leave a shard, and every shard is as near to its share as the tolerance wants, or as slots can be divided.
///
/// # Errors
/// [`PlanError`].
pub fn plan(shards: &[Shard], slots: &[Slot], rules: Rules) -> Result<Vec<Move>, PlanError> {
    if shards.iter().all(|shard| shard.draining) {
        return Err(PlanError::NobodyStays);
    }
    if let Some(lost) = slots.iter().find(|slot| slot.shard >= shards.len()) {
        return Err(PlanError::Ownerless(lost.slot));
    }
    let owners = balance::balanced(shards, slots, rules);
    let name = |shard: usize| shards.get(shard).map(|shard| shard.name.clone()).unwrap_or_default();
    let mut moves: Vec<Move> = slots
        .iter()
        .zip(owners)
        .filter(|(slot, owner)| slot.shard != *owner)
        .map(|(slot, owner)| Move { slot: slot.slot, from: name(slot.shard), to: name(owner) })
        .collect();
    moves.sort();
    Ok(moves)
}
