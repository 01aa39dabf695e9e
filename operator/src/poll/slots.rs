//! What the shards say of their slots: asked of one gateway when a pass wants to know, since every gateway would answer the same.

use std::{collections::BTreeMap, time::Duration};

use chat_gateway_config::{delivery::Delivery, slots::SlotsAnswer};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::{
    Poller,
    pods::{self, Question},
};
use crate::names::ClusterKey;

/// For the answer; counting rows may take longer, and the gateway then has it for the next question.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Gateways that are asked at the same time.
const AT_ONCE: usize = 16;
/// Gateways that are tried.
const TRIES: usize = 3;

impl Poller {
    /// Asks ready gateways of `key` in turn until one answers: who owns which slots, which moves ended since `since` (milliseconds of the Unix
    /// epoch), and, if `sizes`, what slots take.
    pub async fn slots(&self, key: &ClusterKey, all: &[Pod], sizes: bool, since: Option<i64>) -> Option<SlotsAnswer> {
        for question in self.ready(key, all).take(TRIES) {
            match question.place.slots(sizes, since, TIMEOUT).await {
                Ok(answer) => return Some(answer),
                Err(error) => tracing::debug!(pod = question.pod, %error, "a gateway did not tell of slots"),
            }
        }
        None
    }

    /// Messages a second, in thousandths, that were written into each slot since the gateways of `key` started, over all of them. One that does not
    /// answer is left out: a plan that is made without its share is not as even, and not wrong.
    pub async fn writes(&self, key: &ClusterKey, all: &[Pod], now: Timestamp) -> BTreeMap<u32, u64> {
        let asked = self.ready(key, all).map(|question| async move { question.place.delivery(TIMEOUT).await.ok() });
        // No borrow of the pods may live across the wait.
        let asked: Vec<_> = asked.collect();
        let answers: Vec<_> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        rates(answers.into_iter().flatten(), now)
    }

    /// Ready gateways of `key`.
    fn ready<'a>(&'a self, key: &'a ClusterKey, all: &'a [Pod]) -> impl Iterator<Item = Question> + 'a {
        let ready = all.iter().filter(|pod| pods::is_ready(pod)).filter_map(|pod| self.question(pod));
        ready.filter(|question| question.cluster == *key)
    }
}

fn rates(answers: impl Iterator<Item = Delivery>, now: Timestamp) -> BTreeMap<u32, u64> {
    let mut rates = BTreeMap::new();
    for answer in answers {
        let lived = now.as_millisecond().saturating_sub(answer.started_ms).max(1_000);
        let lived = u64::try_from(lived).unwrap_or(u64::MAX);
        for slot in answer.slots {
            // Messages over milliseconds, in thousandths of messages a second.
            *rates.entry(slot.slot).or_default() += slot.counters.committed.saturating_mul(1_000_000) / lived;
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use chat_gateway_config::delivery::{DeliveryCounters, SlotDelivery};

    use super::*;

    #[test]
    fn rates_add_up_over_gateways_by_the_time_that_each_has_lived() {
        let now = Timestamp::from_second(1_000).unwrap();
        let answer = |started: i64, committed: u64| Delivery {
            gateway: String::new(),
            started_ms: started * 1_000,
            totals: DeliveryCounters::default(),
            violations: Vec::new(),
            slots: vec![SlotDelivery {
                slot: 7,
                counters: DeliveryCounters { committed, ..DeliveryCounters::default() },
            }],
        };
        let rates = rates([answer(900, 200), answer(0, 500), answer(2_000, 1)].into_iter(), now);
        // Two a second, half a second, and one whose clock is ahead counts as one that has just started.
        assert_eq!(rates, BTreeMap::from([(7, 2_000 + 500 + 1_000)]));
    }
}
