//! Running the checker, and telling what it found.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use crate::action::Action;
use crate::invariants::{HANDED_OVER, Invariant};
use crate::world::World;

/// Checks every invariant in every state; panics with the way to a violation. Answers with the number of states.
#[track_caller]
pub(crate) fn holds(world: World) -> usize {
    let checker = world.checker().spawn_bfs().join();
    let mut discoveries = checker.discoveries();
    assert!(discoveries.remove(HANDED_OVER).is_some(), "never: {HANDED_OVER}");
    if let Some((name, path)) = discoveries.into_iter().next() {
        panic!("{name} is violated:\n{}", told(&path.into_actions()));
    }
    checker.unique_state_count()
}

/// The way to a violation of this invariant, if there is one.
pub(crate) fn violation(world: World, invariant: Invariant) -> Option<Vec<Action>> {
    let wanted = HasDiscoveries::AllOf(BTreeSet::from([invariant.name()]));
    let checker = world.checker().finish_when(wanted).spawn_bfs().join();
    checker.discovery(invariant.name()).map(|path| path.into_actions())
}

/// One step a line.
pub(crate) fn told(way: &[Action]) -> String {
    (1..).zip(way).map(|(number, action)| format!("{number:>4}  {action:?}\n")).collect()
}
