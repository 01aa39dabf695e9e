//! The gateways.

use crate::{Basis, BrokerKind, Limit, LimitKind, Part, Tier, plan::Question};

/// Seconds within which everybody of a lost gateway is to be back.
pub(crate) const BACK_WITHIN: f64 = 30.0;

/// What all gateways compute, in processors, by what it is for, when `working` of them share it.
pub(crate) fn parts(question: &Question<'_>, working: u64) -> Vec<Part> {
    let (load, costs) = (question.workload, question.costs);
    let heard = load.messages() * load.spread(working);
    let through_broker = match load.broker {
        BrokerKind::RabbitMq | BrokerKind::Redis => heard * costs.gateway_receive.value,
        BrokerKind::Kafka => {
            heard * costs.gateway_receive.value + load.messages() * working as f64 * costs.gateway_kafka_record.value
        }
    } + load.messages() * costs.gateway_publish.value;
    let part = |what, micros: f64| Part { what, processors: micros / 1e6 };
    vec![
        part("idle connections", load.connections as f64 * costs.gateway_idle.value),
        part("messages taken", load.messages() * costs.gateway_message.value),
        part("deliveries to clients", load.deliveries() * costs.gateway_delivery.value),
        part("to and from the broker", through_broker),
        part("sign-ins", load.sign_ins() * costs.gateway_sign_in.value),
    ]
}

/// What one of `working` gateways needs.
pub(crate) fn limits(question: &Question<'_>, working: u64) -> Vec<Limit> {
    let (load, costs, sizes) = (question.workload, question.costs, question.sizes);
    let (all, target) = (working as f64, question.headroom.target);
    let limit =
        |kind, load, capacity, basis| Limit { tier: Tier::Gateways, kind, load, capacity, ceiling: target, basis };
    let each = load.connections as f64 / all;
    let processors = parts(question, working).iter().map(|part| part.processors).sum::<f64>() / all;
    let memory = each * (costs.gateway_memory.value + costs.gateway_kernel_memory.value);
    let frame = load.message_bytes as f64 + costs.frame_bytes.value;
    let heard = load.messages() * load.spread(working) / all;
    let mut sent = load.deliveries() / all * frame;
    if load.broker == BrokerKind::Kafka {
        // Taken in, not sent; the fuller direction is what counts.
        sent = sent.max(load.messages() * (load.message_bytes as f64 + costs.record_bytes.value));
    }
    let cpus = sizes.gateway_cpus as f64;
    let mut limits = vec![
        limit(LimitKind::Connections, each, sizes.gateway_connections as f64, Basis::Measured),
        limit(LimitKind::Processor, processors, cpus, Basis::Assumed),
        limit(LimitKind::Memory, memory, sizes.gateway_memory_mib as f64 * 1_048_576.0, Basis::Measured),
        limit(LimitKind::Network, sent, sizes.network(), Basis::Assumed),
    ];
    if load.broker == BrokerKind::RabbitMq {
        limits.push(limit(LimitKind::Queue, heard, costs.rabbitmq_queue.value, costs.rabbitmq_queue.basis));
    }
    // One of `working + 1` is lost, and those who are left have what is not used of their processors.
    let back = load.connections as f64 / (all + 1.0) / all;
    let spare = (cpus - processors).max(cpus * 1e-6);
    let seconds = back * costs.gateway_sign_in.value / 1e6 / spare;
    limits.push(Limit { ceiling: 1.0, ..limit(LimitKind::Reconnect, seconds, BACK_WITHIN, Basis::Assumed) });
    limits
}
