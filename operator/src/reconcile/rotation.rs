//! The steps by which one secret takes the place of another while people chat. Pure.
//!
//! The state is the Secret itself, each step one write of it, so that it does not matter where an operator ends and another one goes on. The secrets of one kind
//! stand in it a line each. The first is in use, and who judges by them takes all of them:
//!
//! | the Secret has | goes on when every gateway said |
//! | --- | --- |
//! | `old`, and the request for another one | that it follows the file |
//! | `old`, `new`: announced | that `new` is taken |
//! | `new`, `old`: shown | that it has read this, so nobody comes with `old` any more |
//! | `new` | |
//!
//! Which file a gateway has read is what it says, not how long ago the Secret was written: a kubelet may take as long as it likes.

use std::collections::BTreeMap;

use chat_gateway_config::{
    SecretLines,
    stats::{GatewayStats, Taken},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::DynamicObject};

use self::RotationStep::{Announced, Shown, Waiting};
use super::{
    diff::is_leaving,
    live::Live,
    observed,
    validated::{Broker, Redis, ShardBackend, ValidatedCluster},
};
use crate::{
    build::{ChildId, Kind},
    names::annotation,
    poll::ClusterView,
    sensitive::EntropyError,
};

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationStep {
    /// It is asked for, and who would follow it does not say that they would.
    Waiting,
    /// Everybody is to know the new one.
    Announced,
    /// The new one is in use, and the old one is still taken.
    Shown,
}

impl RotationStep {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Announced, Self::Shown];

    /// The word in the Secret's annotation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Announced => "Announced",
            Self::Shown => "Shown",
        }
    }

    /// What it goes on with.
    pub(super) fn waits_for(self) -> &'static str {
        match self {
            Self::Waiting => "gateways or their server do not follow it yet; adopt what status.pendingChanges shows",
            Self::Announced => "not every gateway has said that the new one is taken",
            Self::Shown => "not every gateway has said that it uses the new one",
        }
    }
}

/// A Secret that is to hold something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Its name.
    pub secret: String,
    /// How far it is.
    pub step: RotationStep,
}

/// The Secret that is rotated.
pub(super) struct Rotated<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// What it holds, in its order; at least one.
    pub(super) lines: Vec<String>,
    /// The annotations by which the rotation is known; they are changed with it.
    pub(super) annotations: &'a mut BTreeMap<String, String>,
    /// Whether what must follow the file does so, beside the gateways.
    pub(super) may_follow: bool,
}

/// Takes the next step, if one is asked for and may be taken. Answers what the Secret is to hold from now on, where that is something else.
///
/// # Errors
/// When the system gives no random bytes for a new secret.
pub(super) fn step(
    rotated: Rotated<'_>,
    live: &Live,
    gateways: &Gateways<'_>,
    fresh: impl FnOnce(&str) -> Result<String, EntropyError>,
) -> Result<Option<Vec<String>>, EntropyError> {
    let Rotated { name, lines, annotations, may_follow } = rotated;
    let Some(secret) = live.get(&ChildId::new(Kind::Secret, name)) else { return Ok(None) };
    let asked = asked(secret, annotations).cloned();
    let before = annotations.remove(annotation::ROTATION);
    let step = before.as_deref().and_then(step_of);
    let (content, step) = match (step, lines.as_slice()) {
        (None | Some(Waiting), [only]) if asked.is_some() => {
            if may_follow && gateways.take(only) {
                (Some(vec![only.clone(), fresh(only)?]), Some(Announced))
            } else {
                (None, Some(Waiting))
            }
        }
        (Some(Announced), [old, new]) if may_follow && gateways.take(new) => {
            (Some(vec![new.clone(), old.clone()]), Some(Shown))
        }
        (Some(Shown), [new, _]) if gateways.have_read(&lines) => (Some(vec![new.clone()]), None),
        (Some(step @ (Announced | Shown)), [_, _]) => (None, Some(step)),
        // Nothing is asked for, or somebody has written secrets of their own in between: theirs are what there is.
        _ => (None, None),
    };
    let word = step.map(RotationStep::as_str);
    if before.as_deref() != word {
        tracing::info!(secret = name, step = word.unwrap_or("Done"), "a secret is replaced");
    }
    if let Some(word) = word {
        annotations.insert(annotation::ROTATION.to_owned(), word.to_owned());
    }
    if let (Some(Announced), Some(_), Some(asked)) = (step, &content, asked) {
        annotations.insert(annotation::ROTATED.to_owned(), asked);
    }
    Ok(content)
}

/// The request that stands on a Secret and was not heard yet.
fn asked<'a>(secret: &'a DynamicObject, annotations: &BTreeMap<String, String>) -> Option<&'a String> {
    let asked = secret.annotations().get(annotation::ROTATE).filter(|text| !text.is_empty());
    asked.filter(|asked| annotations.get(annotation::ROTATED) != Some(*asked))
}

fn step_of(word: &str) -> Option<RotationStep> {
    RotationStep::ALL.into_iter().find(|step| step.as_str() == word)
}

/// The Secrets that are to hold something else and do not yet, or hold both. A request counts from when it is made, also while nothing can be done about it:
/// the cluster is paused, or a migration is under way.
pub(super) fn pending(validated: &ValidatedCluster, live: &Live) -> Vec<Rotation> {
    let names = &validated.names;
    let mut all = vec![(names.admin_token(), &validated.admin_tokens.annotations)];
    if let Broker::Managed { credentials, .. } = &validated.broker {
        all.push((names.rabbitmq(), &credentials.annotations));
    }
    if let Some(Redis::Managed { credentials, .. }) = &validated.redis {
        all.push((names.redis(), &credentials.annotations));
    }
    for shard in validated.shards() {
        if let ShardBackend::Managed(managed) = &shard.backend {
            all.push((names.shard(&shard.name), &managed.credentials.annotations));
        }
    }
    let under_way = all.into_iter().filter_map(|(secret, annotations)| {
        let step = annotations.get(annotation::ROTATION).and_then(|word| step_of(word));
        let asked = || asked(live.get(&ChildId::new(Kind::Secret, &secret))?, annotations).map(|_| Waiting);
        let step = step.or_else(asked)?;
        Some(Rotation { secret, step })
    });
    under_way.collect()
}

/// Of what a gateway says, the ids of the secrets in question.
type Ids<'a> = dyn Fn(&GatewayStats) -> &[String] + 'a;

/// Those who have read the Secret, whatever was in it then.
pub(super) struct Gateways<'a> {
    pods: &'a [Pod],
    view: &'a ClusterView,
    of: Box<Ids<'a>>,
    /// Whether one whose pod ends may have less of them than the others.
    leaving_may_lack: bool,
}

impl<'a> Gateways<'a> {
    /// Those who use the first secret of several themselves.
    pub(super) fn using(live: &'a Live, view: &'a ClusterView, of: impl Fn(&GatewayStats) -> &[String] + 'a) -> Self {
        Self { pods: &live.pods, view, of: Box::new(of), leaving_may_lack: false }
    }

    /// The same of what they have taken from files.
    pub(super) fn with(live: &'a Live, view: &'a ClusterView, of: fn(&Taken) -> &[String]) -> Self {
        Self::using(live, view, move |stats| stats.live.as_ref().map_or(&[], of))
    }

    /// Those who accept every one of the secrets, and show none.
    pub(super) fn accepting(live: &'a Live, view: &'a ClusterView, of: fn(&Taken) -> &[String]) -> Self {
        Self { leaving_may_lack: true, ..Self::with(live, view, of) }
    }

    /// A pod without a node will read what is there when it gets one. All others count, also those that start, end, or do not answer.
    fn all(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|pod| {
            let status = pod.status.as_ref();
            let has_ended = matches!(status.and_then(|status| status.phase.as_deref()), Some("Failed" | "Succeeded"));
            let conditions = status.and_then(|status| status.conditions.as_ref());
            let has_no_node = conditions
                .into_iter()
                .flatten()
                .any(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
            observed::is_gateway(pod) && !has_ended && !has_no_node
        })
    }

    pub(super) fn are_none(&self) -> bool {
        self.view.asked && self.all().next().is_none()
    }

    fn ids(&self, pod: &Pod) -> &[String] {
        self.view.gateways.get(&pod.name_any()).map_or(&[], |stats| (self.of)(stats))
    }

    /// Whether each said that it, or the server behind it, takes this secret.
    fn take(&self, line: &str) -> bool {
        let id = SecretLines::id(line);
        self.view.asked && self.all().all(|pod| self.ids(pod).contains(&id))
    }

    /// Whether each said that it has the file with exactly these. The volumes of a pod that ends stay as they are: where it uses the first, its end is waited
    /// for; where it accepts all, the first is enough.
    fn have_read(&self, lines: &[String]) -> bool {
        let ids: Vec<String> = lines.iter().map(|line| SecretLines::id(line)).collect();
        let has_read = |pod: &Pod| {
            let known = self.ids(pod);
            if self.leaving_may_lack && is_leaving(pod) {
                ids.first().is_some_and(|first| known.contains(first))
            } else {
                known == ids
            }
        };
        self.view.asked && self.all().all(has_read)
    }
}
