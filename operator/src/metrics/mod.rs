//! Metrics of the operator. Each one is incremented somewhere; labels come from closed sets, or name a namespace with a
//! ChatCluster: writes are what tells an idle cluster from one that somebody fights over. What gateways carry names the ChatCluster, as long as it is there.

mod conditions;
pub mod families;

use std::sync::Arc;

use chat_gateway_config::metrics::Family;
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};

pub use self::conditions::Told;
use self::families::PREFIX;
use crate::poll::{Gauges, Poller};

/// Name, without what the registry puts before it, and help of a family.
pub(crate) fn opts(family: &Family) -> Opts {
    Opts::new(family.name.trim_start_matches(PREFIX), family.help)
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// All metrics, registered under `chat_operator_`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Passes over ChatClusters by `outcome` (`settled`, `waiting`, `paused`, `deleting`, `failed`).
    pub reconciles: IntCounterVec,
    /// Failed passes by `reason`, the reason of the condition.
    pub reconcile_errors: IntCounterVec,
    /// Seconds of a pass.
    pub reconcile_seconds: Histogram,
    /// Writes to children by `namespace`, `kind` and `verb` (`apply`, `delete`), and marks on gateways' pods (`patch`).
    pub writes: IntCounterVec,
    /// Writes of a ChatCluster's status by `namespace`.
    pub status_writes: IntCounterVec,
    /// Questions to gateways by `result` (`answered`, `failed`).
    pub polls: IntCounterVec,
    /// Probes of delivery by `result` (`verified`, `violated`, `failed`).
    pub probes: IntCounterVec,
    /// Clients that were asked to connect to another gateway, by `namespace`.
    pub moves: IntCounterVec,
    /// Events published, by `type` (`Normal`, `Warning`).
    pub events: IntCounterVec,
    /// ChatClusters by the status of their Ready condition.
    pub clusters: IntGaugeVec,
    /// 1 while this replica holds the Lease.
    pub leader: IntGauge,
    /// Watches that ended with an error and were begun again.
    pub watch_errors: IntCounter,
    /// What the status of each ChatCluster says.
    pub told: Told,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is registered twice, which is a mistake in this file.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new_custom(Some(PREFIX.trim_end_matches('_').to_owned()), None)?;
        let counters = |family: Family| registered(&registry, IntCounterVec::new(opts(&family), family.labels)?);
        // An idle pass is about a dozen reads of a few milliseconds; a first pass adds some thirty writes.
        let buckets = vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let seconds = HistogramOpts { common_opts: opts(&families::RECONCILE_SECONDS), buckets };
        Ok(Self {
            reconciles: counters(families::RECONCILES)?,
            reconcile_errors: counters(families::RECONCILE_ERRORS)?,
            reconcile_seconds: registered(&registry, Histogram::with_opts(seconds)?)?,
            writes: counters(families::WRITES)?,
            status_writes: counters(families::STATUS_WRITES)?,
            polls: counters(families::POLLS)?,
            probes: counters(families::PROBES)?,
            moves: counters(families::MOVES)?,
            events: counters(families::EVENTS)?,
            clusters: registered(&registry, IntGaugeVec::new(opts(&families::CLUSTERS), families::CLUSTERS.labels)?)?,
            leader: registered(&registry, IntGauge::with_opts(opts(&families::LEADER))?)?,
            watch_errors: registered(&registry, IntCounter::with_opts(opts(&families::WATCH_ERRORS))?)?,
            told: Told::new(&registry)?,
            registry,
        })
    }

    /// Tells of every ChatCluster that `poller` asks, too.
    ///
    /// # Errors
    /// When that was said before.
    pub fn tell_of(&self, poller: &Arc<Poller>) -> prometheus::Result<()> {
        self.registry.register(Box::new(Gauges::new(Arc::downgrade(poller))?))
    }

    /// All metrics in the text format, the process's own (memory, CPU, files) included.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut families = self.registry.gather();
        families
            .extend(prometheus::core::Collector::collect(&prometheus::process_collector::ProcessCollector::for_self()));
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            tracing::warn!(%error, "failed to encode metrics");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every family of the table is shown, with its labels, its kind and its help, and nothing else.
    #[test]
    fn shows_what_the_table_says() {
        let metrics = Metrics::new().unwrap();
        let poller = Arc::new(Poller::new(tokio::sync::mpsc::channel(1).0, Arc::new(Metrics::new().unwrap())));
        metrics.tell_of(&poller).unwrap();
        let registered: std::collections::BTreeSet<String> =
            metrics.registry.gather().iter().map(|family| family.name().to_owned()).collect();
        let table: std::collections::BTreeSet<&str> = families::FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(table.len(), families::FAMILIES.len(), "no name twice");
        assert!(registered.iter().all(|name| table.contains(name.as_str())), "{registered:?}");
        for family in families::FAMILIES {
            assert!(family.name.starts_with(PREFIX), "{}", family.name);
            let is_counter = family.kind == chat_gateway_config::metrics::Kind::Counter;
            assert_eq!(family.name.ends_with("_total"), is_counter, "{}", family.name);
        }
    }

    #[test]
    fn conditions_are_told_until_the_cluster_goes() {
        let metrics = Metrics::new().unwrap();
        let key = crate::names::ClusterKey::new("chat", "demo");
        let condition = |type_: &str, status: &str| serde_json::json!({ "type": type_, "status": status, "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let conditions =
            [condition("Ready", "False"), condition("Stalled", "True"), condition("DeliveryVerified", "Unknown")];
        let backup = serde_json::json!({ "lastScheduleTime": "2026-01-02T03:00:00Z" });
        let status = serde_json::json!({ "conditions": conditions, "backup": backup });
        metrics.told.note(&key, &serde_json::from_value(status).unwrap());
        let text = metrics.encode();
        for (type_, value) in [("Ready", 0), ("Stalled", 1), ("DeliveryVerified", -1)] {
            let sample =
                format!("chat_operator_condition{{name=\"demo\",namespace=\"chat\",type=\"{type_}\"}} {value}\n");
            assert!(text.contains(&sample), "{sample} is not in {text}");
        }
        for (what, value) in [("schedule", 1_767_322_800), ("success", 0)] {
            let sample = format!(
                "chat_operator_backup_last_{what}_timestamp_seconds{{name=\"demo\",namespace=\"chat\"}} {value}\n"
            );
            assert!(text.contains(&sample), "{sample} is not in {text}");
        }
        metrics.told.deadlines(&key, vec![("a".to_owned(), 5), ("b".to_owned(), 7)]);
        metrics.told.deadlines(&key, vec![("b".to_owned(), 9)]);
        let text = metrics.encode();
        assert!(text.contains(
            "chat_operator_certificate_expiry_timestamp_seconds{name=\"demo\",namespace=\"chat\",secret=\"b\"} 9\n"
        ));
        assert!(!text.contains("secret=\"a\""), "that one is used no more: {text}");
        metrics.told.rotations(&key, vec!["c".to_owned(), "d".to_owned()]);
        metrics.told.rotations(&key, vec!["d".to_owned()]);
        let text = metrics.encode();
        let pending = |secret: &str| {
            format!("chat_operator_rotation_pending{{name=\"demo\",namespace=\"chat\",secret=\"{secret}\"}} 1\n")
        };
        assert!(text.contains(&pending("d")) && !text.contains(&pending("c")), "{text}");
        metrics.told.forget(&key);
        assert!(!metrics.encode().contains("demo"));
    }

    #[test]
    fn encodes_its_own_metrics_and_the_process() {
        let metrics = Metrics::new().unwrap();
        metrics.leader.set(1);
        metrics.polls.with_label_values(&["answered"]).inc();
        let text = metrics.encode();
        assert!(text.contains("chat_operator_leader 1"), "{text}");
        assert!(text.contains("chat_operator_polls_total{result=\"answered\"} 1"), "{text}");
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
    }
}
