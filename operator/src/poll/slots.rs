//! What the shards say of their slots: asked of one gateway when a pass wants to know, since every gateway would answer the same.

use std::time::Duration;

use chat_gateway_config::slots::SlotsAnswer;
use k8s_openapi::api::core::v1::Pod;

use super::{Poller, pods};
use crate::names::ClusterKey;

/// For the answer; counting rows may take longer, and the gateway then has it for the next question.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Gateways that are tried.
const TRIES: usize = 3;

impl Poller {
    /// Asks ready gateways of `key` in turn until one answers: who owns which slots, which moves ended since `since` (milliseconds of the Unix
    /// epoch), and, if `sizes`, what slots take.
    pub async fn slots(&self, key: &ClusterKey, all: &[Pod], sizes: bool, since: Option<i64>) -> Option<SlotsAnswer> {
        let ready = all.iter().filter(|pod| pods::is_ready(pod)).filter_map(|pod| self.question(pod));
        for question in ready.filter(|question| question.cluster == *key).take(TRIES) {
            match question.place.slots(sizes, since, TIMEOUT).await {
                Ok(answer) => return Some(answer),
                Err(error) => tracing::debug!(pod = question.pod, %error, "a gateway did not tell of slots"),
            }
        }
        None
    }
}
