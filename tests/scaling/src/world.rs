//! What all parts of this program share: the people and gateways of every contender, by namespace.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::model::Fleet;

/// Time in which a gateway starts where nobody is simulated.
const QUICK_START: Duration = Duration::from_millis(500);

/// A contender's people, gateways and pods.
#[derive(Debug)]
pub(crate) struct Side {
    /// The people and the gateways.
    pub(crate) fleet: Fleet,
    /// Whether nobody is told how many connections there are.
    pub(crate) stalled: bool,
    /// Milliseconds by which clocks of gateways are off, ahead or behind.
    pub(crate) skew: i64,
    /// Time from a pod that was made to a gateway that is ready.
    pub(crate) start: Duration,
    /// Pods that are not being deleted.
    pub(crate) pods: BTreeSet<String>,
}

/// All contenders.
#[derive(Debug, Default)]
pub(crate) struct World {
    // A std mutex: held for a tick of the model at most, never across an await.
    sides: Mutex<BTreeMap<String, Side>>,
}

impl World {
    /// Adds a contender, who has a namespace to itself.
    pub(crate) fn add(&self, namespace: &str, fleet: Fleet, start: Duration) {
        let side = Side { fleet, stalled: false, skew: 0, start, pods: BTreeSet::new() };
        self.lock().insert(namespace.to_owned(), side);
    }

    /// Does something with a contender; `None` when nobody is simulated in this namespace.
    pub(crate) fn with<T>(&self, namespace: &str, act: impl FnOnce(&mut Side) -> T) -> Option<T> {
        self.lock().get_mut(namespace).map(act)
    }

    /// Time from a pod that was made to a gateway that is ready.
    pub(crate) fn start(&self, namespace: &str) -> Duration {
        self.with(namespace, |side| side.start).unwrap_or(QUICK_START)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Side>> {
        self.sides.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
