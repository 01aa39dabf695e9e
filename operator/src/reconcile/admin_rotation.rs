//! Another token for the admin port, while people chat. Pure.
//!
//! The state is the Secret itself, each step one write of it, so that it does not matter where an operator ends and another one goes on. The operator always
//! shows the first token, and gateways accept all of them:
//!
//! | the Secret has | goes on when every gateway said |
//! | --- | --- |
//! | `old`, and the request for another one | that it follows the file |
//! | `old`, `new`: announced | that it accepts `new` |
//! | `new`, `old`: shown | that it has read this, so nobody shows `old` any more |
//! | `new` | |
//!
//! Which file a gateway has read is what it says, not how long ago the Secret was written: a kubelet may take as long as it likes.

use chat_gateway_config::AdminTokens;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{diff::is_leaving, following::accepted, live::Live, observed, validated::ValidatedCluster};
use crate::{
    build::{ChildId, Kind},
    names::annotation,
    poll::ClusterView,
    sensitive::{Entropy, EntropyError, Sensitive},
};

/// A rotation is asked for, and gateways do not say that they would follow it.
const WAITING: &str = "Waiting";
/// Gateways are to know the new token.
const ANNOUNCED: &str = "Announced";
/// The new token is shown, and the old one is still accepted.
const SHOWN: &str = "Shown";

/// Takes the next step, if one is asked for and may be taken. What is shown in this pass stays what the Secret says now.
///
/// # Errors
/// When the system gives no random bytes for a new token.
pub(super) fn rotate(
    validated: &mut ValidatedCluster,
    live: &Live,
    view: &ClusterView,
    entropy: &mut dyn Entropy,
) -> Result<(), EntropyError> {
    let Some(secret) = live.get(&ChildId::new(Kind::Secret, &validated.names.admin_token())) else { return Ok(()) };
    let asked = secret.annotations().get(annotation::ROTATE).filter(|text| !text.is_empty());
    let Ok(tokens) = AdminTokens::parse(validated.admin_tokens.content.expose()) else { return Ok(()) };
    let tokens: Vec<&str> = tokens.iter().collect();
    let kept = &validated.admin_tokens.annotations;
    let is_asked = asked.is_some() && asked != kept.get(annotation::ROTATED);
    let step = [WAITING, ANNOUNCED, SHOWN]
        .into_iter()
        .find(|step| kept.get(annotation::ROTATION).is_some_and(|noted| noted == step));
    let gateways = Gateways { pods: &live.pods, view };
    // Where their revision would get another name, they would be restarted after all.
    let may_follow = validated.gateways.followed.is_some() || gateways.are_none();
    let (content, step) = match (step, tokens.as_slice()) {
        (None | Some(WAITING), [only]) if is_asked => {
            if may_follow && gateways.accept(only) {
                (Some(format!("{only}\n{}", entropy.password()?.expose())), Some(ANNOUNCED))
            } else {
                (None, Some(WAITING))
            }
        }
        (Some(ANNOUNCED), [old, new]) if may_follow && gateways.accept(new) => {
            (Some(format!("{new}\n{old}")), Some(SHOWN))
        }
        (Some(SHOWN), [new, old]) if gateways.have_read(&[new, old]) => (Some((*new).to_owned()), None),
        (Some(step @ (ANNOUNCED | SHOWN)), [_, _]) => (None, Some(step)),
        // Nothing is asked for, or somebody has written tokens of their own in between: theirs are what there is.
        _ => (None, None),
    };
    let kept = &mut validated.admin_tokens;
    let before = kept.annotations.remove(annotation::ROTATION);
    if before.as_deref() != step {
        tracing::info!(
            secret = validated.names.admin_token(),
            step = step.unwrap_or("Done"),
            "the token of the admin port is rotated"
        );
    }
    if let Some(step) = step {
        kept.annotations.insert(annotation::ROTATION.to_owned(), step.to_owned());
    }
    if let (Some(ANNOUNCED), Some(_), Some(asked)) = (step, &content, asked) {
        kept.annotations.insert(annotation::ROTATED.to_owned(), asked.clone());
    }
    if let Some(content) = content {
        kept.content = Sensitive::new(content);
    }
    Ok(())
}

/// Those who have read the Secret, whatever was in it then.
struct Gateways<'a> {
    pods: &'a [Pod],
    view: &'a ClusterView,
}

impl Gateways<'_> {
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

    fn are_none(&self) -> bool {
        self.view.asked && self.all().next().is_none()
    }

    /// Whether each said that it accepts `token`.
    fn accept(&self, token: &str) -> bool {
        let id = AdminTokens::id(token);
        self.view.asked && self.all().all(|pod| accepted(pod, self.view).contains(&id))
    }

    /// Whether each said that it has the file with exactly these. The volumes of a pod that ends stay as they are: it need only accept the first.
    fn have_read(&self, tokens: &[&str]) -> bool {
        let ids: Vec<String> = tokens.iter().map(|token| AdminTokens::id(token)).collect();
        let has_read = |pod: &Pod| {
            let accepted = accepted(pod, self.view);
            if is_leaving(pod) { ids.first().is_some_and(|first| accepted.contains(first)) } else { accepted == ids }
        };
        self.view.asked && self.all().all(has_read)
    }
}
