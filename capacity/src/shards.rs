//! PostgreSQL shards. Slots are whole, so the fullest shard has more than its part of them.

use crate::{Basis, Limit, LimitKind, Part, SLOTS, Tier, plan::Question};

/// Lanes of a gateway to each shard, in which texts that come together are committed together.
const LANES: f64 = 2.0;
/// Texts that one commit takes at most.
const MOST_IN_A_COMMIT: f64 = 256.0;
/// Looks of a gateway at each shard in a second: ended sessions every 2 s, health every 5 s.
const LOOKS: f64 = 0.7;
/// Connections of a gateway to each shard at most.
pub(crate) const CONNECTIONS: u64 = 10;

/// Slots for so many shards: eight for each at least, so that the fullest has an eighth too much at most.
pub(crate) fn slots(question: &Question<'_>, shards: u64) -> u64 {
    let (least, most) = SLOTS;
    let enough = shards.saturating_mul(8).checked_next_power_of_two().unwrap_or(most);
    question.sizes.slots.unwrap_or_else(|| enough.clamp(least, most))
}

/// The part of everything that the fullest shard has.
fn share(question: &Question<'_>, shards: u64) -> f64 {
    let slots = slots(question, shards);
    slots.div_ceil(shards) as f64 / slots as f64
}

/// Texts in one commit of one lane: who comes while a commit is under way waits for the next.
fn together(question: &Question<'_>, gateways: u64, texts: f64) -> f64 {
    let lane = texts / (LANES * gateways as f64);
    (1.0 + lane * question.costs.commit_time.value / 1e6).min(MOST_IN_A_COMMIT)
}

pub(crate) fn parts(question: &Question<'_>, gateways: u64, shards: u64) -> Vec<Part> {
    let (load, costs) = (question.workload, question.costs);
    let fullest = load.messages() * share(question, shards);
    let commits = load.messages() / together(question, gateways, fullest);
    let looks = LOOKS * gateways as f64 * shards as f64;
    let part = |what, micros: f64| Part { what, processors: micros / 1e6 };
    vec![
        part("texts", load.messages() * costs.shard_text.value),
        part("commits", commits * costs.shard_commit.value),
        part("sign-ins", load.sign_ins() * costs.shard_sign_in.value),
        part("gateways that look for changes", looks * costs.shard_look.value),
    ]
}

pub(crate) fn limits(question: &Question<'_>, gateways: u64, shards: u64) -> Vec<Limit> {
    let (load, costs, sizes) = (question.workload, question.costs, question.sizes);
    let (share, target) = (share(question, shards), question.headroom.target);
    let limit =
        |kind, load, capacity, ceiling, basis| Limit { tier: Tier::Shards, kind, load, capacity, ceiling, basis };
    let texts = load.messages() * share;
    let micros = texts * (costs.shard_text.value + costs.shard_commit.value / together(question, gateways, texts))
        + load.sign_ins() * share * costs.shard_sign_in.value
        + LOOKS * gateways as f64 * costs.shard_look.value;
    let kept = load.messages() * load.mean_percent as f64 / 100.0 * 86_400.0 * load.history_days as f64;
    let disk = kept * (load.message_bytes as f64 + costs.row_bytes.value) * share;
    vec![
        limit(LimitKind::Processor, micros / 1e6, sizes.shard_cpus as f64, target, costs.shard_commit.basis),
        limit(LimitKind::Commits, texts, costs.shard_most.value, target, costs.shard_most.basis),
        limit(LimitKind::Disk, disk, sizes.shard_disk_gib as f64 * 1_073_741_824.0, target, Basis::Assumed),
    ]
}
