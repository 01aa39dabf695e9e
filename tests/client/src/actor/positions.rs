//! The last seq that a client has of each room, shared by its task, its handle and a connection that is being opened.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::watch;
use uuid::Uuid;

use crate::wire::Position;

/// Positions by room. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Positions(Arc<watch::Sender<HashMap<Uuid, u64>>>);

impl Default for Positions {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(HashMap::new())))
    }
}

impl Positions {
    pub(crate) fn get(&self, room: Uuid) -> Option<u64> {
        self.0.borrow().get(&room).copied()
    }

    /// Follows a room after `seq`, unless the client is further already.
    pub(crate) fn start(&self, room: Uuid, seq: u64) {
        self.advance(room, seq);
    }

    pub(crate) fn advance(&self, room: Uuid, seq: u64) {
        self.0.send_modify(|rooms| {
            let position = rooms.entry(room).or_default();
            *position = seq.max(*position);
        });
    }

    pub(crate) fn forget(&self, room: Uuid) {
        self.0.send_modify(|rooms| {
            rooms.remove(&room);
        });
    }

    pub(crate) fn list(&self) -> Vec<Position> {
        self.0.borrow().iter().map(|(room, seq)| Position { room: *room, seq: *seq }).collect()
    }

    pub(crate) async fn wait(&self, room: Uuid, seq: u64, limit: Duration) -> bool {
        let mut watch = self.0.subscribe();
        let reached = watch.wait_for(|rooms| rooms.get(&room).is_some_and(|position| *position >= seq));
        matches!(tokio::time::timeout(limit, reached).await, Ok(Ok(_)))
    }
}
