//! Kubernetes Events: one for each condition that changed its status, at most one a minute for each reason.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chat_crds::{ChatCluster, ChatClusterStatus, chat_cluster::ConditionType};
use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Client, Resource, ResourceExt,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::time::Instant;

use crate::metrics::Metrics;

/// The same reason for the same object is not told again within this time.
const QUIET: Duration = Duration::from_secs(60);
/// The API server refuses longer notes.
const NOTE_BYTES: usize = 1_000;

/// Publishes Events.
pub struct Announcer {
    recorder: Recorder,
    metrics: Arc<Metrics>,
    // A std mutex: held for map operations, never across an await.
    told: Mutex<HashMap<(String, String), Instant>>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Somebody should look at it.
    pub warning: bool,
    /// One CamelCase word.
    pub reason: &'static str,
    /// A sentence.
    pub note: String,
    /// What the operator was at.
    pub action: &'static str,
}

/// An Event to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Announcement {
    warning: bool,
    reason: String,
    note: String,
    action: &'static str,
}

impl Announcer {
    /// Publishes as `chat-operator`, from the replica `instance`.
    #[must_use]
    pub fn new(client: Client, instance: &str, metrics: Arc<Metrics>) -> Self {
        let reporter = Reporter { controller: "chat-operator".to_owned(), instance: Some(instance.to_owned()) };
        Self { recorder: Recorder::new(client, reporter), metrics, told: Mutex::default() }
    }

    /// Tells what changed from the status of `before` to `after`. A failure to do so is logged, nothing more.
    pub async fn announce(&self, before: &ChatCluster, after: &ChatClusterStatus) {
        let uid = before.uid().unwrap_or_default();
        for news in announcements(before.status.as_ref(), after) {
            if !self.may_tell(&uid, &news.reason, Instant::now()) {
                continue;
            }
            let type_ = if news.warning { EventType::Warning } else { EventType::Normal };
            self.metrics.events.with_label_values(&[if news.warning { "Warning" } else { "Normal" }]).inc();
            let Announcement { reason, note, action, .. } = news;
            let event = Event { type_, reason, note: Some(note), action: action.to_owned(), secondary: None };
            if let Err(error) = self.recorder.publish(&event, &before.object_ref(&())).await {
                tracing::warn!(%error, reason = event.reason, "failed to publish an event");
            }
        }
    }

    /// Tells of something that happened to an object of another kind, however often. A failure to do so is logged, nothing more.
    pub async fn tell(&self, about: ObjectReference, news: News) {
        let News { warning, reason, mut note, action } = news;
        cut(&mut note);
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        self.metrics.events.with_label_values(&[if warning { "Warning" } else { "Normal" }]).inc();
        let event =
            Event { type_, reason: reason.to_owned(), note: Some(note), action: action.to_owned(), secondary: None };
        if let Err(error) = self.recorder.publish(&event, &about).await {
            tracing::warn!(%error, reason, "failed to publish an event");
        }
    }

    fn may_tell(&self, uid: &str, reason: &str, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // What is older than the quiet time has no effect any more; without this the map would grow for ever.
        told.retain(|_, when| now.duration_since(*when) < QUIET);
        let key = (uid.to_owned(), reason.to_owned());
        if told.contains_key(&key) {
            return false;
        }
        told.insert(key, now);
        true
    }
}

/// What is worth an Event: a status that changed, and a reason of Ready that changed while it stayed False.
fn announcements(before: Option<&ChatClusterStatus>, after: &ChatClusterStatus) -> Vec<Announcement> {
    let find =
        |type_: &str| before.and_then(|status| status.conditions.iter().find(|condition| condition.type_ == type_));
    let ready = ConditionType::Ready.as_str();
    after
        .conditions
        .iter()
        .filter(|now| match find(&now.type_) {
            Some(then) if now.type_ == ready => then.status != now.status || then.reason != now.reason,
            Some(then) => then.status != now.status,
            // All conditions of a new cluster are new; one Event says so.
            None => now.type_ == ready,
        })
        .filter_map(announcement)
        .chain(adoption(before, after))
        .collect()
}

/// What waits for approval since now, or not any more.
fn adoption(before: Option<&ChatClusterStatus>, after: &ChatClusterStatus) -> Option<Announcement> {
    let before = before.and_then(|status| status.pending_changes.as_ref());
    let (reason, note) = match (before, &after.pending_changes) {
        (None, None) => return None,
        (Some(before), Some(after)) if before.hash == after.hash => return None,
        (_, Some(pending)) => {
            let (version, count, hash) = (&pending.operator_version, pending.count, &pending.hash);
            let note = format!(
                "operator {version} would change the pods of {count} objects; nothing is restarted until spec.adoption allows changes {hash}"
            );
            ("ChangesPending", note)
        }
        (Some(_), None) => ("ChangesSettled", "no change of the operator waits any more".to_owned()),
    };
    Some(Announcement { warning: false, reason: reason.to_owned(), note, action: "Adopting" })
}

fn announcement(condition: &Condition) -> Option<Announcement> {
    let action = ConditionType::ALL.into_iter().map(ConditionType::as_str).find(|type_| *type_ == condition.type_)?;
    let bad = match action {
        // Being at work is neither good nor bad, and its end is told by Ready.
        "Reconciling" => return None,
        "Stalled" => condition.status == "True",
        _ => condition.status == "False",
    };
    // The way to Ready is not a warning; that something stands in the way is.
    let on_the_way = [
        "Starting",
        "Rebalancing",
        "ShardsJoining",
        "ShardsLeaving",
        "Migrating",
        "RollingOut",
        "WaitingForMigration",
        "NotCreated",
        "GatewaysNotReady",
        "Draining",
    ];
    let warning = bad && !on_the_way.contains(&condition.reason.as_str());
    let mut note = format!("{} is {}: {}", condition.type_, condition.status, condition.message);
    cut(&mut note);
    Some(Announcement { warning, reason: condition.reason.clone(), note, action })
}

fn cut(note: &mut String) {
    let mut end = note.len().min(NOTE_BYTES);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note.truncate(end);
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn status(conditions: &[(&str, &str, &str)]) -> ChatClusterStatus {
        let conditions = conditions.iter().map(|(type_, status, reason)| Condition {
            type_: (*type_).to_owned(),
            status: (*status).to_owned(),
            reason: (*reason).to_owned(),
            message: "m".to_owned(),
            observed_generation: Some(1),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        });
        ChatClusterStatus { conditions: conditions.collect(), ..ChatClusterStatus::default() }
    }

    #[test]
    fn tells_changes_and_only_changes() {
        let good = status(&[("Ready", "True", "Ready"), ("BrokerAvailable", "True", "Connected")]);
        let bad = status(&[("Ready", "False", "PodNotReady"), ("BrokerAvailable", "False", "PodNotReady")]);
        assert_eq!(announcements(Some(&good), &good), Vec::new());
        let told = announcements(Some(&good), &bad);
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|news| news.warning && news.reason == "PodNotReady"), "{told:?}");
        let told = announcements(Some(&bad), &good);
        assert!(told.iter().all(|news| !news.warning), "{told:?}");
        assert_eq!(announcements(None, &bad).len(), 1, "a new cluster is one event");
    }

    #[test]
    fn changes_that_wait_are_told_once() {
        let waits = |hash: &str| {
            let pending = serde_json::json!({
                "hash": hash, "operatorVersion": "2", "since": "2026-01-01T00:00:00Z", "count": 5, "objects": [],
            });
            ChatClusterStatus { pending_changes: serde_json::from_value(pending).unwrap(), ..status(&[]) }
        };
        let reasons = |before: &ChatClusterStatus, after: &ChatClusterStatus| -> Vec<String> {
            announcements(Some(before), after).into_iter().map(|news| news.reason).collect()
        };
        assert_eq!(reasons(&status(&[]), &waits("a")), ["ChangesPending"]);
        assert_eq!(reasons(&waits("a"), &waits("a")), [""; 0]);
        assert_eq!(reasons(&waits("a"), &waits("b")), ["ChangesPending"]);
        assert_eq!(reasons(&waits("b"), &status(&[])), ["ChangesSettled"]);
    }
}
