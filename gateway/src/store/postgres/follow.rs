//! Keeps the list of shards as its folder has it.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use super::fleet::Fleet;
use crate::live::ShardsFolder;

/// Time between two looks at the folder, as at the live configuration.
const EVERY: Duration = Duration::from_secs(2);

/// Runs until it is aborted.
///
/// Gateways see a new shard one after the other, as Kubernetes brings the Secret to their nodes: whoever moves slots to a shard waits until every
/// gateway lists it as available in `/stats`. A gateway that does not know it yet fails the requests for such a slot once their budget is over.
pub(super) async fn run(fleet: Arc<Fleet>, mut folder: ShardsFolder) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let change = folder.look();
        for shard in change.come {
            tracing::info!(shard = shard.name, "a shard has come");
            fleet.add(&shard);
        }
        for name in change.gone {
            tracing::info!(shard = name, "a shard has gone");
            fleet.retire(&name);
        }
    }
}
