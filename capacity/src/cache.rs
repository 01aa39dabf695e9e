//! The Redis of limits and presence. There is one: its scripts touch keys of many slots, which a Redis Cluster refuses.

use crate::{Limit, LimitKind, Part, Tier, plan::Question};

/// Seconds after which a gateway vouches for its users again.
const RENEW: f64 = 15.0;

pub(crate) fn parts(question: &Question<'_>) -> Vec<Part> {
    let (load, costs) = (question.workload, question.costs);
    let part = |what, micros: f64| Part { what, processors: micros / 1e6 };
    vec![
        part("limits: a script for each message", load.messages() * costs.redis_limit.value),
        part("presence: who is online, every 15 s", load.connections as f64 / RENEW * costs.redis_vouch.value),
        part("presence: who comes and goes", load.sign_ins() * costs.redis_arrive.value),
    ]
}

pub(crate) fn limits(question: &Question<'_>) -> Vec<Limit> {
    let costs = question.costs;
    let processors = parts(question).iter().map(|part| part.processors).sum();
    let memory = question.workload.connections as f64 * costs.redis_user_memory.value;
    let has = question.sizes.broker_memory_mib as f64 * 1_048_576.0;
    let limit = |kind, load, capacity, basis| Limit {
        tier: Tier::Cache,
        kind,
        load,
        capacity,
        ceiling: question.headroom.target,
        basis,
    };
    vec![
        limit(LimitKind::Processor, processors, 1.0, costs.redis_limit.basis),
        limit(LimitKind::Memory, memory, has, costs.redis_user_memory.basis),
    ]
}
