//! Orders to gateways: to take nobody new, and to have clients connect elsewhere within the ChatCluster's budget.

use std::collections::{BTreeMap, BTreeSet};

use chat_gateway_config::stats::{GatewayStats, Moves};
use tokio::time::Instant;

use super::{PERIOD, client::Place};
use crate::{
    drain::{Budget, Pulse},
    rollout::{Course, Steering},
};

/// What the reconciler has decided about draining.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drains {
    /// Pods that are being emptied.
    pub pods: BTreeSet<String>,
    /// Whether their clients are asked to move, or are waited for.
    pub moves: bool,
    /// Moves a second that the spec allows; `None` when it says nothing.
    pub per_second: Option<i32>,
    /// Where clients go while there are gateways of two revisions.
    pub course: Option<Course>,
    /// Connections that one gateway takes.
    pub limit: u64,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Take nobody new.
    Cordon(String),
    /// Take people again.
    Uncordon(String),
    /// Ask so many clients at most.
    Move(String, u32),
}

/// What orders depend on beside the answers, and what is remembered for the next round.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) budget: Budget,
    pub(super) pulse: Pulse,
    pub(super) steering: Steering,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { budget: Budget::new(now), pulse: Pulse::new(now), steering: Steering::default() }
    }
}

/// What to tell the gateways after a round. Who has just been told to take nobody new is not emptied yet: balancers and clients need a moment to
/// see it. Those that end because somebody deleted or evicted their pods come first: their time is bounded.
pub(super) fn orders(
    drains: &Drains,
    gateways: &BTreeMap<String, GatewayStats>,
    Pace { budget, pulse, steering }: &mut Pace,
    now: Instant,
) -> Vec<Order> {
    let is_marked = |pod: &String| drains.pods.contains(pod);
    let is_new = |pod: &String| drains.course.as_ref().is_some_and(|course| course.to.contains(pod));
    let direction = steering.direct(drains.course.as_ref(), gateways, drains.limit, now);
    let closed = |pod: &String| {
        let steered = if is_new(pod) { direction.close_new } else { direction.close_old };
        is_marked(pod) || steered
    };
    let mut orders = Vec::new();
    for (pod, stats) in gateways.iter().filter(|(_, stats)| !stats.draining) {
        match (closed(pod), stats.cordoned) {
            (true, false) => orders.push(Order::Cordon(pod.clone())),
            (false, true) => orders.push(Order::Uncordon(pod.clone())),
            (true, true) | (false, false) => {}
        }
    }
    let takers = gateways.iter().filter(|(pod, stats)| !closed(pod) && !stats.cordoned && !stats.draining).count();
    let open = gateways.values().map(|stats| i64::from(stats.connections)).sum();
    if let Some(strained) = pulse.feel(gateways, now) {
        budget.feel(strained);
    }
    let mut allowed = budget.fill(now, open, takers, drains.per_second);
    if takers == 0 {
        return orders;
    }
    let busy = || gateways.iter().filter(|(_, stats)| stats.connections > 0);
    let ending = busy().filter(|(_, stats)| stats.draining).collect();
    share(&mut orders, &mut allowed, ending, u32::MAX);
    let leaving: Vec<_> =
        busy().filter(|(pod, stats)| drains.moves && is_marked(pod) && stats.cordoned && !stats.draining).collect();
    // Those that are being emptied fill the new ones; the others help only where that is not enough.
    let help = if leaving.is_empty() { direction.shed } else { 0 };
    share(&mut orders, &mut allowed, leaving, u32::MAX);
    let mut old: Vec<_> =
        busy().filter(|(pod, stats)| !is_new(pod) && !is_marked(pod) && stats.cordoned && !stats.draining).collect();
    old.sort_by_key(|(_, stats)| std::cmp::Reverse(stats.connections));
    share(&mut orders, &mut allowed, old, help);
    orders
}

/// An even share of what is left for each; the last takes the rest.
fn share(orders: &mut Vec<Order>, allowed: &mut u32, from: Vec<(&String, &GatewayStats)>, most: u32) {
    let mut left = (*allowed).min(most);
    let mut count = u32::try_from(from.len()).unwrap_or(u32::MAX);
    for (pod, stats) in from {
        let share = left.div_ceil(count.max(1)).min(stats.connections).min(left);
        count -= 1;
        if share > 0 {
            left -= share;
            *allowed -= share;
            orders.push(Order::Move(pod.clone(), share));
        }
    }
}

impl Order {
    pub(super) fn pod(&self) -> &str {
        match self {
            Self::Cordon(pod) | Self::Uncordon(pod) | Self::Move(pod, _) => pod,
        }
    }

    /// Carries it out; returns how many clients were asked to move. What fails is ordered again with the next round.
    pub(super) async fn give(&self, place: &Place) -> u32 {
        let within_ms = u32::try_from(PERIOD.as_millis()).unwrap_or(u32::MAX);
        let given = match self {
            Self::Cordon(_) => place.cordon(true).await.map(|()| 0),
            Self::Uncordon(_) => place.cordon(false).await.map(|()| 0),
            Self::Move(_, count) => place.moves(Moves { count: *count, within_ms }).await,
        };
        given.unwrap_or_else(|error| {
            tracing::debug!(order = ?self, %error, "a gateway could not be told");
            0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::stats, *};

    fn round(drains: &Drains, gateways: &[GatewayStats]) -> Vec<Order> {
        let start = Instant::now();
        let gateways = gateways.iter().map(|stats| (stats.gateway.clone(), stats.clone())).collect();
        let mut pace = Pace::new(start);
        orders(drains, &gateways, &mut pace, start + PERIOD)
    }

    fn cordoned(name: &str, connections: u32) -> GatewayStats {
        GatewayStats { cordoned: true, ..stats(name, connections, &[]) }
    }

    fn empty(pods: &[&str]) -> Drains {
        let pods = pods.iter().map(|pod| (*pod).to_owned()).collect();
        Drains { pods, moves: true, per_second: None, course: None, limit: 10_000 }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_to_go_takes_nobody_new_and_is_emptied_then() {
        let (a, b) = (stats("a", 100, &[]), stats("b", 50, &[]));
        assert_eq!(round(&empty(&[]), &[a.clone(), b.clone()]), []);
        assert_eq!(round(&empty(&["b"]), &[a.clone(), b]), [Order::Cordon("b".into())]);
        assert_eq!(
            round(&empty(&["b"]), &[a.clone(), cordoned("b", 50)]),
            [Order::Move("b".into(), 40)],
            "20 a second"
        );
        assert_eq!(round(&empty(&["b"]), &[a.clone(), cordoned("b", 0)]), []);
        assert_eq!(round(&empty(&[]), &[a.clone(), cordoned("b", 50)]), [Order::Uncordon("b".into())]);
        let patient = Drains { moves: false, ..empty(&["b"]) };
        assert_eq!(round(&patient, &[a, cordoned("b", 50)]), [], "waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn all_share_one_budget_and_nobody_moves_to_nowhere() {
        let three = [stats("a", 100, &[]), cordoned("b", 50), cordoned("c", 5)];
        let shared = round(&empty(&["b", "c"]), &three);
        assert_eq!(shared, [Order::Move("b".into(), 20), Order::Move("c".into(), 5)]);
        assert_eq!(round(&empty(&["b", "c"]), &three[1..]), []);
        let ending = GatewayStats { draining: true, ..stats("b", 50, &[]) };
        let told = round(&empty(&["c"]), &[stats("a", 100, &[]), ending.clone(), cordoned("c", 5)]);
        assert_eq!(told, [Order::Move("b".into(), 40)], "somebody deleted it: its time is bounded");
        assert_eq!(round(&empty(&[]), &[ending]), [], "nobody to take them");
    }
}
