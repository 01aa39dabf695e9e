//! What is wrong with a ChatCluster, and what to do about it.

use std::process::ExitCode;

use anyhow::Result;
use chat_crds::{chat_cluster::ConditionType, next_steps::next_step};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::{
    args::{Output, Told},
    gateway::Gateways,
    health::Health,
    seen::Seen,
};

/// The conditions about the whole, which repeat what the others say.
const WHOLE: [ConditionType; 3] = [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled];

/// A condition that is not as it should be, or has a remark.
struct Finding<'a> {
    condition: &'a Condition,
    health: Health,
    /// What to do.
    next: String,
}

pub(crate) async fn show(gateways: &Gateways, Told { cluster, output }: &Told) -> Result<ExitCode> {
    let seen = Seen::read(gateways, cluster).await?;
    match output {
        Output::Json => println!("{}", object(&seen)),
        Output::Table => print!("{}", text(&seen)),
    }
    Ok(if is_well(&seen) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether nothing is wrong. What nobody knows yet, and a remark, are nothing wrong.
fn is_well(seen: &Seen) -> bool {
    let is_bad = |condition: &Condition| Health::of(condition) == Health::Bad;
    seen.is_ready()
        && seen.behind().is_none()
        && seen.cluster.metadata.deletion_timestamp.is_none()
        && !seen.conditions().iter().any(is_bad)
}

/// The conditions that tell of something, those of the whole left out where a part says the same.
fn findings(seen: &Seen) -> Vec<Finding<'_>> {
    let is_whole = |condition: &Condition| WHOLE.iter().any(|type_| type_.as_str() == condition.type_);
    let tells = |condition: &&Condition| Health::of(condition) != Health::Good;
    let mut told: Vec<&Condition> = Vec::new();
    let parts = seen.conditions().iter().filter(tells).filter(|condition| !is_whole(condition));
    told.extend(parts);
    // What stops the operator comes first, then what keeps it busy.
    let wholes = seen.conditions().iter().filter(tells).filter(|condition| is_whole(condition));
    let mut first = Vec::new();
    for whole in wholes {
        if !told.iter().chain(&first).any(|other: &&Condition| other.reason == whole.reason) {
            first.push(whole);
        }
    }
    let all = first.into_iter().chain(told);
    all.map(|condition| Finding { condition, health: Health::of(condition), next: next(seen, condition) }).collect()
}

fn next(seen: &Seen, condition: &Condition) -> String {
    match next_step(&condition.type_, &condition.reason) {
        Some(step) => plain(step),
        None => {
            let name = seen.cluster.name_any();
            format!(
                "the message is all that is known; kubectl describe chatcluster {name} shows its Events, and the operator's logs say more"
            )
        }
    }
}

/// Markdown as a terminal shows it: links without where they lead, words without the marks around them.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once('[') {
        text += before;
        let Some((label, (_, after))) =
            link.split_once("](").and_then(|(label, target)| Some((label, target.split_once(')')?)))
        else {
            text.push('[');
            rest = link;
            continue;
        };
        text += label;
        rest = after;
    }
    (text + rest).replace('`', "")
}

/// For people.
fn text(seen: &Seen) -> String {
    let mut text = format!("{}\n", seen.headline());
    if let Some((told, newest)) = seen.behind() {
        text += &format!(
            "\nThe operator has told of generation {told}, and the spec is at {newest}\n  Next: nothing for some seconds; then look whether the operator runs and serves this namespace\n"
        );
    }
    let findings = findings(seen);
    for Finding { condition, next, .. } in &findings {
        let Condition { type_, status, reason, message, .. } = condition;
        text +=
            &format!("\n{type_} is {status} for {} ({reason})\n  {message}\n  Next: {next}\n", seen.lasts(condition));
    }
    if findings.is_empty() && is_well(seen) {
        text += "every condition is as it should be\n";
    }
    text
}

/// For programs. Fields are added, and never renamed.
pub(crate) fn object(seen: &Seen) -> Value {
    let findings: Vec<Value> = findings(seen)
        .into_iter()
        .map(|Finding { condition, health, next }| {
            json!({
                "condition": condition.type_,
                "status": condition.status,
                "reason": condition.reason,
                "message": condition.message,
                "since": condition.last_transition_time,
                "wrong": health == Health::Bad,
                "next": next,
            })
        })
        .collect();
    json!({ "name": seen.cluster.name_any(), "well": is_well(seen), "headline": seen.headline(), "findings": findings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects;

    #[test]
    fn nothing_is_wrong_with_a_ready_one() {
        assert_eq!(text(&objects::ready()), "demo has been ready for 3 h 12 min\nevery condition is as it should be\n");
        assert!(is_well(&objects::ready()));
    }

    #[test]
    fn what_is_broken_comes_with_cause_and_next_step() {
        let seen = objects::broken_database();
        let text = text(&seen);
        assert!(
            text.contains(
                "\nDatabaseAvailable is False for 4 min 10 s (ConnectionRefused)\n  shard b is not available: connection refused\n  Next: a backend is away"
            ),
            "{text}"
        );
        assert!(!text.contains("\nReady is False"), "the headline says it: {text}");
        assert!(!is_well(&seen));
        let object = object(&seen);
        assert_eq!((&object["well"], object["findings"].as_array().unwrap().len()), (&json!(false), 1));
        assert_eq!(object["findings"][0]["reason"], "ConnectionRefused");
    }

    #[test]
    fn what_is_under_way_says_so() {
        let text = text(&objects::starting());
        assert!(text.contains("GatewaysAvailable is False for 20 s (GatewaysNotReady)"), "{text}");
        assert!(text.contains("Next: nothing for a minute or two: it is under way"), "{text}");
        assert!(text.contains("DeliveryVerified is Unknown for 20 s (NotProbed)"), "{text}");
        let text = super::text(&objects::rolling_out());
        assert_eq!(text.matches("(RollingOut)").count(), 1, "{text}");
        let text = super::text(&objects::rebalancing());
        assert!(text.contains("ShardsBalanced is False for 1 min 00 s (Rebalancing)"), "{text}");
        assert!(text.contains("Next: nothing while slots move."), "{text}");
    }

    #[test]
    fn a_pause_a_violation_and_a_deletion_are_not_well() {
        let paused = text(&objects::paused());
        assert!(paused.contains("(ChangesPending)\n") && paused.contains("set spec.paused to false\n"), "{paused}");
        let violated = text(&objects::violated());
        assert!(violated.contains("then forgive it, or wait an hour\n"), "{violated}");
        for seen in [objects::paused(), objects::violated(), objects::deleting(), objects::new()] {
            assert!(!is_well(&seen));
        }
    }

    #[test]
    fn a_reason_that_nobody_knows_has_a_way_on() {
        let mut seen = objects::broken_database();
        for condition in seen.cluster.status.iter_mut().flat_map(|status| &mut status.conditions) {
            condition.reason = condition.reason.replace("ConnectionRefused", "TooManyClients");
        }
        assert!(text(&seen).contains("kubectl describe chatcluster demo"));
    }

    #[test]
    fn markdown_is_read_without_its_marks() {
        assert_eq!(plain("set `a.b`; [how](../x.md#y), or wait"), "set a.b; how, or wait");
        assert_eq!(plain("a [b"), "a [b");
    }
}
