//! Publishing to the node that owns a key's slot.

use std::{sync::Arc, time::Duration};

use redis::aio::MultiplexedConnection;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::partitions::Partitions;
use crate::broker::{Key, redis_pubsub::reason::SessionError};

/// How often a publish follows its slot, and how long it waits each time for news of where that went. Together well below `PUBLISH_BUDGET`.
const TRIES: u32 = 8;
const NEWS: Duration = Duration::from_millis(400);
/// Wait before a try: nodes tell each other of a move within some milliseconds.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections by partition; none where the owner is away.
pub(super) type Table = Vec<Option<MultiplexedConnection>>;

/// What publishes go through.
#[derive(Clone)]
pub(in crate::broker) struct Routes {
    pub(super) partitions: Arc<Partitions>,
    pub(super) table: watch::Receiver<Table>,
    /// Wakes the session to look at the cluster.
    pub(super) doubt: Arc<Notify>,
}

impl Routes {
    /// Publishes and returns once the owner has taken it.
    pub(in crate::broker::redis_pubsub) async fn publish(&self, key: Key, body: &[u8]) -> Result<(), SessionError> {
        let mut command = redis::cmd("SPUBLISH");
        command.arg(self.partitions.channel(key)).arg(body);
        let mut table = self.table.clone();
        for _ in 0..TRIES {
            let owner = table.borrow_and_update().get(Partitions::of(key)).cloned().flatten();
            let mut owner = owner.ok_or(SessionError::Timeout("looking for the owner of a slot"))?;
            match command.query_async::<u64>(&mut owner).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    self.doubt.notify_one();
                    if error.code() != Some("MOVED") {
                        return Err(error.into());
                    }
                }
            }
            // No news in this time is no reason to give up: the slot may be on its way.
            drop(timeout(NEWS, table.changed()).await);
            sleep(PAUSE).await;
        }
        Err(SessionError::Timeout("following a slot to its owner"))
    }
}
