//! One clock for all connections: pings, silence, expiry of tokens, and what was gathered of presence. No connection has a timer of its own.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use super::Hub;
use crate::protocol::{CloseCode, limits::SILENT_PERIODS};

/// Seconds in which a connection hears of a crowd at least once.
const PATIENCE: u32 = 4;

/// Looks at every session once a second; each is pinged in one second out of those between two pings, which spreads them evenly.
pub(super) async fn run(hub: Arc<Hub>) {
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        beat(&hub, hub.second(), Timestamp::now().as_second());
    }
}

fn beat(hub: &Hub, second: u32, now: i64) {
    let period = hub.services.config.get().http.timeouts.ping_seconds;
    let slot = second % period;
    hub.dispatch.registry.for_each(|session| {
        let turn = u32::from(session.id.as_bytes()[15]);
        if session.expires_at() <= now {
            session.close(CloseCode::Expired);
        } else if second.saturating_sub(session.seen()) > period * SILENT_PERIODS {
            session.close(CloseCode::Silent);
        } else if turn % period == slot {
            session.queue.ping();
        } else {
            session.queue.nudge(!(turn + second).is_multiple_of(PATIENCE));
        }
    });
}
