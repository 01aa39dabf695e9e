//! What the operator tells each gateway of all of them (`PUT /peers` on the admin port), so that a gateway can tell clients where there is room.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{agent, stats::GatewayStats};

/// Time for which clients are sent anywhere by what the operator said last. It says something every two seconds; who has heard nothing for so long knows of
/// nobody any more.
pub const FRESH: Duration = Duration::from_secs(10);

/// The gateways that take clients, as they said themselves moments ago.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peers {
    /// All that take clients. Who is not here is ending, cordoned, full, not ready, or did not answer.
    pub gateways: Vec<Peer>,
}

/// A gateway that takes clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Name of the gateway, its pod's name.
    pub gateway: String,
    /// Where clients reach this very gateway: `ws://` or `wss://` with a host, and a port and a path where they are needed. The path of a door follows.
    pub address: String,
    /// Connections that it has.
    pub connections: u32,
    /// Connections that it accepts, at least 1.
    pub limit: u32,
    /// Seconds since it was ready first.
    pub ready_seconds: u32,
}

impl Peer {
    /// A ready gateway that said this of itself, if it takes clients. One of the version before does not say how many it accepts and how old it is: it accepts
    /// `limit`, and is no new one.
    #[must_use]
    pub fn of(stats: &GatewayStats, address: String, limit: u32) -> Option<Self> {
        let (limit, ready_seconds) = match stats.limit {
            0 => (limit, u32::MAX),
            limit => (limit, stats.ready_seconds?),
        };
        let takes = !stats.draining && !stats.cordoned && stats.connections < limit;
        takes.then(|| Self {
            gateway: stats.gateway.clone(),
            address,
            connections: stats.connections,
            limit,
            ready_seconds,
        })
    }

    /// Its share of all clients beside the others', so long after this was said: its size, and of a new one a part that grows.
    #[must_use]
    pub fn weight(&self, later: Duration) -> u64 {
        let age = Duration::from_secs(self.ready_seconds.into()).saturating_add(later);
        u64::from(self.limit) * agent::grown(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> GatewayStats {
        let text = r#"{"gateway":"a","connections":3,"rooms":0,"draining":false,
            "messages":{"accepted":0,"delivered":0,"backfilled":0,"duplicates":0,"shed":0,"slowClosed":0},
            "broker":{"available":true,"reason":"Connected","message":""},
            "redis":{"available":true,"reason":"Connected","message":""},"shards":[]}"#;
        serde_json::from_str(text).unwrap()
    }

    fn peer(stats: &GatewayStats) -> Option<Peer> {
        Peer::of(stats, "ws://a".to_owned(), 100)
    }

    #[test]
    fn who_takes_nobody_is_no_address() {
        let open = GatewayStats { limit: 10, ready_seconds: Some(5), ..stats() };
        assert_eq!(peer(&open).map(|peer| (peer.connections, peer.limit, peer.ready_seconds)), Some((3, 10, 5)));
        for closed in [
            GatewayStats { draining: true, ..open.clone() },
            GatewayStats { cordoned: true, ..open.clone() },
            GatewayStats { connections: 10, ..open.clone() },
            GatewayStats { ready_seconds: None, ..open },
        ] {
            assert_eq!(peer(&closed), None, "{closed:?}");
        }
    }

    #[test]
    fn a_gateway_of_the_version_before_has_the_size_of_the_spec_and_its_whole_share() {
        let old = peer(&stats()).unwrap();
        assert_eq!((old.limit, old.weight(Duration::ZERO)), (100, 100 * 100));
        assert_eq!(peer(&GatewayStats { connections: 100, ..stats() }), None);
    }

    #[test]
    fn a_new_gateway_has_a_tenth_of_its_share_that_grows_for_a_minute() {
        let new = peer(&GatewayStats { limit: 50, ready_seconds: Some(0), ..stats() }).unwrap();
        let weights = [0, 6, 30, 60, 600].map(|seconds| new.weight(Duration::from_secs(seconds)));
        assert_eq!(weights, [10, 10, 50, 100, 100].map(|percent| 50 * percent));
    }
}
