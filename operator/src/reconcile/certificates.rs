//! The condition of the certificates in Secrets that the spec names. Pure.

use std::time::Duration;

use chat_crds::chat_cluster::ConditionType;
use jiff::Timestamp;

use super::{
    availability::{Part, State},
    conditions::Inputs,
    deadlines::Deadline,
};

/// From then on somebody should act; the alert of the chart rings at the same time.
const SOON: Duration = Duration::from_secs(14 * 24 * 3_600);

/// `CertificatesValid`: none of them ends soon. Where a pass did not come to them, what was said last stands.
pub(super) fn certificates(inputs: &Inputs<'_>) -> Part {
    let Some(deadlines) = &inputs.shape.deadlines else {
        let unread = || Part::new(State::Unknown, "CertificatesUnread", "no certificate was looked at yet");
        return inputs.before(ConditionType::CertificatesValid).map_or_else(unread, Part::of);
    };
    let Some(first) = deadlines.iter().min_by_key(|deadline| deadline.ends) else {
        return Part::new(State::True, "NoCertificates", "the spec names no certificate that the operator could read");
    };
    let now = inputs.now.as_second();
    let soon = now.saturating_add(i64::try_from(SOON.as_secs()).unwrap_or(i64::MAX));
    let due: Vec<String> = deadlines.iter().filter(|one| one.ends < soon).map(|one| told(one, now)).collect();
    if due.is_empty() {
        let message = format!("the first to end is {}", told(first, now));
        return Part::new(State::True, "CertificatesGood", &message);
    }
    let reason = if first.ends <= now { "CertificateExpired" } else { "CertificateExpires" };
    let message = format!("{}; put a new one into the Secret", due.join("; "));
    Part::new(State::False, reason, &message)
}

/// Without the time that is left: the message would be another one in each pass.
fn told(Deadline { what, secret, ends }: &Deadline, now: i64) -> String {
    let verb = if *ends <= now { "ended" } else { "ends" };
    let when =
        Timestamp::from_second(*ends).map_or_else(|_| "a time beyond all calendars".to_owned(), |end| end.to_string());
    format!("{what} in Secret {secret}, which {verb} at {when}")
}
