//! The metrics of `/metrics`, made of what is counted when somebody asks: the hot paths touch an atomic and nothing else. What there is stands in
//! [`chat_gateway_config::metrics::gateway`], from which the reference is made.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use chat_gateway_config::{
    delivery::DeliveryStats,
    metrics::{Family, Kind, gateway},
    stats::GatewayStats,
};
use prometheus::{
    Encoder as _, TextEncoder,
    core::Collector as _,
    process_collector::ProcessCollector,
    proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType},
};

use crate::{
    services::Counters,
    tally::Tally,
    timing::{Observed, Timing},
};

/// The text format of Prometheus: families with a value, and those of the process.
///
/// # Errors
/// The encoder's, which does not happen with valid names.
pub fn render(counters: &Counters, stats: &GatewayStats) -> Result<String, prometheus::Error> {
    let mut families: Vec<MetricFamily> = samples(counters, stats)
        .into_iter()
        .filter(|(_, metrics)| !metrics.is_empty())
        .map(|(family, metrics)| exposed(&family, metrics))
        .collect();
    families.extend(ProcessCollector::for_self().collect());
    let mut text = Vec::new();
    TextEncoder::new().encode(&families, &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn samples(counters: &Counters, stats: &GatewayStats) -> Vec<(Family, Vec<Metric>)> {
    let counted = |family, counter: &AtomicU64| (family, vec![count(counter.load(Relaxed))]);
    let mut samples = vec![
        (gateway::ACK_SECONDS, timed(&counters.acks)),
        (gateway::BACKEND_AVAILABLE, backends(stats)),
        (gateway::CONNECTIONS, vec![value(stats.connections.into())]),
        (gateway::CONNECTIONS_LIMIT, vec![value(stats.limit.into())]),
        (gateway::DELIVERY_SECONDS, timed(&counters.deliveries)),
        (gateway::DRAINING, vec![value(stats.draining.into())]),
        (gateway::ROOMS, vec![value(stats.rooms.into())]),
        (gateway::CONNECT_HINTS, tallied(&gateway::CONNECT_HINTS, &counters.hints)),
        (gateway::CONNECTIONS_CLOSED, tallied(&gateway::CONNECTIONS_CLOSED, &counters.closed)),
        (gateway::REQUESTS_REFUSED, tallied(&gateway::REQUESTS_REFUSED, &counters.refused)),
        (gateway::HTTP_RESPONSES, tallied(&gateway::HTTP_RESPONSES, &counters.http)),
        counted(gateway::MESSAGES_ACCEPTED, &counters.accepted),
        counted(gateway::MESSAGES_DELIVERED, &counters.delivered),
        counted(gateway::MESSAGES_BACKFILLED, &counters.backfilled),
        counted(gateway::MESSAGES_DUPLICATE, &counters.duplicates),
        counted(gateway::EVENTS_SHED, &counters.shed),
        counted(gateway::CONNECTIONS_SLOW_CLOSED, &counters.slow_closed),
        counted(gateway::REFRESH_TOKENS_REUSED, &counters.reused),
        counted(gateway::SPANS_DROPPED, &counters.spans_dropped),
        counted(gateway::SPANS_EXPORTED, &counters.spans_exported),
    ];
    if let Some(DeliveryStats { totals, violations, .. }) = &stats.delivery {
        samples.extend([
            (gateway::MESSAGES_COMMITTED, vec![count(totals.committed)]),
            (gateway::MESSAGES_PUBLISHED, vec![count(totals.published)]),
            (gateway::DELIVERY_VIOLATIONS, vec![count(*violations)]),
        ]);
    }
    samples.sort_by_key(|(family, _)| family.name);
    samples
}

/// Which backends answer. Shards and issuers come and go.
fn backends(stats: &GatewayStats) -> Vec<Metric> {
    let own = [("broker".to_owned(), &stats.broker), ("redis".to_owned(), &stats.redis)];
    let shards = stats.shards.iter().map(|shard| (format!("shard:{}", shard.name), &shard.component));
    let issuers = stats.issuers.iter().map(|issuer| (format!("issuer:{}", issuer.issuer), &issuer.component));
    let all = own.into_iter().chain(shards).chain(issuers);
    all.map(|(name, component)| labelled(value(component.available.into()), &gateway::BACKEND_AVAILABLE, &name))
        .collect()
}

fn tallied(family: &Family, tally: &Tally) -> Vec<Metric> {
    tally.counts().into_iter().map(|(label, counted)| labelled(count(counted), family, label)).collect()
}

fn timed(timing: &Timing) -> Vec<Metric> {
    let Observed { buckets, count, seconds } = timing.observed();
    let bucket = |(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(count);
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.into_iter().map(bucket).collect());
    histogram.set_sample_count(count);
    histogram.set_sample_sum(seconds);
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    vec![metric]
}

#[expect(clippy::cast_precision_loss, reason = "the text format has no other numbers")]
fn count(counted: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(counted as f64);
    let mut metric = Metric::default();
    metric.set_counter(counter);
    metric
}

fn value(value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::default();
    metric.set_gauge(gauge);
    metric
}

/// The metric under the family's only label.
fn labelled(mut metric: Metric, family: &Family, value: &str) -> Metric {
    let pair = |label: &&str| {
        let mut pair = LabelPair::default();
        pair.set_name((*label).to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    metric.set_label(family.labels.iter().map(pair).collect());
    metric
}

fn exposed(family: &Family, metrics: Vec<Metric>) -> MetricFamily {
    let mut exposed = MetricFamily::default();
    exposed.set_name(family.name.to_owned());
    exposed.set_help(family.help.to_owned());
    exposed.set_field_type(match family.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    exposed.set_metric(metrics);
    exposed
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use chat_gateway_config::{delivery::DeliveryCounters, metrics::process};
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_in_the_tables_is_shown_and_nothing_else() {
        let counters = Counters::default();
        for tally in [&counters.hints, &counters.closed, &counters.refused, &counters.http] {
            tally.add("x");
        }
        counters.acks.observe(Duration::from_millis(3));
        let answers = json!({ "available": true, "reason": "Connected", "message": "" });
        let delivery = DeliveryStats {
            totals: DeliveryCounters { committed: 7, ..DeliveryCounters::default() },
            ..DeliveryStats::default()
        };
        let stats: GatewayStats = serde_json::from_value(json!({
            "gateway": "g", "connections": 3, "rooms": 2, "draining": false, "limit": 100, "broker": answers, "redis": answers,
            "messages": { "accepted": 0, "delivered": 0, "backfilled": 0, "duplicates": 0, "shed": 0, "slowClosed": 0 },
            "shards": [], "delivery": delivery,
        }))
        .unwrap();
        let text = render(&counters, &stats).unwrap();
        let shown: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let families = gateway::FAMILIES.iter().chain(process::FAMILIES);
        let told: Vec<String> = families.map(|family| format!("{} {}", family.name, family.kind.as_str())).collect();
        assert_eq!(shown, told.iter().map(String::as_str).collect());
        for line in [
            "chat_gateway_backend_available{backend=\"broker\"} 1",
            "chat_gateway_connections_limit 100",
            "chat_gateway_messages_committed_total 7",
            "chat_gateway_requests_refused_total{code=\"x\"} 1",
            "chat_gateway_ack_seconds_bucket{le=\"0.0025\"} 0",
            "chat_gateway_ack_seconds_bucket{le=\"0.005\"} 1",
            "chat_gateway_ack_seconds_sum 0.003",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
    }
}
