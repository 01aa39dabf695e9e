//! When a gateway is ready, and how it learns of its shards.

use std::{sync::Arc, time::Duration};

use chat_gateway_config::{
    GatewayConfig,
    stats::{Component, GatewayStats, ShardStats},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::store::{Store, sqlite};

/// How often the shards are asked. The operator promises a condition within 10 s, so this and its own poll stay well below.
const INTERVAL: Duration = Duration::from_secs(2);

/// Decides readiness. The first time everything must answer: a gateway that never saw its broker is no use yet. Later a lost broker or
/// Redis leaves it ready, since chat goes on without; only draining, a cordon, or the loss of every shard takes it out of the Service.
pub(super) fn ready(stats: &GatewayStats, was_ready: bool) -> Result<(), String> {
    if stats.draining {
        return Err("draining".into());
    }
    if stats.cordoned {
        return Err("cordoned".into());
    }
    let away = |name: &str, component: &Component| format!("{name} is not reachable: {}", component.message);
    if was_ready {
        if stats.shards.iter().any(|shard| shard.component.available) {
            return Ok(());
        }
        return Err("no shard is reachable".into());
    }
    if !stats.broker.available {
        return Err(away("the broker", &stats.broker));
    }
    if !stats.redis.available {
        return Err(away("Redis", &stats.redis));
    }
    match stats.shards.iter().find(|shard| !shard.component.available) {
        Some(shard) => Err(away(&format!("shard {}", shard.name), &shard.component)),
        None => Ok(()),
    }
}

/// Asks the shards every [`INTERVAL`] until stopped.
pub fn watch_shards(
    store: Arc<dyn Store>,
    config: &GatewayConfig,
    stop: CancellationToken,
) -> watch::Receiver<Vec<ShardStats>> {
    let unknown = |name: &str| ShardStats {
        name: name.to_owned(),
        slots: 0,
        component: Component { available: false, reason: "Starting".into(), message: "not asked yet".into() },
        uris: Vec::new(),
    };
    let embedded = config.database.embedded.is_some().then(|| unknown(sqlite::SHARD));
    let first = config.database.shards.iter().map(|shard| unknown(&shard.name)).chain(embedded).collect();
    let (sender, receiver) = watch::channel(first);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = store.health().await;
            sender.send_if_modified(|before| {
                let changed = *before != now;
                *before = now;
                changed
            });
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(broker: bool, redis: bool, shards: &[bool], draining: bool) -> GatewayStats {
        let component = |available| Component { available, reason: "X".into(), message: "x".into() };
        GatewayStats {
            gateway: "g".into(),
            connections: 0,
            rooms: 0,
            draining,
            cordoned: false,
            limit: 10_000,
            ready_seconds: Some(60),
            health: Default::default(),
            delivery: None,
            clock_ms: None,
            messages: Default::default(),
            broker: component(broker),
            redis: component(redis),
            issuers: Vec::new(),
            live: None,
            shards: shards
                .iter()
                .map(|available| ShardStats {
                    name: "a".into(),
                    slots: 1,
                    component: component(*available),
                    uris: Vec::new(),
                })
                .collect(),
        }
    }

    #[test]
    fn the_first_time_needs_everything() {
        assert!(ready(&stats(true, true, &[true, true], false), false).is_ok());
        assert!(ready(&stats(false, true, &[true], false), false).unwrap_err().contains("broker"));
        assert!(ready(&stats(true, false, &[true], false), false).unwrap_err().contains("Redis"));
        assert!(ready(&stats(true, true, &[true, false], false), false).unwrap_err().contains("shard a"));
    }

    #[test]
    fn later_only_draining_or_the_last_shard_matters() {
        assert!(ready(&stats(false, false, &[false, true], false), true).is_ok());
        assert!(ready(&stats(true, true, &[false], false), true).is_err());
        assert!(ready(&stats(true, true, &[true], true), true).is_err());
    }
}
