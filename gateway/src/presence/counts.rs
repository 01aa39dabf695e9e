//! How many sessions each user has on this gateway.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::model::UserId;

/// Counts of local sessions; a user without one has no entry.
#[derive(Default)]
pub(super) struct Counts(Mutex<HashMap<UserId, u32>>);

impl Counts {
    /// One more; true when it is the first here.
    pub(super) fn add(&self, user: UserId) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(user).or_insert(0);
        *count += 1;
        *count == 1
    }

    /// One less; true when it was the last here.
    pub(super) fn remove(&self, user: UserId) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&user) {
            Some(count) if *count > 1 => {
                *count -= 1;
                false
            }
            Some(_) => counts.remove(&user).is_some(),
            None => false,
        }
    }

    pub(super) fn has(&self, user: UserId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&user)
    }

    pub(super) fn users(&self) -> Vec<UserId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}
