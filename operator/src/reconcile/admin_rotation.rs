//! Another token for the admin port, while people chat. Pure.
//!
//! The operator always shows the first token, and gateways accept all of them; see [`super::rotation`].

use super::{
    credentials::lines,
    live::Live,
    rotation::{Gateways, Rotated, step},
    validated::ValidatedCluster,
};
use crate::{
    poll::ClusterView,
    sensitive::{Entropy, EntropyError},
};

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
    let gateways = Gateways::accepting(live, view, |taken| &taken.admin_tokens);
    let kept = &mut validated.admin_tokens;
    let rotated = Rotated {
        name: &validated.names.admin_token(),
        lines: kept.content.expose().lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect(),
        annotations: &mut kept.annotations,
        // Where their revision would get another name, they would be restarted after all.
        may_follow: validated.gateways.followed.is_some() || gateways.are_none(),
    };
    let content = step(rotated, live, &gateways, |_| Ok(entropy.password()?.expose().to_owned()))?;
    if let Some(content) = content {
        kept.content = lines(content);
    }
    Ok(())
}
