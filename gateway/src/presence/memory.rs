//! Presence within one process.

use async_trait::async_trait;

use super::{Attendance, Presence, counts::Counts};
use crate::model::UserId;

/// [`Presence`] in memory; gateways in one process share it by sharing the value.
#[derive(Default)]
pub struct MemoryPresence(Counts);

#[async_trait]
impl Presence for MemoryPresence {
    async fn arrive(&self, user: UserId) -> bool {
        self.0.add(user)
    }

    async fn leave(&self, user: UserId) -> bool {
        self.0.remove(user)
    }

    async fn online(&self, users: &[UserId]) -> Attendance {
        Attendance { users: users.iter().map(|user| self.0.has(*user)).collect(), incomplete: false }
    }
}
