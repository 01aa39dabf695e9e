//! Without a safeguard the checker finds a violation: so the model would show a fault, and the safeguard is needed. Where it
//! finds none, that is a statement, too: the test says which other safeguard does the same.

use crate::bounds::Bounds;
use crate::check::{holds, told, violation};
use crate::invariants::Invariant;
use crate::reachability::Graph;
use crate::safeguard::Safeguard;
use crate::world::World;
use crate::worlds::*;

/// The invariant is violated without these.
#[track_caller]
fn violates(invariant: Invariant, without: &[Safeguard], bounds: Bounds) {
    let way = violation(World::without(bounds, without), invariant);
    let way = way.unwrap_or_else(|| panic!("{} holds without {without:?}", invariant.name()));
    println!("{}, without {without:?}:\n{}", invariant.name(), told(&way));
}

/// I9 is violated without these, by steps that are no faults: no write can be accepted any more.
#[track_caller]
fn gets_stuck(without: &[Safeguard], bounds: Bounds) {
    let way = Graph::of(World::without(bounds, without)).stuck();
    let way = way.unwrap_or_else(|| panic!("nothing gets stuck without {without:?}"));
    println!("I9, without {without:?}:\n{}", told(&way));
}

/// Nothing is violated, and nothing gets stuck, without these.
#[track_caller]
fn survives(without: &[Safeguard], bounds: Bounds) {
    let world = World::without(bounds, without);
    let states = holds(world);
    let stuck = Graph::of(world).stuck();
    assert!(stuck.is_none(), "stuck after\n{}", told(&stuck.unwrap_or_default()));
    println!("nothing is violated without {without:?} in {states} states");
}

#[test]
fn generation_at_the_source() {
    violates(Invariant::I2, &[Safeguard::GenerationAtSource], DESTINATION_LOST);
}

#[test]
fn generation_at_the_destination() {
    violates(Invariant::I7, &[Safeguard::GenerationAtDestination], ZOMBIES);
    violates(Invariant::I2, &[Safeguard::GenerationAtDestination], ZOMBIES);
}

#[test]
fn generation_at_preparation() {
    gets_stuck(&[Safeguard::NewestClaimPrepares], ZOMBIES);
}

/// A mover of an earlier move would make a tombstone of a later one into a row that waits for ever.
#[test]
fn a_tombstone_is_not_prepared_for_an_earlier_move() {
    violates(Invariant::I6, &[Safeguard::NewestClaimPrepares], RETURNED);
}

/// The number alone is given out twice when a promotion loses a claim.
#[test]
fn timeline_in_the_generation() {
    violates(Invariant::I2, &[Safeguard::TimelineInGeneration], SOURCE_LOST);
}

#[test]
fn an_owner_is_not_prepared() {
    gets_stuck(&[Safeguard::OwnerIsNotPrepared], ZOMBIES);
}

#[test]
fn r1_flush_before_activation() {
    violates(Invariant::I1, &[Safeguard::FlushBeforeActivation], SOURCE_LOST);
}

/// A synchronous standby does not make R1 automatic: a commit whose wait was cut off is visible, and not flushed.
#[test]
fn r1_with_a_synchronous_standby() {
    violates(Invariant::I1, &[Safeguard::FlushIsAskedOfSynchronous], SOURCE_REPLACED);
}

#[test]
fn r2_flush_before_commit() {
    gets_stuck(&[Safeguard::FlushBeforeCommit], DESTINATION_LOST);
    violates(Invariant::I2, &[Safeguard::FlushBeforeCommit, Safeguard::VerifyBeforeActivation], DESTINATION_LOST);
}

/// After a promotion at the destination all that is there is flushed, but not all that was.
#[test]
fn r2_on_the_timeline_of_the_drain() {
    gets_stuck(&[Safeguard::FlushOnSameTimeline], DESTINATION_LOST);
}

#[test]
fn r3_flush_before_cleaning() {
    violates(Invariant::I8, &[Safeguard::FlushBeforeCleaning], DESTINATION_LOST);
}

/// With R2 the destination has everything.
#[test]
fn r3_compare_before_cleaning() {
    survives(&[Safeguard::CompareBeforeCleaning], DESTINATION_LOST);
}

/// With R1 nobody was activated. Without it, this is what keeps two from accepting where the standby had the fence but not S7,
/// and nobody ends the fence: so it stays, as a second line.
#[test]
fn r4_no_lapse_on_another_timeline() {
    survives(&[Safeguard::LapseEndsWithTimeline], SOURCE_REPLACED);
    let left_alone = Bounds { claims: 1, unattended: true, ..SOURCE_REPLACED };
    let first = Safeguard::FlushIsAskedOfSynchronous;
    assert_eq!(violation(World::without(left_alone, &[first]), Invariant::I1), None);
    violates(Invariant::I1, &[first, Safeguard::LapseEndsWithTimeline], left_alone);
}

#[test]
fn r4_timeline_at_the_source() {
    violates(Invariant::I3, &[Safeguard::TimelineAtSource], SOURCE_LOST);
}

#[test]
fn r4_copy_afresh_after_a_promotion_at_the_source() {
    violates(Invariant::I3, &[Safeguard::CopyAfreshAfterSource], SOURCE_LOST);
}

/// What the copy then has not brought is restored behind the hand-over, if people have that done; else the slot is stuck.
#[test]
fn r4_timeline_at_the_destination() {
    survives(&[Safeguard::TimelineAtDestination], DESTINATION_LOST);
    gets_stuck(&[Safeguard::TimelineAtDestination, Safeguard::LostRowsAreRestored], DESTINATION_LOST);
}

#[test]
fn r4_copy_afresh_after_a_promotion_at_the_destination() {
    violates(Invariant::I3, &[Safeguard::CopyAfreshAfterDestination], DESTINATION_LOST);
}

/// With R2 the comparison always succeeds.
#[test]
fn r4_comparison_after_a_promotion_at_the_destination() {
    survives(&[Safeguard::VerifyBeforeActivation], DESTINATION_LOST);
}

/// Where R2 was not kept, rows are missing behind the hand-over: they are restored, and nothing is violated meanwhile. A destination that has
/// lost its row, too, is beyond that.
#[test]
fn what_a_promotion_has_lost_is_restored() {
    use Safeguard::{FlushBeforeCommit, LostRowsAreRestored};
    let lossy = World::without(DESTINATION_LOST, &[FlushBeforeCommit]);
    holds(lossy);
    let stuck = Graph::of(lossy).stuck_unverified();
    assert!(stuck.is_none(), "stuck after\n{}", told(&stuck.unwrap_or_default()));
    let unrestored = World::without(DESTINATION_LOST, &[FlushBeforeCommit, LostRowsAreRestored]);
    let way = Graph::of(unrestored).stuck_unverified().expect("nothing gets stuck without a restoration");
    println!("I9, with nothing restored:\n{}", told(&way));
}

/// A mover that wakes behind another move would write what was there at its own time.
#[test]
fn claim_at_the_restoration() {
    violates(Invariant::I7, &[Safeguard::ClaimAtRestoring], RETURNED);
    violates(Invariant::I2, &[Safeguard::ClaimAtRestoring], RETURNED);
}

/// One that wakes when the slot is open would write over what has been written since.
#[test]
fn a_restoration_ends_at_the_activation() {
    violates(Invariant::I2, &[Safeguard::RestoringEndsAtActivation], DESTINATION_LOST);
}

/// A slot that is half restored would be opened by whoever has the token.
#[test]
fn a_restoration_is_verified() {
    violates(Invariant::I2, &[Safeguard::FlushBeforeCommit, Safeguard::RestoringIsVerified], DESTINATION_LOST);
}

#[test]
fn lock_at_the_claim() {
    violates(Invariant::I2, &[Safeguard::LockAtClaim], WRITERS);
}

/// S7 takes the lock again, and looks at the log under it.
#[test]
fn lock_at_the_fence() {
    survives(&[Safeguard::LockAtFence], WRITERS);
    violates(Invariant::I1, &[Safeguard::LockAtFence, Safeguard::LockAtCommit], WRITERS);
}

/// What is logged too late is emptied by the next claim. The lock is taken because every change of a row is made under it.
#[test]
fn lock_at_the_abort() {
    survives(&[Safeguard::LockAtAbort], ABORTED);
}

/// The deadline does the same, but where the clock is set back.
#[test]
fn lock_at_the_commit() {
    violates(Invariant::I1, &[Safeguard::LockAtCommit], WRITERS);
    survives(&[Safeguard::LockAtCommit], Bounds { steps_back: 0, ..WRITERS });
}

#[test]
fn empty_log() {
    violates(Invariant::I2, &[Safeguard::EmptyLog], WRITERS);
}

/// What a lapsed fence lets through is in the log, which S7 finds empty under its lock.
#[test]
fn deadline() {
    survives(&[Safeguard::Deadline], WRITERS);
    let steady = Bounds { steps_back: 0, ..WRITERS };
    violates(Invariant::I1, &[Safeguard::Deadline, Safeguard::LockAtCommit], steady);
}

#[test]
fn the_same_message_id() {
    violates(Invariant::I4, &[Safeguard::SameMessageId], WRITERS);
}

/// Each of the three names the one claim that committed, so each does.
#[test]
fn what_activation_compares() {
    use Safeguard::{EpochInToken, GenerationInToken, MoveInToken};
    for two in [[MoveInToken, GenerationInToken], [MoveInToken, EpochInToken], [GenerationInToken, EpochInToken]] {
        survives(&two, RETURNED);
    }
    violates(Invariant::I1, &[MoveInToken, GenerationInToken, EpochInToken], RETURNED);
}

#[test]
fn log_after_a_lapse() {
    violates(Invariant::I2, &[Safeguard::LogAfterLapse], WRITERS);
}

#[test]
fn copy_before_drain() {
    violates(Invariant::I2, &[Safeguard::CopyBeforeDrain], WRITERS);
}

#[test]
fn forget_after_apply() {
    violates(Invariant::I2, &[Safeguard::ForgetAfterApply], WRITERS);
}

#[test]
fn an_abort_is_too_late_after_the_commit() {
    violates(Invariant::I1, &[Safeguard::AbortEndsAtCommit], ABORTED);
}

/// A mover that has not heard of the abort claims the same move again.
#[test]
fn copy_afresh_after_an_abort() {
    violates(Invariant::I2, &[Safeguard::CopyAfreshAfterAbort], ABORTED);
}

#[test]
fn the_destination_is_not_discarded_without_asking_the_source() {
    gets_stuck(&[Safeguard::DiscardAsksSource], ABORTED);
}

/// With R1 the destination cannot own the slot then. Without R1 asking would not be enough: whoever holds the source's word
/// may do S8 right after the question.
#[test]
fn the_operator_asks_the_destination() {
    survives(&[Safeguard::UnfenceAsksDestination], SOURCE_REPLACED);
    let claimed_once = Bounds { claims: 1, ..SOURCE_REPLACED };
    violates(Invariant::I1, &[Safeguard::FlushIsAskedOfSynchronous], claimed_once);
}

/// An epoch that only `moved` or `importing` says may be taken back.
#[test]
fn the_map_is_made_of_owners() {
    violates(Invariant::I10, &[Safeguard::MapFromOwners], SOURCE_LOST);
}

#[test]
fn reads_ask_the_row() {
    violates(Invariant::I5, &[Safeguard::ReadsAskRow], WRITERS);
}
