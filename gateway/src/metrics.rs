//! The metrics of `/metrics`. The counters live in [`Counters`]; a scrape copies them, so that the hot paths touch one atomic and nothing else.

use std::sync::{Mutex, PoisonError, atomic::Ordering::Relaxed};

use chat_gateway_config::{delivery::DeliveryStats, stats::GatewayStats};
use prometheus::{Encoder as _, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::services::Counters;

/// Everything that `/metrics` shows; `docs/reference/gateway.md` has the same table, and a test compares the two.
pub struct Metrics {
    registry: Registry,
    connections: IntGauge,
    rooms: IntGauge,
    draining: IntGauge,
    available: IntGaugeVec,
    accepted: IntCounter,
    delivered: IntCounter,
    backfilled: IntCounter,
    duplicates: IntCounter,
    shed: IntCounter,
    slow_closed: IntCounter,
    reused: IntCounter,
    committed: IntCounter,
    published: IntCounter,
    violations: IntCounter,
    hints: IntCounterVec,
    closed: IntCounterVec,
    refused: IntCounterVec,
    http: IntCounterVec,
    /// Two scrapes at once would copy a counter twice.
    scrape: Mutex<()>,
}

impl Metrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// Two metrics with one name: a defect that a test would find.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(format!("chat_gateway_{name}"), help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(format!("chat_gateway_{name}"), help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let available = IntGaugeVec::new(
            Opts::new("chat_gateway_backend_available", "1 while the backend answers, else 0"),
            &["backend"],
        )?;
        registry.register(Box::new(available.clone()))?;
        let labelled = |name: &str, label: &str, help: &str| -> Result<IntCounterVec, prometheus::Error> {
            let counter = IntCounterVec::new(Opts::new(format!("chat_gateway_{name}"), help), &[label])?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        Ok(Self {
            connections: gauge("connections", "Open client connections")?,
            rooms: gauge("rooms", "Rooms with a session on this gateway")?,
            draining: gauge("draining", "1 while the gateway asks its clients to leave")?,
            available,
            accepted: counter("messages_accepted_total", "Messages acknowledged after their commit")?,
            delivered: counter("messages_delivered_total", "Message events queued for a connection")?,
            backfilled: counter(
                "messages_backfilled_total",
                "Messages read from the store because the broker did not bring them",
            )?,
            duplicates: counter("messages_duplicate_total", "Messages of the broker dropped as delivered before")?,
            shed: counter("events_shed_total", "Ephemeral events dropped for slow connections")?,
            slow_closed: counter("connections_slow_closed_total", "Connections closed because their queue was full")?,
            reused: counter(
                "refresh_tokens_reused_total",
                "Sessions ended because a used refresh token came back: it was stolen, or a client keeps old ones",
            )?,
            committed: counter("messages_committed_total", "Messages that the store wrote for this gateway")?,
            published: counter("messages_published_total", "Messages that the broker confirmed to this gateway")?,
            violations: counter(
                "delivery_violations_total",
                "Promises about messages that were certainly broken; GET /delivery names them",
            )?,
            hints: labelled(
                "connect_hints_total",
                "answer",
                "Clients that asked where to connect: gateways were named, or only the front where they had asked",
            )?,
            closed: labelled("connections_closed_total", "code", "Connections closed by the gateway, by close code")?,
            refused: labelled(
                "requests_refused_total",
                "code",
                "Requests over WebSockets that were refused, by error code",
            )?,
            http: labelled(
                "http_responses_total",
                "status",
                "Answers on the client port, by status; 101 is a WebSocket",
            )?,
            registry,
            scrape: Mutex::new(()),
        })
    }

    /// The text format of Prometheus.
    ///
    /// # Errors
    /// The encoder's, which does not happen with valid names.
    pub fn render(&self, counters: &Counters, stats: &GatewayStats) -> Result<String, prometheus::Error> {
        let _one_at_a_time = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.connections.set(i64::from(stats.connections));
        self.rooms.set(i64::from(stats.rooms));
        self.draining.set(i64::from(stats.draining));
        // Shards come and go.
        self.available.reset();
        for (name, component) in [("broker", &stats.broker), ("redis", &stats.redis)] {
            self.available.with_label_values(&[name]).set(i64::from(component.available));
        }
        for shard in &stats.shards {
            self.available
                .with_label_values(&[&format!("shard:{}", shard.name)])
                .set(i64::from(shard.component.available));
        }
        for issuer in &stats.issuers {
            self.available
                .with_label_values(&[&format!("issuer:{}", issuer.issuer)])
                .set(i64::from(issuer.component.available));
        }
        for (metric, value) in [
            (&self.accepted, &counters.accepted),
            (&self.delivered, &counters.delivered),
            (&self.backfilled, &counters.backfilled),
            (&self.duplicates, &counters.duplicates),
            (&self.shed, &counters.shed),
            (&self.slow_closed, &counters.slow_closed),
            (&self.reused, &counters.reused),
        ] {
            metric.inc_by(value.load(Relaxed).saturating_sub(metric.get()));
        }
        if let Some(DeliveryStats { totals, violations, .. }) = &stats.delivery {
            for (metric, value) in [
                (&self.committed, totals.committed),
                (&self.published, totals.published),
                (&self.violations, *violations),
            ] {
                metric.inc_by(value.saturating_sub(metric.get()));
            }
        }
        for (metric, tally) in [
            (&self.hints, &counters.hints),
            (&self.closed, &counters.closed),
            (&self.refused, &counters.refused),
            (&self.http, &counters.http),
        ] {
            for (label, count) in tally.counts() {
                let metric = metric.with_label_values(&[label]);
                metric.inc_by(count.saturating_sub(metric.get()));
            }
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
