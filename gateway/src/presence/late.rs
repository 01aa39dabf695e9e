//! Users whose coming or going Redis did not take: a command gets a tenth of a second, and nobody waits for a second try.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::model::UserId;

/// See the module's documentation. Bounded: a user is forgotten when what Redis may still say of them has lapsed.
pub(super) struct Late {
    users: Mutex<HashMap<UserId, Instant>>,
    lapse: Duration,
}

impl Late {
    /// For entries of Redis that lapse after `lapse`.
    pub(super) fn new(lapse: Duration) -> Self {
        Self { users: Mutex::default(), lapse }
    }

    pub(super) fn note(&self, user: UserId) {
        self.put_back(&[(user, Instant::now())]);
    }

    /// Everybody, with the time since which it is so.
    pub(super) fn take(&self) -> Vec<(UserId, Instant)> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.drain().collect()
    }

    /// Those for whom Redis did not answer again.
    pub(super) fn put_back(&self, late: &[(UserId, Instant)]) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        for (user, since) in late {
            if since.elapsed() < self.lapse {
                users.entry(*user).or_insert(*since);
            }
        }
    }
}
