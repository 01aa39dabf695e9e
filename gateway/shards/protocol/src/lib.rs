//! The transitions of a slot's row while the slot moves from one shard to another.
//!
//! Each step of the protocol that changes a row of `chat.slot_ownership`, or asks it whether something may go on, is one
//! pure function here: from the row as it was read under the slot's lock, to the row to be written, or to the [`Refusal`]
//! that says why nothing is. The functions in the database and the mover do the same in SQL, and are tested against these;
//! a model checks these exhaustively (`tests/model`). Why the checks are as they are: `docs/adr/0028`.
//!
//! | step | where | function | its locks |
//! | --- | --- | --- | --- |
//! | S1 claim | source | [`claim()`] | exclusive |
//! | S2 prepare | destination | [`prepare()`] | exclusive |
//! | S3 copy, S4 drain | both | [`apply`], [`forget`] | the row's |
//! | S6 fence | source | [`fence()`] | exclusive |
//! | S7 commit | source | [`commit()`] | exclusive |
//! | S8 activate | destination | [`token`] at the source, then [`activate()`]; before it, where a promotion has lost rows, [`restore`] | exclusive |
//! | S10 clean | source | [`clean()`] | the row's |
//! | abort | source, then destination | [`abort()`], [`discard`] | exclusive |
//! | end of an inherited fence | source | [`unfence`] | exclusive |
//! | any write | owner | [`guard()`] | shared, held until the transaction ends |
//!
//! The lock is the advisory lock of the slot. It is no input of these functions, and nothing in them replaces it: each has
//! to be called, and what it answers committed, while the lock is held, and the row is to be read after the lock was got.
//!
//! Between the steps that change rows, S0 writes the order, S5 compares everything, S6b drains the log to the end behind the
//! fence, and S9 publishes the map.
//!
//! # Rules for failovers
//!
//! | rule | |
//! | --- | --- |
//! | R1 | S8 only after the source's standby that may be promoted has flushed S7 |
//! | R2 | S7 only after the destination's standby has flushed the last drain |
//! | R3 | S10 only after the destination's standby has flushed S8, and a fresh compare passes |
//! | R4 | every row in transit has the timeline; on another one its fence does not lapse by itself, and the mover starts again at S1; if the destination's has changed behind S7, it is compared with what the source retains before S8 |
//!
//! # Invariants
//!
//! | invariant | |
//! | --- | --- |
//! | I1 | at most one shard accepts writes of a slot at any instant |
//! | I2 | every acknowledged write is at the owner whenever there is one, with the same room and seq |
//! | I3 | seqs of a room are contiguous from 1 to `last_seq`, which never falls |
//! | I4 | there is one row for a message id |
//! | I5 | the order that any reader sees is that of seq |
//! | I6 | the epoch rises at S7 only, by one; the generation rises at S1 only |
//! | I7 | a transaction with an old generation changes nothing |
//! | I8 | rows of the source are deleted only if R3 holds |
//! | I9 | from any state writes are soon accepted somewhere, if both shards are up |
//! | I10 | the map's epoch is never ahead of the databases'; a lost map loses nothing |
//! | I11 | after completion a new plan is empty |
//!
//! Which slot an id belongs to is [`slot_of`].
//!
//! Nothing here does I/O, knows SQL, or reads a clock.

mod abort;
mod activate;
mod claim;
mod clean;
mod commit;
mod copy;
mod fence;
mod guard;
mod prepare;
mod refusal;
mod row;
mod slot;
#[cfg(test)]
mod tests;

pub use abort::{abort, discard};
pub use activate::{Token, activate, token};
pub use claim::{Claimed, Order, claim};
pub use clean::{CleanProof, clean};
pub use commit::{CommitProof, commit};
pub use copy::{apply, forget, restore};
pub use fence::{fence, unfence};
pub use guard::{Verdict, guard, readable};
pub use prepare::{Prepared, prepare};
pub use refusal::Refusal;
pub use row::{Claim, Epoch, Generation, Millis, MoveId, Row, Site, State, Timeline, Transit};
pub use slot::slot_of;
