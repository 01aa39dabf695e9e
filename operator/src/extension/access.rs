//! Whether somebody may ask: the API server is asked back, and its word holds for a few seconds.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::authorization::v1::{SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{Api, Client, api::PostParams};
use tokio::time::Instant;

use super::{
    front_proxy::Identity,
    questions::{Question, Right},
};

/// For how long an answer holds: the time of Kubernetes' own servers.
const HOLDS: Duration = Duration::from_secs(10);
/// A server that does not answer in time has not allowed anything.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Answers that are kept. A few autoscalers ask for a metric of each ChatCluster.
const KEPT: usize = 4_096;

/// It could not be found out whether somebody may ask.
#[derive(Debug, thiserror::Error)]
pub(super) enum AccessError {
    #[error("failed to ask whether somebody may read metrics")]
    Review(#[source] Box<kube::Error>),
    #[error("the API server did not say in time whether somebody may read metrics")]
    TimedOut,
}

/// Who may ask for what.
pub(super) struct Access {
    reviews: Api<SubjectAccessReview>,
    // A std mutex: held for map operations, never across an await.
    known: Mutex<HashMap<(Identity, Question), (Instant, bool)>>,
}

impl Access {
    pub(super) fn new(client: Client) -> Self {
        Self { reviews: Api::all(client), known: Mutex::default() }
    }

    /// Whether `identity` may have `question` answered.
    pub(super) async fn allows(&self, identity: Identity, question: Question) -> Result<bool, AccessError> {
        let asked = (identity, question);
        if let Some(allowed) = self.remembered(&asked, Instant::now()) {
            return Ok(allowed);
        }
        let review = review(&asked.0, &asked.1);
        let params = PostParams::default();
        let answer = tokio::time::timeout(TIMEOUT, self.reviews.create(&params, &review)).await;
        let answer =
            answer.map_err(|_| AccessError::TimedOut)?.map_err(|error| AccessError::Review(Box::new(error)))?;
        let allowed = answer.status.is_some_and(|status| status.allowed && status.denied != Some(true));
        self.remember(asked, allowed, Instant::now());
        Ok(allowed)
    }

    fn remembered(&self, asked: &(Identity, Question), now: Instant) -> Option<bool> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(asked).filter(|(at, _)| now.duration_since(*at) < HOLDS).map(|(_, allowed)| *allowed)
    }

    fn remember(&self, asked: (Identity, Question), allowed: bool, now: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.retain(|_, (at, _)| now.duration_since(*at) < HOLDS);
        }
        // Full of what still holds: this one is asked for again.
        if known.len() < KEPT {
            known.insert(asked, (now, allowed));
        }
    }
}

fn review(identity: &Identity, question: &Question) -> SubjectAccessReview {
    let (resource, path) = match question.right() {
        Right::Resource(attributes) => (Some(*attributes), None),
        Right::Path(attributes) => (None, Some(attributes)),
    };
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(identity.user.clone()),
            groups: Some(identity.groups.clone()),
            extra: (!identity.extra.is_empty()).then(|| identity.extra.clone()),
            resource_attributes: resource,
            non_resource_attributes: path,
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    }
}
