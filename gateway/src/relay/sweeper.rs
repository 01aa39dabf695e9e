//! Brings what stayed in an outbox: of a gateway that died after a commit, of a time without a broker, of a lane that was full.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use super::{Lanes, heard_by};
use crate::{
    hub::{Dispatch, bounds::Bounds},
    services::Services,
};

/// How often an outbox is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Age from which a row counts as left behind: its own gateway needs milliseconds.
const MIN_AGE: Duration = Duration::from_secs(2);

/// Sweeps until it is stopped.
pub(super) async fn run(services: Arc<Services>, dispatch: Arc<Dispatch>, lanes: Lanes) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // Without a broker a claim would only be let lapse. Receivers compare positions with the store meanwhile.
        if !services.broker.state().borrow().component.available {
            continue;
        }
        let batch = Bounds::of(services.config.get().limits.message_bytes).sweep;
        let claimed = match services.store.claim_outbox(MIN_AGE, batch).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::debug!(%error, "the outbox could not be read");
                continue;
            }
        };
        if !claimed.is_empty() {
            tracing::info!(rows = claimed.len(), "bringing what stayed in the outbox");
        }
        let full = claimed.len() >= batch as usize;
        for event in claimed {
            for (key, heard) in heard_by(&event.event, None) {
                dispatch.deliver(key, true, vec![heard]).await;
            }
            lanes.offer(event, None);
        }
        if full {
            tick.reset_after(EVERY / 10);
        }
    }
}
