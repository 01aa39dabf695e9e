//! Asks everyone to leave, at a pace that the other gateways can take.

use std::{
    net::IpAddr,
    ops::RangeInclusive,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, interval, sleep};

use super::Hub;
use crate::{
    connection::{queue::Class, session::Session},
    protocol::{ClientEvent, CloseCode},
};

/// Longest wait that one `reconnect` asks for: breaks up those who got it in the same moment.
const JITTER: Duration = Duration::from_secs(1);

/// Clients a second that a gateway that ends asks in any case: what the others take without noticing.
const LEAST: f64 = 20.0;

/// Time since the operator's last word within which it is there: it asks every 2 s.
const ATTENDED: Duration = Duration::from_secs(6);

/// Time from a client's turn to its new connection, after which the old one is closed.
const MOVE_TIME: Duration = Duration::from_secs(30);

/// Time that the operator has for an order: for the first, a successor may have to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often the remaining connections are counted.
const POLL: Duration = Duration::from_millis(100);

/// Time for the close frames of those who did not leave.
const GOODBYE: Duration = Duration::from_secs(2);

/// Who may be asked to connect elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom<'a> {
    /// All: their gateway goes.
    Anybody,
    /// Who has not come from another connection lately.
    Settled,
    /// Who came through one of these proxies, which ends.
    Through(&'a [IpAddr]),
}

impl Whom<'_> {
    fn includes(self, session: &Session, second: u32) -> bool {
        match self {
            Self::Anybody => true,
            Self::Settled => session.is_settled(second),
            Self::Through(peers) => session.is_through(peers),
        }
    }
}

impl Hub {
    /// Has every client connect elsewhere within `total`, and closes who is left then with 1012. The caller has closed the entrance.
    ///
    /// While the operator asks and orders, it has the first half of the time: it knows what all gateways move. Without it, without an order for
    /// [`PATIENCE`], or after that, clients are asked evenly over what is left of the first half, or up to four fifths, and [`LEAST`] a second in any case.
    pub async fn drain(&self, total: Duration) {
        let begin = Instant::now();
        let mut due = 0.0;
        let mut ticks = interval(POLL);
        while self.services.counters.connections.load(Ordering::Relaxed) > 0 && begin.elapsed() < total {
            ticks.tick().await;
            let elapsed = begin.elapsed();
            let entrance = &self.services.entrance;
            let led =
                entrance.has_heard_within(ATTENDED) && (elapsed < PATIENCE || entrance.was_ordered_within(PATIENCE));
            if elapsed < total / 2 && led {
                continue;
            }
            let end = if elapsed < total / 2 { total / 2 } else { total * 4 / 5 };
            let left = end.saturating_sub(elapsed).max(POLL);
            due += (self.unasked() as f64 / left.as_secs_f64()).max(LEAST) * POLL.as_secs_f64();
            let asked = self.move_clients(due as usize, JITTER, Whom::Anybody);
            due = (due - asked as f64).min(LEAST);
        }
        self.dispatch.registry.for_each(|session| session.close(CloseCode::Stopping));
        let end = Instant::now() + GOODBYE;
        while self.services.counters.connections.load(Ordering::Relaxed) > 0 && Instant::now() < end {
            sleep(POLL).await;
        }
    }

    fn unasked(&self) -> usize {
        self.dispatch.registry.all().iter().filter(|session| !session.is_asked()).count()
    }

    /// Asks up to `count` clients to connect elsewhere, spread over `within`: those that have been quiet for longest, and nobody twice. Who
    /// is still here [`MOVE_TIME`] after its turn is closed with 1012. Returns how many were asked.
    pub fn move_clients(&self, count: usize, within: Duration, whom: Whom<'_>) -> usize {
        if count == 0 {
            return 0;
        }
        let mut sessions = self.dispatch.registry.all();
        let second = self.second();
        sessions.retain(|session| !session.is_asked() && whom.includes(session, second));
        sessions.sort_by_key(|session| session.seen());
        sessions.truncate(count);
        // Evenly, so that no moment has more than its share of what the operator's budget allows.
        let step = u64::try_from(within.as_millis()).unwrap_or(u64::MAX) / sessions.len().max(1) as u64;
        for (nth, session) in (0..).zip(&sessions) {
            self.ask_within(session, step.saturating_mul(nth)..=step.saturating_mul(nth + 1));
        }
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
        self.ask_within(session, 0..=JITTER.as_millis() as u64);
    }

    /// Asks one client to reconnect after so many milliseconds. In the Centrifuge protocol closing is the way to ask, so it waits for
    /// the answers that are due, and clients spread themselves.
    fn ask_within(&self, session: &Arc<Session>, after_ms: RangeInclusive<u64>) {
        session.ask();
        if !session.codec.is_chat() {
            session.queue.leave(CloseCode::Stopping);
            return;
        }
        let after_ms = rand::random_range(after_ms);
        session.tell(&ClientEvent::Reconnect { after_ms, reason: "drain" }, Class::Kept);
    }
}
