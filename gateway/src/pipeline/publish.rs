//! Stage 8: what was committed goes to the members' keys. Exchange and queue are the broker's, fan-out is the hub's.

use crate::{hub::Hub, store::OutboxEvent, traces::Sending};

/// Hands committed events to the relay. Those on this gateway hear at once; a failure leaves the rest to the outbox.
pub(super) async fn announce(hub: &Hub, events: Vec<OutboxEvent>, sending: Option<&Sending>) {
    if !events.is_empty() {
        hub.announce(events, sending).await;
    }
}
