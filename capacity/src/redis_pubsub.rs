//! Redis Pub/Sub, sharded over the primaries of a Redis Cluster. Each works on one processor.

use crate::{Basis, Limit, LimitKind, Part, Tier, plan::Question};

pub(crate) fn parts(question: &Question<'_>, gateways: u64) -> Vec<Part> {
    let (load, costs) = (question.workload, question.costs);
    let part = |what, micros: f64| Part { what, processors: micros / 1e6 };
    vec![
        part("publishes", load.messages() * costs.redis_publish.value),
        part("deliveries to gateways", load.messages() * load.spread(gateways) * costs.redis_deliver.value),
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
    let record = load.message_bytes as f64 + costs.record_bytes.value;
    let sent = load.messages() * load.spread(gateways) * record / all;
    let memory = load.rooms() * load.spread(gateways) * costs.redis_subscription_memory.value / all;
    vec![
        limit(LimitKind::Processor, processors, 1.0, costs.redis_deliver.basis),
        limit(
            LimitKind::Memory,
            memory,
            sizes.broker_memory_mib as f64 * 1_048_576.0,
            costs.redis_subscription_memory.basis,
        ),
        limit(LimitKind::Network, sent, sizes.network(), Basis::Assumed),
    ]
}
