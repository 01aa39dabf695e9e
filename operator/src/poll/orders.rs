//! Orders to gateways: to take nobody new, and to have clients connect elsewhere within the ChatCluster's budget.

use std::{collections::BTreeSet, net::IpAddr};

use chat_gateway_config::stats::{GatewayStats, Moves};
use tokio::time::Instant;

use super::{ClusterView, PERIOD, client::Place};
use crate::{
    audit::{self, Act, Outcome},
    drain::{Budget, Pulse, Rebalance, Shedding, Tolerance},
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
    /// How unevenly they may be spread; `None` where that is nobody's business.
    pub tolerance: Option<Tolerance>,
    /// It is decided on what gateways have said. Until then an operator that has just started takes no cordon back: the one before had reasons.
    pub known: bool,
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
    /// The same, and only who has not moved lately: for the sake of evenness.
    Shed(String, u32),
    /// The same, and only who came through one of these proxies.
    Through(String, u32, Vec<IpAddr>),
}

/// What orders depend on beside the answers, and what is remembered for the next round.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) budget: Budget,
    pub(super) pulse: Pulse,
    pub(super) steering: Steering,
    pub(super) rebalance: Rebalance,
    /// Fewer gateways would do: the emptiest go soon, and are not worth filling.
    pub(super) shrinks: bool,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            budget: Budget::new(now),
            pulse: Pulse::new(now),
            steering: Steering::default(),
            rebalance: Rebalance::default(),
            shrinks: false,
        }
    }
}

/// What to tell the gateways after a round. Who has just been told to take nobody new is not emptied yet: balancers and clients need a moment to
/// see it. Those that end because somebody deleted or evicted their pods come first: their time is bounded.
pub(super) fn orders(
    drains: &Drains,
    view: &ClusterView,
    Pace { budget, pulse, steering, rebalance, shrinks }: &mut Pace,
    now: Instant,
) -> Vec<Order> {
    let gateways = &view.gateways;
    let is_marked = |pod: &String| drains.pods.contains(pod);
    let is_new = |pod: &String| drains.course.as_ref().is_some_and(|course| course.to.contains(pod));
    let shedding = shedding(drains, view, (rebalance, *shrinks), now);
    let direction = steering.direct(drains.course.as_ref(), gateways, drains.limit, now);
    let closed = |pod: &String| {
        let steered = if is_new(pod) { direction.close_new } else { direction.close_old };
        is_marked(pod) || steered || shedding.closed.contains(pod)
    };
    let mut orders = Vec::new();
    for (pod, stats) in gateways.iter().filter(|(_, stats)| !stats.draining) {
        match (closed(pod), stats.cordoned) {
            (true, false) => orders.push(Order::Cordon(pod.clone())),
            (false, true) if drains.known => orders.push(Order::Uncordon(pod.clone())),
            (true, true) | (false, _) => {}
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
    let busy = || gateways.iter().map(|(pod, stats)| (pod, &**stats)).filter(|(_, stats)| stats.connections > 0);
    let ending = busy().filter(|(_, stats)| stats.draining).collect();
    share(&mut orders, &mut allowed, ending, u32::MAX, Order::Move);
    if !view.ending_proxies.is_empty() {
        // Up to half of what is left: nobody knows how many came through them, nor to which gateways.
        let proxies: Vec<IpAddr> = view.ending_proxies.iter().copied().collect();
        let (from, most) = (busy().filter(|(_, stats)| !stats.draining).collect(), allowed.div_ceil(2));
        share(&mut orders, &mut allowed, from, most, |pod, count| Order::Through(pod, count, proxies.clone()));
    }
    let leaving: Vec<_> =
        busy().filter(|(pod, stats)| drains.moves && is_marked(pod) && stats.cordoned && !stats.draining).collect();
    // Those that are being emptied fill the new ones; the others help only where that is not enough.
    let help = if leaving.is_empty() { direction.shed } else { 0 };
    share(&mut orders, &mut allowed, leaving, u32::MAX, Order::Move);
    let mut old: Vec<_> =
        busy().filter(|(pod, stats)| !is_new(pod) && !is_marked(pod) && stats.cordoned && !stats.draining).collect();
    old.sort_by_key(|(_, stats)| std::cmp::Reverse(stats.connections));
    share(&mut orders, &mut allowed, old, help, Order::Move);
    even_out(&mut orders, allowed, shedding, view, rebalance, now);
    orders
}

/// What evenness asks for. While anything else moves clients, or one of the gateways ends, nothing.
fn shedding(
    drains: &Drains,
    view: &ClusterView,
    (rebalance, shrinks): (&mut Rebalance, bool),
    now: Instant,
) -> Shedding {
    let is_ending = view.gateways.values().any(|stats| stats.draining);
    let is_busy = !drains.pods.is_empty() || drains.course.is_some() || is_ending;
    let waits = shrinks && !rebalance.is_under_way();
    let Some(tolerance) = drains.tolerance.filter(|_| !is_busy && !waits) else {
        rebalance.stop();
        return Shedding::default();
    };
    if !view.silent.is_empty() {
        return rebalance.pause();
    }
    // A gateway that has just started has nobody, and nobody can come to it yet.
    let is_in_use = |(pod, stats): &(&String, &GatewayStats)| stats.cordoned || view.ready.contains(*pod);
    let gateways = view.gateways.iter().map(|(pod, stats)| (pod, &**stats)).filter(is_in_use).collect();
    rebalance.look(&gateways, tolerance, drains.limit, now)
}

/// Spends up to half of what is left: a gateway that is to go may need it at any time.
fn even_out(
    orders: &mut Vec<Order>,
    allowed: u32,
    shedding: Shedding,
    view: &ClusterView,
    rebalance: &mut Rebalance,
    now: Instant,
) {
    let mut left = allowed.div_ceil(2);
    for (pod, excess) in shedding.excess {
        let heeded = view.gateways.get(&pod).is_some_and(|stats| stats.cordoned);
        let count = excess.min(left);
        if heeded && count > 0 {
            left -= count;
            rebalance.moved(&pod, count, now);
            orders.push(Order::Shed(pod, count));
        }
    }
}

/// An even share of what is left for each; the last takes the rest.
fn share(
    orders: &mut Vec<Order>,
    allowed: &mut u32,
    from: Vec<(&String, &GatewayStats)>,
    most: u32,
    order: impl Fn(String, u32) -> Order,
) {
    let mut left = (*allowed).min(most);
    let mut count = u32::try_from(from.len()).unwrap_or(u32::MAX);
    for (pod, stats) in from {
        let share = left.div_ceil(count.max(1)).min(stats.connections).min(left);
        count -= 1;
        if share > 0 {
            left -= share;
            *allowed -= share;
            orders.push(order(pod.clone(), share));
        }
    }
}

impl Order {
    pub(super) fn pod(&self) -> &str {
        match self {
            Self::Cordon(pod)
            | Self::Uncordon(pod)
            | Self::Move(pod, _)
            | Self::Shed(pod, _)
            | Self::Through(pod, ..) => pod,
        }
    }

    /// Carries it out; returns how many clients were asked to move. What fails is ordered again with the next round.
    pub(super) async fn give(&self, place: &Place) -> u32 {
        let within_ms = u32::try_from(PERIOD.as_millis()).unwrap_or(u32::MAX);
        let given = match self {
            Self::Cordon(_) => place.cordon(true).await.map(|()| 0),
            Self::Uncordon(_) => place.cordon(false).await.map(|()| 0),
            Self::Move(_, count) => place.moves(Moves { count: *count, within_ms, ..Moves::default() }).await,
            Self::Shed(_, count) => {
                place.moves(Moves { count: *count, within_ms, settled: true, ..Moves::default() }).await
            }
            Self::Through(_, count, proxies) => {
                let through = proxies.clone();
                place.moves(Moves { count: *count, within_ms, through, ..Moves::default() }).await
            }
        };
        if let Ok(asked @ 1..) = given {
            let record = audit::Record { asked: Some(asked), ..audit::Record::default() };
            record.write(Act::MoveClients, format_args!("Pod {}", self.pod()), Outcome::Done);
        }
        given.unwrap_or_else(|error| {
            tracing::debug!(order = ?self, %error, "a gateway could not be told");
            0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{self, stats},
        *,
    };

    fn round(drains: &Drains, gateways: &[GatewayStats]) -> Vec<Order> {
        let start = Instant::now();
        orders(drains, &testing::view(gateways), &mut Pace::new(start), start + PERIOD)
    }

    fn cordoned(name: &str, connections: u32) -> GatewayStats {
        GatewayStats { cordoned: true, ..stats(name, connections, &[]) }
    }

    fn empty(pods: &[&str]) -> Drains {
        let pods = pods.iter().map(|pod| (*pod).to_owned()).collect();
        Drains { pods, moves: true, per_second: None, course: None, limit: 10_000, tolerance: None, known: true }
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
        let just_started = Drains { known: false, ..empty(&[]) };
        assert_eq!(round(&just_started, &[a.clone(), cordoned("b", 50)]), [], "the operator before had a reason");
        let patient = Drains { moves: false, ..empty(&["b"]) };
        assert_eq!(round(&patient, &[a, cordoned("b", 50)]), [], "waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn who_came_through_a_proxy_that_ends_moves_within_the_budget() {
        let proxy: IpAddr = [10, 0, 0, 7].into();
        let mut view = testing::view(&[stats("a", 100, &[]), stats("b", 50, &[])]);
        view.ending_proxies = [proxy].into();
        let start = Instant::now();
        let told = orders(&empty(&[]), &view, &mut Pace::new(start), start + PERIOD);
        let through = |pod: &str, count| Order::Through(pod.to_owned(), count, vec![proxy]);
        assert_eq!(told, [through("a", 10), through("b", 10)], "half of 40: others may need the rest");
    }

    /// Rounds of the same answers for so many seconds; the orders of the last one.
    fn rounds(drains: &Drains, view: &ClusterView, seconds: u64) -> (Vec<Order>, Pace) {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut last = Vec::new();
        for second in (0..=seconds).step_by(2) {
            last = orders(drains, view, &mut pace, start + std::time::Duration::from_secs(second));
        }
        (last, pace)
    }

    #[tokio::test(start_paused = true)]
    async fn evenness_takes_half_of_the_budget_and_rests_while_anything_else_moves() {
        let tolerance = Some(Tolerance { percent: 15, excess: 200 });
        let even = Drains { tolerance, per_second: Some(20), ..empty(&[]) };
        let mut uneven = testing::view(&[stats("a", 900, &[]), stats("b", 0, &[])]);
        assert_eq!(rounds(&even, &uneven, 90).0, [], "nobody comes to b yet: it is not ready");
        uneven.ready = ["a".to_owned(), "b".to_owned()].into();
        assert_eq!(rounds(&even, &uneven, 90).0, [Order::Cordon("a".into())]);
        let (_, mut pace) = rounds(&even, &uneven, 90);
        let closed = testing::view(&[cordoned("a", 900), stats("b", 0, &[])]);
        let closed = ClusterView { ready: ["b".to_owned()].into(), ..closed };
        let next = Instant::now() + std::time::Duration::from_secs(92);
        assert_eq!(orders(&even, &closed, &mut pace, next), [Order::Shed("a".into(), 20)], "half of 40");
        let silent = ClusterView { silent: [("b".to_owned(), "no answer".to_owned())].into(), ..closed.clone() };
        assert_eq!(orders(&even, &silent, &mut pace, next), [], "it stays as it is");
        let marked = Drains { pods: ["b".to_owned()].into(), ..even.clone() };
        assert_eq!(orders(&marked, &closed, &mut pace, next)[..1], [Order::Uncordon("a".into())]);
        assert!(!pace.rebalance.is_under_way());
        assert_eq!(rounds(&Drains { tolerance: None, ..even.clone() }, &uneven, 90).0, [], "nobody wants it");
        let mut shrinking = Pace { shrinks: true, ..Pace::new(Instant::now()) };
        let later = |second| Instant::now() + std::time::Duration::from_secs(second);
        let told: Vec<Order> =
            (0..90).flat_map(|second| orders(&even, &uneven, &mut shrinking, later(second))).collect();
        assert_eq!(told, [], "the emptiest goes soon");
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
