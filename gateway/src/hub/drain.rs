//! Asks everyone to leave, at a pace that the other gateways can take.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};

use super::Hub;
use crate::{
    connection::{queue::Class, session::Session},
    protocol::{ClientEvent, CloseCode},
};

/// Longest wait that one `reconnect` asks for: breaks up those who got it in the same moment.
const JITTER_MS: u64 = 1_000;

/// Time from a client's turn to its new connection, after which the old one is closed.
const MOVE_TIME: Duration = Duration::from_secs(30);

/// How often the remaining connections are counted.
const POLL: Duration = Duration::from_millis(100);

/// Time for the close frames of those who did not leave.
const GOODBYE: Duration = Duration::from_secs(2);

impl Hub {
    /// Asks every client to reconnect, evenly over the first half of `total`; waits until they are gone or `total` has passed; closes
    /// the rest with 1012. The caller has set `Services::draining` and accepts nobody new.
    pub async fn drain(&self, total: Duration) {
        let deadline = Instant::now() + total;
        let sessions = self.dispatch.registry.all();
        let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1);
        let step = total / 2 / count;
        let begin = Instant::now();
        for (nth, session) in (0..).zip(&sessions) {
            sleep_until(begin + step * nth).await;
            self.ask_to_leave(session);
        }
        while self.services.counters.connections.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
            sleep(POLL).await;
        }
        self.dispatch.registry.for_each(|session| session.close(CloseCode::Stopping));
        let end = Instant::now() + GOODBYE;
        while self.services.counters.connections.load(Ordering::Relaxed) > 0 && Instant::now() < end {
            sleep(POLL).await;
        }
    }

    /// Asks up to `count` clients to connect elsewhere, spread over `within`: those that have been quiet for longest, and nobody twice. Who
    /// is still here [`MOVE_TIME`] after its turn is closed with 1012. Returns how many were asked.
    pub fn move_clients(&self, count: usize, within: Duration) -> usize {
        let mut sessions = self.dispatch.registry.all();
        sessions.retain(|session| !session.is_asked());
        sessions.sort_by_key(|session| session.seen());
        sessions.truncate(count);
        let spread = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        sessions.iter().for_each(|session| self.ask_within(session, spread));
        let asked = sessions.len();
        // Held weakly: most are long gone by then.
        let sessions: Vec<Weak<Session>> = sessions.iter().map(Arc::downgrade).collect();
        tokio::spawn(async move {
            sleep(within + MOVE_TIME).await;
            sessions.iter().filter_map(Weak::upgrade).for_each(|session| session.close(CloseCode::Stopping));
        });
        asked
    }

    /// Asks one client to reconnect within the next second.
    pub(crate) fn ask_to_leave(&self, session: &Arc<Session>) {
        self.ask_within(session, JITTER_MS);
    }

    /// Asks one client to reconnect within so many milliseconds. In the Centrifuge protocol closing is the way to ask, so it waits for
    /// the answers that are due, and clients spread themselves.
    fn ask_within(&self, session: &Arc<Session>, spread_ms: u64) {
        session.ask();
        if !session.codec.is_chat() {
            session.queue.leave(CloseCode::Stopping);
            return;
        }
        let after_ms = rand::random_range(0..=spread_ms);
        session.tell(&ClientEvent::Reconnect { after_ms, reason: "drain" }, Class::Kept);
    }
}
