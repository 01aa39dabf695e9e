//! RabbitMQ: a queue for each gateway, a binding for each room on each gateway that has somebody in it. Every node knows all bindings.

use crate::{Basis, Limit, LimitKind, Part, Tier, plan::Question};

/// Part of its memory that a node fills before it blocks publishers: RabbitMQ's own default.
const WATERMARK: f64 = 0.4;

/// Bindings of all gateways.
pub(crate) fn bindings(question: &Question<'_>, gateways: u64) -> f64 {
    question.workload.rooms() * question.workload.spread(gateways)
}

pub(crate) fn parts(question: &Question<'_>, gateways: u64) -> Vec<Part> {
    let (load, costs) = (question.workload, question.costs);
    // Who comes to a gateway on which nobody else is in the room brings a binding, and takes it away again.
    let alone = load.spread(gateways) / load.members_online as f64;
    let bound = load.sign_ins() * load.rooms_per_connection as f64 * alone * 2.0;
    let part = |what, micros: f64| Part { what, processors: micros / 1e6 };
    vec![
        part("publishes", load.messages() * costs.rabbitmq_publish.value),
        part("deliveries to gateways", load.messages() * load.spread(gateways) * costs.rabbitmq_deliver.value),
        part("bindings that come and go", bound * costs.rabbitmq_bind.value),
    ]
}

pub(crate) fn limits(question: &Question<'_>, gateways: u64, nodes: u64) -> Vec<Limit> {
    let (load, costs, sizes) = (question.workload, question.costs, question.sizes);
    let all = nodes as f64;
    let limit = |kind, load, capacity, basis| Limit {
        tier: Tier::Broker,
        kind,
        load,
        capacity,
        ceiling: question.headroom.target,
        basis,
    };
    let processors = parts(question, gateways).iter().map(|part| part.processors).sum::<f64>() / all;
    let memory = bindings(question, gateways) * costs.rabbitmq_binding_memory.value;
    let has = sizes.broker_memory_mib as f64 * 1_048_576.0 * WATERMARK;
    let record = load.message_bytes as f64 + costs.record_bytes.value;
    // A node hands on what other nodes' queues hold.
    let sent = load.messages() * load.spread(gateways) * record * (2.0 - 1.0 / all) / all;
    vec![
        limit(LimitKind::Processor, processors, sizes.broker_cpus as f64, costs.rabbitmq_deliver.basis),
        limit(LimitKind::Memory, memory, has, costs.rabbitmq_binding_memory.basis),
        limit(LimitKind::Network, sent, sizes.network(), Basis::Assumed),
    ]
}
