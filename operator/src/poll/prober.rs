//! When a ChatCluster is probed, and what follows from the probes and from what its gateways count: whether delivery is verified.
//!
//! Evidence of a broken promise stands for [`STANDS`], however well the probes go on: what was lost is not back. Everything else is what
//! was found last.

use std::{borrow::Cow, sync::Arc, time::Duration};

use chat_gateway_config::{
    delivery::{Breach, Violation},
    probe::ROOMS,
    stats::GatewayStats,
};
use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::{sync::Semaphore, task::JoinHandle, time::Instant};

use super::view::{ClusterView, Opinion};
use crate::probe::{Failure, Front, Told, probe};

/// Time between two probes of one ChatCluster, up to [`SHARED`] of them.
const PERIOD: Duration = Duration::from_secs(15);
/// ChatClusters that are probed every [`PERIOD`]; with more of them each one's turn comes more seldom, and the operator's work stays the same.
const SHARED: u32 = 100;
/// Time until the next probe after one that came to nothing.
const AGAIN: Duration = Duration::from_secs(5);
/// Probes in a row that may come to nothing before that is told: a gateway that goes takes one along.
const PATIENCE: u8 = 2;
/// Probes that may wait for their moment or run, over all ChatClusters: what begins in one round.
pub(super) const PROBES: usize = 16;
/// Probes of those that run at the same time. One takes half a second and some 40 KiB.
pub(super) const RUNNING: usize = 6;
/// How long evidence of a broken promise stands.
pub const STANDS: Duration = Duration::from_secs(3_600);

/// Whether delivery is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The last probe found everything as promised, and there is no evidence to the contrary.
    Yes,
    /// There is evidence that something acknowledged was lost, came twice, or out of order.
    No,
    /// Nobody knows.
    Unknown,
}

/// What is to be said of delivery. No number that changes with every round is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whether it is verified.
    pub verified: Verified,
    /// What is told of it.
    pub told: Told,
}

/// What was seen of a broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Evidence {
    /// What was seen first. It is not replaced by what came after it, so that a flood of violations is no flood of writes.
    told: Told,
    /// When something was seen last.
    last: Timestamp,
}

/// What the last probe came to.
#[derive(Debug, Default)]
enum Last {
    /// Nothing has ended yet, or what has is of another time.
    #[default]
    None,
    Fine,
    Trouble(Told),
}

/// Probes one ChatCluster.
#[derive(Debug, Default)]
pub(super) struct Prober {
    front: Option<Box<Front>>,
    running: Option<JoinHandle<Result<(), Failure>>>,
    due: Option<Instant>,
    last: Last,
    troubles: u8,
    room: u8,
    evidence: Option<Box<Evidence>>,
}

/// What a round of questions brings to the prober.
pub(super) struct Round<'a> {
    pub(super) view: &'a ClusterView,
    /// ChatClusters that this operator probes.
    pub(super) clusters: usize,
    pub(super) places: &'a Places,
    pub(super) now: Instant,
    pub(super) wall: Timestamp,
}

/// Where probes wait and run.
#[derive(Clone, Debug)]
pub(super) struct Places {
    begun: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Self { begun: Arc::new(Semaphore::new(PROBES)), running: Arc::new(Semaphore::new(RUNNING)) }
    }
}

impl Prober {
    /// Probes through this door from now on, or not at all.
    pub(super) fn instruct(&mut self, front: Option<Front>) {
        if self.front.as_deref() != front.as_ref() {
            self.front = front.map(Box::new);
        }
        self.forgive();
    }

    /// What a probe came to that ended since the last round.
    pub(super) fn ended(&mut self) -> Option<Result<(), Failure>> {
        let ended = self.running.as_mut()?.now_or_never()?;
        self.running = None;
        // One that was aborted or panicked has nothing to say.
        ended.ok()
    }

    /// Takes in what has `ended`, begins a probe where it is time for one, and says how delivery stands; `None` where nothing was found out yet.
    pub(super) fn round(&mut self, round: &Round<'_>, ended: Option<Result<(), Failure>>) -> Option<Box<Delivery>> {
        let away = unable(round.view);
        let period = PERIOD.mul_f64((round.clusters as f64 / f64::from(SHARED)).max(1.0));
        match ended {
            None => {}
            Some(Ok(())) => (self.last, self.troubles) = (Last::Fine, 0),
            // With a backend away late is late and nothing else: it comes when the backend is back.
            Some(Err(Failure::Violation(told))) if told.reason != "NotDelivered" || away.is_none() => {
                self.convict(&told, round.wall);
                (self.last, self.troubles) = (Last::Fine, 0);
            }
            Some(Err(Failure::Violation(told) | Failure::Trouble(told))) => {
                self.troubles = self.troubles.saturating_add(1);
                if self.troubles == 1 {
                    self.due = Some(round.now + AGAIN);
                }
                if self.troubles >= PATIENCE {
                    self.last = Last::Trouble(told);
                }
            }
        }
        for (pod, stats) in &round.view.gateways {
            self.read_books(pod, stats, round.wall);
        }
        self.forget(round.wall);
        if away.is_none() {
            self.begin(round, period);
        } else {
            // What was found before is of another time.
            self.last = Last::None;
        }
        self.conclude(away)
    }

    fn begin(&mut self, round: &Round<'_>, period: Duration) {
        let Some(front) = self.front.as_deref().filter(|_| self.running.is_none()) else { return };
        // The first one soon, the others at moments of their own: clusters that are met together do not stay together.
        let due = *self.due.get_or_insert_with(|| round.now + AGAIN.mul_f64(rand::random()));
        if round.now < due {
            return;
        }
        let Ok(begun) = Arc::clone(&round.places.begun).try_acquire_owned() else { return };
        let running = Arc::clone(&round.places.running);
        let (front, room) = (front.clone(), self.room);
        self.room = (room + 1) % ROOMS;
        self.due = Some(round.now + period.mul_f64(rand::random_range(0.9..1.0)));
        self.running = Some(tokio::spawn(async move {
            let _begun = begun;
            // Never closed.
            let _running = running.acquire_owned().await;
            probe(&front, room).await
        }));
    }

    /// What the books of a gateway prove.
    fn read_books(&mut self, pod: &str, stats: &GatewayStats, wall: Timestamp) {
        let Some(delivery) = &stats.delivery else { return };
        let totals = delivery.totals;
        if totals.accepted > totals.committed {
            let message = format!("gateway {pod} has acknowledged more messages than it has committed");
            self.convict(&Told { reason: "CountersDisagree", message: message.into() }, wall);
        }
        if let Some(violation) = delivery.last_violation.as_deref() {
            // A clock that is ahead must not make it stand for longer.
            let at = Timestamp::from_millisecond(violation.at_ms).unwrap_or(wall).min(wall);
            self.convict(&told(pod, violation), at);
        }
    }

    fn convict(&mut self, told: &Told, at: Timestamp) {
        match &mut self.evidence {
            Some(evidence) => evidence.last = evidence.last.max(at),
            None => {
                let message = format!("{at:.0}: {}", told.message).into();
                self.evidence = Some(Box::new(Evidence { told: Told { reason: told.reason, message }, last: at }));
            }
        }
        self.forgive();
    }

    fn forget(&mut self, wall: Timestamp) {
        self.evidence =
            self.evidence.take().filter(|evidence| wall.duration_since(evidence.last).unsigned_abs() < STANDS);
    }

    fn forgive(&mut self) {
        let cleared = self.front.as_ref().and_then(|front| front.cleared);
        self.evidence = self.evidence.take().filter(|evidence| cleared.is_none_or(|cleared| evidence.last > cleared));
    }

    fn conclude(&self, away: Option<Told>) -> Option<Box<Delivery>> {
        let (verified, told) = match (&self.evidence, away, &self.last) {
            (Some(evidence), _, _) => (Verified::No, evidence.told.clone()),
            (None, Some(told), _) => (Verified::Unknown, told),
            (None, None, Last::Trouble(told)) => (Verified::Unknown, told.clone()),
            (None, None, Last::None) => return None,
            (None, None, Last::Fine) => {
                let message = "what a probe says is acknowledged, kept, and comes once and in order, and no gateway knows of anything else";
                (Verified::Yes, Told { reason: "Verified", message: message.into() })
            }
        };
        Some(Box::new(Delivery { verified, told }))
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

/// Why nothing can be found out, where that is known without a probe.
fn unable(view: &ClusterView) -> Option<Told> {
    let told = |reason, message: Cow<'static, str>| Some(Told { reason, message });
    if view.ready.is_empty() {
        return told("NoGateways", "no gateway is ready".into());
    }
    if let Some((pod, _)) = view.gateways.iter().find(|(_, stats)| stats.delivery.is_none()) {
        return told(
            "GatewaysTooOld",
            format!("gateway {pod} is of a version that does not count what it delivers").into(),
        );
    }
    if let Opinion::Bad { message, .. } = view.opinion(|stats| Some(&stats.broker)) {
        return told("BackendAway", format!("the broker: {message}").into());
    }
    let shards = view.gateways.values().flat_map(|stats| &stats.shards);
    let away = shards.into_iter().find(|shard| !shard.component.available)?;
    let why: String = away.component.message.chars().take(300).collect();
    told("BackendAway", format!("shard {}: {why}", away.name).into())
}

fn told(pod: &str, violation: &Violation) -> Told {
    let Violation { breach, room, slot, seq, .. } = violation;
    let place = format!("gateway {pod}: message {seq} of room {room} (slot {slot})");
    let message = match breach {
        Breach::Unstored => format!("{place} was acknowledged or published, and the store does not have it"),
        Breach::Hole => format!("{place} is missing in the store, which has later ones"),
        Breach::Other => format!("{place}: a promise was broken in a way that this operator does not know"),
    };
    Told { reason: "AcknowledgedLost", message: message.into() }
}

#[cfg(test)]
#[path = "prober_tests.rs"]
mod tests;
