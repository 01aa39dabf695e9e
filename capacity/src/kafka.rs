//! Kafka: one topic, of which every gateway reads all partitions.

use crate::{Basis, Limit, LimitKind, MOST_PARTITIONS, Part, Tier, plan::Question};

/// Partitions that the topic needs; 12 at least, which is the gateways' own default.
pub(crate) fn partitions(question: &Question<'_>) -> f64 {
    let rate = question.costs.kafka_partition.value * question.headroom.target;
    (question.workload.messages() / rate).ceil().max(12.0)
}

pub(crate) fn parts(question: &Question<'_>, gateways: u64) -> Vec<Part> {
    let (load, costs) = (question.workload, question.costs);
    let part = |what, micros: f64| Part { what, processors: micros / 1e6 };
    vec![
        part("records taken, with their copies", load.messages() * load.copies as f64 * costs.kafka_produce.value),
        part("records read by every gateway", load.messages() * gateways as f64 * costs.kafka_fetch.value),
    ]
}

pub(crate) fn limits(question: &Question<'_>, gateways: u64, nodes: u64) -> Vec<Limit> {
    let (load, costs, sizes) = (question.workload, question.costs, question.sizes);
    let (all, target) = (nodes as f64, question.headroom.target);
    let limit =
        |kind, load, capacity, ceiling, basis| Limit { tier: Tier::Broker, kind, load, capacity, ceiling, basis };
    let processors = parts(question, gateways).iter().map(|part| part.processors).sum::<f64>() / all;
    let record = load.message_bytes as f64 + costs.record_bytes.value;
    let sent = load.messages() * record * (gateways as f64 + load.copies as f64 - 1.0) / all;
    vec![
        limit(LimitKind::Processor, processors, sizes.broker_cpus as f64, target, costs.kafka_fetch.basis),
        limit(LimitKind::Network, sent, sizes.network(), target, Basis::Assumed),
        limit(LimitKind::Partitions, partitions(question), MOST_PARTITIONS as f64, 1.0, costs.kafka_partition.basis),
    ]
}
