//! I9, and that every step can be taken: by a pass of its own over all states, forwards and then backwards.
//!
//! The checker's own "eventually" is documented not to be complete where paths join or form loops, as they do here. This asks
//! for less than that something does happen, and for more than that it can: from *every* state a state where a write is
//! accepted can be reached without any further fault, so nothing is ever stuck.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::{Discriminant, discriminant};

use chat_shard_protocol::State as Ownership;
use stateright::Model;

use crate::action::Action;
use crate::state::{Shard, State};
use crate::world::World;

/// All states of a world, and the steps between them.
pub(crate) struct Graph {
    world: World,
    /// For each state: whether a write is accepted in it, and whether no standby was promoted before it.
    accepting: Vec<bool>,
    unpromoted: Vec<bool>,
    /// Whether the slot was handed over, and waits at a promoted destination for what may be missing there.
    unverified: Vec<bool>,
    steps: Vec<Step>,
    /// The state, and step, from which each was found first.
    found_from: Vec<Option<(u32, Action)>>,
    taken: HashMap<Discriminant<Action>, Action>,
}

/// A step from one state to another, and who is needed for it.
struct Step {
    from: u32,
    to: u32,
    fault: bool,
    alone: bool,
}

impl Graph {
    /// Visits everything.
    pub(crate) fn of(world: World) -> Self {
        let mut graph = Self {
            world,
            accepting: vec![],
            unpromoted: vec![],
            unverified: vec![],
            steps: vec![],
            found_from: vec![],
            taken: HashMap::new(),
        };
        let mut numbers = HashMap::new();
        let mut queue = VecDeque::new();
        for state in world.init_states() {
            numbers.insert(fingerprint(&state), graph.add(&state, None));
            queue.push_back(state);
        }
        let mut actions = Vec::new();
        let mut from = 0;
        while let Some(state) = queue.pop_front() {
            world.actions(&state, &mut actions);
            for action in actions.drain(..) {
                let Some(next) = world.next_state(&state, action) else { continue };
                let to = *numbers.entry(fingerprint(&next)).or_insert_with(|| {
                    let number = graph.add(&next, Some((from, action)));
                    queue.push_back(next);
                    number
                });
                graph.taken.entry(discriminant(&action)).or_insert(action);
                graph.steps.push(Step { from, to, fault: action.is_fault(), alone: action.needs_gateways_only() });
            }
            // States are numbered in the order in which they are queued.
            from += 1;
        }
        graph
    }

    fn add(&mut self, state: &State, found_from: Option<(u32, Action)>) -> u32 {
        // Memory ends long before the numbers do.
        let number = self.accepting.len() as u32;
        self.accepting.push(Shard::BOTH.into_iter().any(|shard| self.world.accepts(state, shard)));
        self.unpromoted.push(state.source.timeline.0 == 1 && state.destination.timeline.0 == 1);
        self.unverified.push(is_unverified(state));
        self.found_from.push(found_from);
        number
    }

    /// How many states there are.
    pub(crate) fn len(&self) -> usize {
        self.accepting.len()
    }

    /// The names of the steps that are taken at all.
    pub(crate) fn taken(&self) -> BTreeSet<String> {
        self.taken.values().map(|action| action.name()).collect()
    }

    /// The shortest way to a state from which no write can be accepted any more, whatever is done that is no fault; none if
    /// I9 holds.
    pub(crate) fn stuck(&self) -> Option<Vec<Action>> {
        self.way_to(&self.reaching(|step| !step.fault), |_| true)
    }

    /// The same for the states before any promotion, with movers and operator dead: clocks, replication and gateways only.
    pub(crate) fn stuck_alone(&self) -> Option<Vec<Action>> {
        self.way_to(&self.reaching(|step| step.alone), |number| self.unpromoted[number])
    }

    /// The same for the states behind the hand-over in which a promoted destination still has its row, and maybe not all others.
    pub(crate) fn stuck_unverified(&self) -> Option<Vec<Action>> {
        self.way_to(&self.reaching(|step| !step.fault), |number| self.unverified[number])
    }

    /// The states from which a write can be accepted.
    fn reaching(&self, allowed: impl Fn(&Step) -> bool) -> Vec<bool> {
        let mut back: Vec<(u32, u32)> =
            self.steps.iter().filter(|step| allowed(step)).map(|step| (step.to, step.from)).collect();
        back.sort_unstable();
        let mut reaching = self.accepting.clone();
        let mut pending: Vec<u32> = (0..).zip(&reaching).filter(|(_, accepts)| **accepts).map(|(n, _)| n).collect();
        while let Some(to) = pending.pop() {
            let first = back.partition_point(|step| step.0 < to);
            for &(_, from) in back[first..].iter().take_while(|step| step.0 == to) {
                if !std::mem::replace(&mut reaching[from as usize], true) {
                    pending.push(from);
                }
            }
        }
        reaching
    }

    fn way_to(&self, reaching: &[bool], asked: impl Fn(usize) -> bool) -> Option<Vec<Action>> {
        let mut number = (0..self.len()).find(|&number| asked(number) && !reaching[number])?;
        let mut way = Vec::new();
        while let Some((from, action)) = self.found_from[number] {
            way.push(action);
            number = from as usize;
        }
        way.reverse();
        Some(way)
    }
}

fn is_unverified(state: &State) -> bool {
    let (Some(source), Some(destination)) = (state.row(Shard::Source), state.row(Shard::Destination)) else {
        return false;
    };
    let has_moved = matches!(source.state, Ownership::Moved(_)) && source.claim() == destination.claim();
    has_moved && matches!(destination.state, Ownership::Importing(_, own) if own != state.destination.timeline)
}

/// Two states of the same fingerprint are taken for one; with a few million of them that happens once in a million runs.
fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
