//! Counts by label, for what happens seldom enough that a lock costs nothing: refusals and closes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Counters by label. Labels are codes, never anything a client chooses, so their number is bounded.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    /// Counts one.
    pub fn add(&self, label: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(label).or_default() += 1;
    }

    /// All counts so far.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(label, count)| (*label, *count)).collect()
    }
}
