//! Metrics of the operator. Each one is incremented somewhere; labels come from closed sets, or name a namespace with a
//! ChatCluster: writes are what tells an idle cluster from one that somebody fights over. What gateways carry names the ChatCluster, as long as it is there.

use std::sync::Arc;

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::poll::{Gauges, Poller};

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
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is registered twice, which is a mistake in this file.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new_custom(Some("chat_operator".to_owned()), None)?;
        let counters = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let reconciles = counters("reconciles_total", "Passes over ChatClusters", &["outcome"])?;
        let reconcile_errors = counters("reconcile_errors_total", "Failed passes", &["reason"])?;
        let writes = counters("writes_total", "Writes to children", &["namespace", "kind", "verb"])?;
        let polls = counters("polls_total", "Questions to gateways", &["result"])?;
        let probes = counters("probes_total", "Probes of delivery through a ChatCluster's front door", &["result"])?;
        let moves = counters("moves_total", "Clients asked to connect to another gateway", &["namespace"])?;
        let events = counters("events_total", "Events published", &["type"])?;
        let status_writes = counters("status_writes_total", "Writes of a ChatCluster's status", &["namespace"])?;
        let watch_errors = counter("watch_errors_total", "Watches that ended with an error")?;
        // An idle pass is about a dozen reads of a few milliseconds; a first pass adds some thirty writes.
        let buckets = vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let reconcile_seconds =
            Histogram::with_opts(HistogramOpts::new("reconcile_seconds", "Seconds of a pass").buckets(buckets))?;
        registry.register(Box::new(reconcile_seconds.clone()))?;
        let clusters = IntGaugeVec::new(Opts::new("clusters", "ChatClusters by Ready status"), &["ready"])?;
        registry.register(Box::new(clusters.clone()))?;
        let leader = IntGauge::new("leader", "1 while this replica holds the Lease")?;
        registry.register(Box::new(leader.clone()))?;
        Ok(Self {
            registry,
            reconciles,
            reconcile_errors,
            reconcile_seconds,
            writes,
            status_writes,
            polls,
            probes,
            moves,
            events,
            clusters,
            leader,
            watch_errors,
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
