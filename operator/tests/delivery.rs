//! `DeliveryVerified`: what it says of what the operator found, across restarts of the operator, and that `Ready` does not ask for it.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

use chat_operator::{
    poll::{ClusterView, Delivery, STANDS, Verified},
    probe::Told,
    reconcile::{Inputs, Observed, Shape, Verdict, conditions},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

const START: i64 = 1_800_000_000;

fn found(verified: Verified, reason: &'static str) -> Option<Delivery> {
    Some(Delivery { verified, told: Told { reason, message: format!("about {reason}").into() } })
}

/// The condition so many seconds after the start, and the one of Ready.
fn judge(
    found: Option<Delivery>,
    before: Option<&Condition>,
    second: i64,
    cleared: Option<i64>,
) -> (Condition, Condition) {
    let view = ClusterView { delivery: found.map(Box::new), asked: true, ..ClusterView::default() };
    let cleared = cleared.map(|second| Timestamp::from_second(START + second).unwrap());
    let all = conditions(&Inputs {
        generation: 1,
        now: Timestamp::from_second(START + second).unwrap(),
        previous: before.map_or(&[], std::slice::from_ref),
        verdict: &Verdict::Applied,
        shape: &Shape { cleared, ..Shape::default() },
        observed: &Observed::default(),
        view: &view,
    });
    let find = |type_: &str| all.iter().find(|condition| condition.type_ == type_).unwrap().clone();
    (find("DeliveryVerified"), find("Ready"))
}

fn said(condition: &Condition) -> (&str, &str) {
    (&condition.status, &condition.reason)
}

#[test]
fn it_says_what_was_found_and_ready_does_not_ask() {
    for (verified, reason, status) in [
        (Verified::Yes, "Verified", "True"),
        (Verified::No, "DeliveredTwice", "False"),
        (Verified::Unknown, "NoGateways", "Unknown"),
    ] {
        let (condition, ready) = judge(found(verified, reason), None, 0, None);
        assert_eq!((said(&condition), condition.message.as_str()), ((status, reason), &*format!("about {reason}")));
        assert_ne!(ready.reason, reason);
        assert!(!ready.message.contains("DeliveryVerified"), "{ready:?}");
    }
    assert_eq!(said(&judge(None, None, 0, None).0), ("Unknown", "NotProbed"));
}

#[test]
fn an_operator_that_starts_says_what_was_said_until_a_probe_has_ended() {
    for (verified, reason) in
        [(Verified::Yes, "Verified"), (Verified::No, "DeliveredTwice"), (Verified::Unknown, "NoGateways")]
    {
        let before = judge(found(verified, reason), None, 0, None).0;
        assert_eq!(judge(None, Some(&before), 60, None).0, before);
    }
}

#[test]
fn a_violation_outlives_the_operator_that_saw_it_but_not_its_time_nor_a_persons_word() {
    let before = judge(found(Verified::No, "DeliveredTwice"), None, 0, None).0;
    let fine = || found(Verified::Yes, "Verified");
    let lasts = i64::try_from(STANDS.as_secs()).unwrap() - 61;
    assert_eq!(judge(fine(), Some(&before), lasts, None).0, before, "good probes do not bring back what was lost");
    assert_eq!(said(&judge(fine(), Some(&before), lasts + 1, None).0), ("True", "Verified"));
    assert_eq!(judge(fine(), Some(&before), 60, Some(-1)).0, before, "what was forgiven was before");
    assert_eq!(said(&judge(fine(), Some(&before), 60, Some(1)).0), ("True", "Verified"));
    assert_eq!(said(&judge(None, Some(&before), 60, Some(1)).0), ("Unknown", "NotProbed"));
    let again = judge(found(Verified::No, "AcknowledgedLost"), Some(&before), 60, None).0;
    assert_eq!(
        (said(&again), &again.last_transition_time),
        (("False", "AcknowledgedLost"), &before.last_transition_time)
    );
}
