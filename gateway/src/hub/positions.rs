//! Compares what was delivered, and to whom, with what the store has: regularly, since a broker may lose a message without telling, and
//! at once when the broker says that it may have.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{Hub, worker::Command};
use crate::{connection::session::Control, model::RoomId};

/// How often positions are compared: the longest that a lost message can stay unseen in a room where nothing else is said.
const REGULARLY: Duration = Duration::from_secs(10);

/// Sessions that look for changes of their rooms at once after the broker came back; each costs a read of the user's rooms.
const RECHECKS: usize = 25;

/// Wait between those.
const RECHECK_PAUSE: Duration = Duration::from_millis(50);

/// Compares all rooms every [`REGULARLY`], and when it is not known from which of them somebody was removed.
pub(super) async fn check_regularly(hub: Arc<Hub>) {
    loop {
        compare(&hub, false).await;
        // Cut short by a wish, or over.
        let _ = timeout(REGULARLY, hub.dispatch.compare.notified()).await;
    }
}

/// Compares all rooms, then all memberships, whenever the broker's epoch rises.
pub(super) async fn watch_broker(hub: Arc<Hub>) {
    let mut state = hub.services.broker.state();
    let mut epoch = state.borrow_and_update().epoch;
    while state.changed().await.is_ok() {
        let now = state.borrow_and_update().epoch;
        if now > epoch {
            epoch = now;
            tracing::info!(epoch, "the broker may have lost deliveries; asking the store");
            compare(&hub, true).await;
            recheck(&hub).await;
        }
    }
}

async fn compare(hub: &Hub, distrust: bool) {
    for (worker, followed) in hub.dispatch.workers.iter().zip(hub.census().await) {
        let rooms: Vec<RoomId> = followed.into_iter().map(|followed| followed.room).collect();
        for place in hub.stored_places(&rooms).await.into_values() {
            worker.tell(Command::Position { place, distrust }).await;
        }
    }
}

async fn recheck(hub: &Hub) {
    for sessions in hub.dispatch.registry.all().chunks(RECHECKS) {
        sessions.iter().for_each(|session| session.control(Control::Recheck));
        tokio::time::sleep(RECHECK_PAUSE).await;
    }
}
