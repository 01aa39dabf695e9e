//! What the gateways of one cluster said last. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use chat_gateway_config::stats::{Component, GatewayStats, Taken};

use super::prober::Delivery;
use crate::{autoscale::Decision, rollout::Watched};

/// The answers of one round of questions to the gateways of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterView {
    /// Answers by pod. Boxed: a node of the map has room for eleven.
    pub gateways: BTreeMap<String, Box<GatewayStats>>,
    /// Pods that are ready, and answered.
    pub ready: BTreeSet<String>,
    /// Ready pods that did not answer, with the reason.
    pub silent: BTreeMap<String, String>,
    /// Pods that have said nothing for half a minute, ready or not, while others of the cluster did: they take no orders either.
    pub deaf: BTreeSet<String>,
    /// What gateways had taken that do not answer any more, as they said last.
    pub last_words: BTreeMap<String, Taken>,
    /// Open connections as published: they follow the sum of the answers at most every few seconds.
    pub connections: i64,
    /// How many gateways the operator wants, and why, as published: with the connections, and when the number changes. `None` where somebody
    /// else decides.
    pub scaling: Option<Decision>,
    /// How the new gateways of a rollout do.
    pub watched: Watched,
    /// Moves a second that are allowed now, as published: with the connections. `None` until that is known.
    pub budget: Option<i64>,
    /// Clients are being moved so that the gateways have about as many each.
    pub rebalancing: bool,
    /// Seconds by which clocks of gateways are ahead of the operator's, or behind it, where that is noteworthy.
    pub skewed: BTreeMap<String, i64>,
    /// Addresses of proxies of the ChatCluster's tier that end, and leave connections open for a while.
    pub ending_proxies: BTreeSet<IpAddr>,
    /// What is to be said of delivery; `None` until a probe has ended since the operator started. Boxed: most of the time it is the same.
    pub delivery: Option<Box<Delivery>>,
    /// A round of questions has been made since the operator started; until then nothing is known.
    pub asked: bool,
}

/// A backend as the gateways see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// No gateway has said anything.
    None,
    /// Every gateway that spoke reaches it.
    Good,
    /// At least one gateway does not.
    Bad {
        /// The reason that the first such gateway gives.
        reason: String,
        /// How many do not reach it, and what the first says.
        message: String,
    },
}

impl ClusterView {
    /// The gateways' opinion of what `part` picks out of their answers.
    pub fn opinion<'a>(&'a self, part: impl Fn(&'a GatewayStats) -> Option<&'a Component>) -> Opinion {
        let mut said: Vec<&Component> = self.gateways.values().filter_map(|stats| part(stats)).collect();
        // A gateway that has just started has not found out yet, and must not make a cluster unready that the others are well in.
        if said.iter().any(|component| !is_starting(component)) {
            said.retain(|component| !is_starting(component));
        }
        let bad: Vec<&&Component> = said.iter().filter(|component| !component.available).collect();
        match (bad.first(), said.is_empty()) {
            (None, true) => Opinion::None,
            (None, false) => Opinion::Good,
            (Some(first), _) => Opinion::Bad {
                reason: camel_case(&first.reason),
                message: format!("{} of {} gateways cannot use it: {}", bad.len(), said.len(), bounded(&first.message)),
            },
        }
    }

    /// Open connections over all gateways that answered.
    #[must_use]
    pub fn open_connections(&self) -> i64 {
        self.gateways.values().map(|stats| i64::from(stats.connections)).sum()
    }

    /// Gateways that turn new clients away since the operator has told them to.
    pub fn closed(&self) -> impl Iterator<Item = &GatewayStats> {
        self.gateways.values().map(|stats| &**stats).filter(|stats| stats.cordoned && !stats.draining)
    }

    /// Slots that shard `name` owns, as the gateway with the largest number says: a gateway that just started may not
    /// have asked yet.
    #[must_use]
    pub fn slots(&self, name: &str) -> Option<i32> {
        let said = self.gateways.values().flat_map(|stats| &stats.shards).filter(|shard| shard.name == name);
        said.map(|shard| i32::try_from(shard.slots).unwrap_or(i32::MAX)).max()
    }

    /// Whether the difference to `before` could change a condition; counters and connections do not.
    #[must_use]
    pub fn says_something_else(&self, before: &Self) -> bool {
        self.asked != before.asked
            || self.rebalancing != before.rebalancing
            || self.delivery.as_ref().is_some_and(|now| before.delivery.as_ref() != Some(now))
            || self.skewed.keys().ne(before.skewed.keys())
            || self.watched != before.watched
            || self.silent.keys().ne(before.silent.keys())
            || self.deaf != before.deaf
            || self.gateways.len() != before.gateways.len()
            || self.gateways.iter().zip(&before.gateways).any(|((pod, now), (pod_before, then))| {
                pod != pod_before
                    || now.broker != then.broker
                    || now.redis != then.redis
                    || now.shards != then.shards
                    || now.live != then.live
                    || emptiness(now) != emptiness(then)
            })
    }
}

/// Whether a gateway is still connecting for the first time.
fn is_starting(component: &Component) -> bool {
    !component.available && ["Connecting", "Starting"].contains(&component.reason.as_str())
}

/// How far a gateway that is being emptied has come.
fn emptiness(stats: &GatewayStats) -> (bool, bool) {
    (stats.cordoned, stats.cordoned && stats.connections == 0)
}

/// A condition's reason is one CamelCase word whatever a gateway says.
pub(crate) fn camel_case(reason: &str) -> String {
    let word: String = reason.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    if word.starts_with(|first: char| first.is_ascii_uppercase()) { word } else { "Unavailable".to_owned() }
}

fn bounded(message: &str) -> String {
    message.chars().take(300).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use chat_gateway_config::{
        delivery::DeliveryStats,
        stats::{HealthCounters, MessageCounters, ShardStats},
    };

    use super::*;

    pub(crate) fn component(available: bool) -> Component {
        let (reason, message) =
            if available { ("Connected", "") } else { ("ConnectionRefused", "nothing listens on demo-rabbitmq:5672") };
        Component { available, reason: reason.to_owned(), message: message.to_owned() }
    }

    pub(crate) fn stats(name: &str, connections: u32, shards: &[(&str, u32)]) -> GatewayStats {
        GatewayStats {
            gateway: name.to_owned(),
            connections,
            rooms: 0,
            draining: false,
            cordoned: false,
            clock_ms: None,
            limit: 10_000,
            ready_seconds: Some(60),
            messages: MessageCounters::default(),
            health: HealthCounters::default(),
            delivery: Some(DeliveryStats::default()),
            broker: component(true),
            redis: component(true),
            issuers: Vec::new(),
            live: None,
            shards: shards
                .iter()
                .map(|(name, slots)| ShardStats {
                    name: (*name).to_owned(),
                    slots: *slots,
                    component: component(true),
                    uris: Vec::new(),
                })
                .collect(),
        }
    }

    pub(crate) fn view(gateways: &[GatewayStats]) -> ClusterView {
        let gateways: BTreeMap<_, _> =
            gateways.iter().map(|stats| (stats.gateway.clone(), Box::new(stats.clone()))).collect();
        let mut view = ClusterView { gateways, ..ClusterView::default() };
        view.connections = view.open_connections();
        view
    }

    #[test]
    fn one_gateway_in_trouble_is_trouble() {
        let (good, mut bad) = (stats("g1", 3, &[]), stats("g2", 4, &[]));
        bad.broker = component(false);
        let both = view(&[good.clone(), bad]);
        let Opinion::Bad { reason, message } = both.opinion(|stats| Some(&stats.broker)) else { panic!("{both:?}") };
        assert_eq!(reason, "ConnectionRefused");
        assert!(message.starts_with("1 of 2 gateways"), "{message}");
        assert_eq!(both.opinion(|stats| Some(&stats.redis)), Opinion::Good);
        assert_eq!(ClusterView::default().opinion(|stats| Some(&stats.redis)), Opinion::None);
        assert!(both.says_something_else(&view(&[good, stats("g2", 4, &[])])));
        assert_eq!(both.open_connections(), 7);
    }

    #[test]
    fn who_has_just_started_has_no_opinion_where_others_have_one() {
        let (good, mut new) = (stats("g1", 3, &[]), stats("g2", 0, &[]));
        new.broker = Component { reason: "Connecting".to_owned(), ..component(false) };
        let opinion = |gateways: &[GatewayStats]| view(gateways).opinion(|stats| Some(&stats.broker));
        assert_eq!(opinion(&[good, new.clone()]), Opinion::Good);
        assert!(matches!(opinion(&[new]), Opinion::Bad { .. }), "nobody else says anything");
    }

    #[test]
    fn counters_are_no_news() {
        let (before, mut after) = (stats("g1", 3, &[("a", 512)]), stats("g1", 9, &[("a", 512)]));
        after.messages.accepted = 1_000;
        assert!(!view(&[after.clone()]).says_something_else(&view(std::slice::from_ref(&before))));
        after.shards[0].slots = 513;
        assert!(view(&[after]).says_something_else(&view(&[before])));
    }

    #[test]
    fn reasons_are_words() {
        assert_eq!(camel_case("ConnectionRefused"), "ConnectionRefused");
        assert_eq!(camel_case("connection refused"), "Unavailable");
        assert_eq!(camel_case(""), "Unavailable");
    }
}
