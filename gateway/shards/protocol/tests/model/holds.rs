//! With every safeguard: no invariant is violated, nothing is ever stuck, and every step can be taken.

use std::collections::BTreeSet;

use crate::bounds::Bounds;
use crate::check::{holds, told};
use crate::reachability::Graph;
use crate::world::World;
use crate::worlds::*;

/// I1 to I8 and I10 in every state, I9 from every state, and every step is taken.
#[track_caller]
fn is_safe_and_never_stuck(bounds: Bounds) {
    let bounds = in_this_form(bounds);
    let started = std::time::SystemTime::now();
    let world = World::new(bounds);
    let states = holds(world);
    let graph = Graph::of(world);
    assert_eq!(graph.len(), states, "the checker and the pass over all states see the same world");
    if let Some(way) = graph.stuck() {
        panic!("I9 is violated: no write can be accepted any more after\n{}", told(&way));
    }
    if let Some(way) = graph.stuck_alone() {
        panic!("I9 is violated: without movers and operator no write is accepted any more after\n{}", told(&way));
    }
    assert_eq!(graph.taken(), possible(&bounds), "steps that are taken, and those that this world is for");
    println!("{states} states in {:?}: {bounds:?}", started.elapsed().unwrap_or_default());
}

/// The steps that a world of these bounds has to show.
fn possible(bounds: &Bounds) -> BTreeSet<String> {
    let mut names = vec!["Claim", "Prepare", "ReadChunk", "WriteChunk", "Apply", "Forget", "Fence", "Commit", "Crash"];
    names.extend(["Send", "TakeToken", "Activate", "ActivateVerified", "Publish", "Tick"]);
    let [source, destination] = bounds.promotions.map(|times| times > 0);
    let some: [(bool, &[&str]); 9] = [
        (bounds.flight, &["Begin", "Finish", "Sever"]),
        (bounds.clean, &["Clean"]),
        (bounds.steps_back > 0, &["StepBack"]),
        (bounds.cut_offs > 0, &["CommitCutOff"]),
        (bounds.aborts > 0, &["Abort", "Discard"]),
        (source || destination, &["Flush", "Promote"]),
        (source, &["Unfence"]),
        (destination, &["AskFlushed", "ReadRetained"]),
        (destination || bounds.returned, &["Restore"]),
    ];
    names.extend(some.iter().filter(|(shown, _)| *shown).flat_map(|(_, names)| *names));
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn with_zombie_movers_lapsing_fences_and_a_slow_write() {
    is_safe_and_never_stuck(ZOMBIES);
}

#[test]
fn with_two_writers_of_which_one_is_slow() {
    is_safe_and_never_stuck(WRITERS);
}

#[test]
fn with_a_source_that_loses_what_was_not_flushed() {
    is_safe_and_never_stuck(SOURCE_LOST);
}

#[test]
fn with_a_synchronous_standby_and_a_commit_that_was_cut_off() {
    is_safe_and_never_stuck(SOURCE_REPLACED);
}

#[test]
fn with_a_destination_that_loses_what_was_not_flushed() {
    is_safe_and_never_stuck(DESTINATION_LOST);
}

#[test]
fn with_promotions_on_both_sides() {
    is_safe_and_never_stuck(BOTH_LOST);
}

#[test]
fn with_two_promotions_on_one_side() {
    LOST_TWICE.into_iter().for_each(is_safe_and_never_stuck);
}

#[test]
fn with_a_move_that_is_given_up_and_another_one() {
    is_safe_and_never_stuck(ABORTED);
}

#[test]
fn with_an_abort_that_a_promotion_takes_back() {
    is_safe_and_never_stuck(ABORT_LOST);
}

#[test]
fn with_a_token_of_an_earlier_move() {
    is_safe_and_never_stuck(RETURNED);
}
