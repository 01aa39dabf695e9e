//! The condition of tokens and passwords that are being replaced. Pure.

use chat_crds::chat_cluster::ConditionType;
use jiff::SignedDuration;

use super::{
    availability::{Part, State},
    conditions::Inputs,
    rotation::Rotation,
};

/// From then on somebody should look; the alert of the chart rings at the same time.
const LONG: SignedDuration = SignedDuration::from_hours(1);

/// `CredentialsRotated`: of no Secret the old value is good beside a new one. Where a pass did not come to them, what was said last stands.
pub(super) fn rotated(inputs: &Inputs<'_>) -> Part {
    let before = inputs.before(ConditionType::CredentialsRotated);
    let Some(rotations) = &inputs.shape.rotations else {
        let unread = || Part::new(State::Unknown, "RotationsUnread", "no Secret was looked at yet");
        return before.map_or_else(unread, Part::of);
    };
    if rotations.is_empty() {
        return Part::new(State::True, "NothingRotates", "no token or password is being replaced");
    }
    let began =
        before.filter(|before| before.status == State::False.as_str()).map(|before| &before.last_transition_time);
    let is_long = began.is_some_and(|began| inputs.now.duration_since(began.0) >= LONG);
    let told: Vec<String> = rotations
        .iter()
        .map(|Rotation { secret, step }| format!("Secret {secret} is {}: {}", step.as_str(), step.waits_for()))
        .collect();
    Part::new(State::False, if is_long { "RotationStuck" } else { "Rotating" }, &told.join("; "))
}
