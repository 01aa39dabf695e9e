//! What is asked of shards about their slots, and the answer of a store that is one shard.

use chat_gateway_config::{
    slots::{OwnedSlots, ShardSlots, SlotsAnswer},
    stats::ShardStats,
};
use jiff::Timestamp;

/// What to tell beside who owns which slot and which slots are on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotsQuestion {
    /// Whether to tell what each slot takes.
    pub sizes: bool,
    /// Since when moves that ended are told; without it only those whose leftovers are still at their source.
    pub since: Option<Timestamp>,
}

/// The answer of a store whose one shard owns all slots for ever.
pub(super) fn undivided(health: Vec<ShardStats>) -> SlotsAnswer {
    let slots = health.iter().map(|shard| shard.slots).max().unwrap_or(0);
    let shards = health.into_iter().map(|shard| {
        let all = shard.slots.checked_sub(1).map(|last| OwnedSlots { first: 0, last, epoch: 1 });
        let available = shard.component.available;
        ShardSlots {
            name: shard.name,
            error: (!available).then_some(shard.component.message),
            owned: all.into_iter().filter(|_| available).collect(),
            ..ShardSlots::default()
        }
    });
    SlotsAnswer { slots, shards: shards.collect() }
}

#[cfg(test)]
mod tests {
    use chat_gateway_config::stats::Component;

    use super::*;

    fn stats(available: bool) -> Vec<ShardStats> {
        let component = Component { available, reason: "X".into(), message: "why".into() };
        vec![ShardStats { name: "all".into(), slots: 8, component, uris: Vec::new() }]
    }

    #[test]
    fn one_shard_owns_everything_while_it_answers() {
        let answer = undivided(stats(true));
        assert_eq!((answer.slots, answer.shards[0].error.as_deref()), (8, None));
        assert_eq!(answer.shards[0].owned, [OwnedSlots { first: 0, last: 7, epoch: 1 }]);
        let answer = undivided(stats(false));
        assert_eq!((answer.slots, answer.shards[0].error.as_deref()), (8, Some("why")));
        assert!(answer.shards[0].owned.is_empty());
    }
}
