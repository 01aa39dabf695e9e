//! How a ChatCluster is, on one screen.

use anyhow::Result;
use chat_crds::{
    ChatClusterStatus,
    chat_cluster::{ConditionType, RolloutStatus},
    shard_rebalance::RebalanceState,
};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::{
    args::{Output, Told},
    gateway::Gateways,
    health::Health,
    seen::Seen,
    tables::known,
    view,
};

/// Parts that have a line each, and what the line is called.
const PARTS: [(ConditionType, &str); 6] = [
    (ConditionType::GatewaysAvailable, "Gateways"),
    (ConditionType::BrokerAvailable, "Broker"),
    (ConditionType::CacheAvailable, "Redis"),
    (ConditionType::DatabaseAvailable, "Database"),
    (ConditionType::ShardsBalanced, "Shards"),
    (ConditionType::DeliveryVerified, "Delivery"),
];
/// Percent of the places for clients that may be taken before it is said.
const NEARLY_FULL_PERCENT: i64 = 90;

pub(crate) async fn show(gateways: &Gateways, Told { cluster, output }: &Told) -> Result<()> {
    let seen = Seen::read(gateways, cluster).await?;
    match output {
        Output::Json => println!("{}", object(&seen)),
        Output::Table => print!("{}", text(&seen)),
    }
    Ok(())
}

/// For people.
fn text(seen: &Seen) -> String {
    let mut text = format!("{}\n", seen.headline());
    let Some(status) = &seen.cluster.status else { return text };
    text.push('\n');
    let mut line = |health: Health, what: &str, told: &str| {
        text += &format!("{} {what:<9}  {told}\n", health.mark());
    };
    if let Some(effective) = &status.effective {
        let revision = status.revision.as_ref().map(|revision| format!(", revision {revision}"));
        line(Health::Good, "Version", &format!("{}{}", effective.image, revision.unwrap_or_default()));
    }
    let health = |type_| seen.condition(type_).map_or(Health::Unknown, Health::of);
    let of = |type_| seen.condition(type_).map_or_else(|| "not known".to_owned(), |told| told.message.clone());
    line(Health::Good, "Clients", &clients(status));
    for (type_, what) in PARTS {
        line(health(type_), what, &of(type_));
    }
    let healthy = health(ConditionType::RolloutHealthy);
    line(healthy, "Rollout", &status.rollout.as_ref().map_or_else(|| of(ConditionType::RolloutHealthy), rollout));
    for object in &seen.rebalances {
        line(Health::Good, "Moves", &moves(object));
    }
    let warnings = warnings(seen);
    if !warnings.is_empty() {
        text += "\nWorth a look\n";
        text.extend(warnings.iter().map(|warning| format!("! {warning}\n")));
    }
    let bad = seen.conditions().iter().any(|condition| Health::of(condition) == Health::Bad);
    if bad {
        text += &format!("\nkubectl chat why {} says what to do\n", seen.cluster.name_any());
    }
    text
}

fn clients(status: &ChatClusterStatus) -> String {
    let open = known(status.connections);
    match places(status) {
        Some(places) => format!("{open} of at most {places} connections"),
        None => format!("{open} connections"),
    }
}

/// Connections that the gateways that are ready take.
fn places(status: &ChatClusterStatus) -> Option<i64> {
    let each = status.effective.as_ref()?.connections_per_gateway;
    Some(i64::from(status.ready_replicas?) * i64::from(each))
}

fn rollout(rollout: &RolloutStatus) -> String {
    let RolloutStatus { revision, wave, waves, percent, phase, .. } = rollout;
    let why = rollout.message.as_ref().map(|message| format!("; {message}")).unwrap_or_default();
    format!("{phase}, wave {wave} of {waves}: {percent} % of the clients go to revision {revision}{why}")
}

fn moves(object: &chat_crds::ShardRebalance) -> String {
    let state = RebalanceState::of(object.status.as_ref()).as_str();
    let (name, message) = (object.name_any(), view::message(object));
    format!("ShardRebalance {name} is {state}: {message}")
}

/// What no line of a part says.
fn warnings(seen: &Seen) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some((told, newest)) = seen.behind() {
        warnings.push(format!("the operator has not taken the newest change yet: its word is of generation {told}, and the spec is at {newest}"));
    }
    if seen.cluster.spec.is_paused() {
        warnings.push("spec.paused is true: the operator changes nothing".to_owned());
    }
    if let Some(stalled) = seen.condition(ConditionType::Stalled).filter(|stalled| stalled.status == "True") {
        warnings.push(format!("the operator waits for a person: {}", stalled.message));
    }
    if let Some(due) = seen.condition(ConditionType::CertificatesValid).filter(|due| due.status == "False") {
        warnings.push(format!("certificates: {}", due.message));
    }
    let rotated = seen.condition(ConditionType::CredentialsRotated);
    if let Some(stuck) = rotated.filter(|rotated| rotated.reason == "RotationStuck") {
        warnings.push(format!("a rotation has taken more than an hour: {}", stuck.message));
    }
    let Some(status) = &seen.cluster.status else { return warnings };
    if let (Some(open), Some(places)) = (status.connections, places(status).filter(|places| *places > 0))
        && open.saturating_mul(100) >= places.saturating_mul(NEARLY_FULL_PERCENT)
    {
        warnings.push(format!("{} % of the places for clients are taken", open.saturating_mul(100) / places));
    }
    if let Some(scaling) = &status.autoscaling
        && ["AtMaximum", "MetricsStale"].contains(&scaling.reason.as_str())
    {
        warnings.push(format!("autoscaling: {}", scaling.message));
    }
    if let Some(pending) = &status.pending_changes {
        let name = seen.cluster.name_any();
        warnings.push(format!(
            "changes of the operator wait for approval, for {} objects: kubectl chat changes {name}",
            pending.count
        ));
    }
    let away: Vec<&str> =
        status.shards.iter().filter(|shard| !shard.available).map(|shard| shard.name.as_str()).collect();
    if !away.is_empty() {
        warnings.push(format!("not every gateway reaches: {}", away.join(", ")));
    }
    if !status.draining.is_empty() {
        let names: Vec<&str> = status.draining.iter().map(|gateway| gateway.name.as_str()).collect();
        warnings.push(format!("being emptied: {}", names.join(", ")));
    }
    warnings
}

/// For programs. Fields are added, and never renamed.
fn object(seen: &Seen) -> Value {
    let status = seen.cluster.status.clone().unwrap_or_default();
    let conditions = seen.conditions().iter().map(|condition| {
        let told = json!({
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message,
            "since": condition.last_transition_time,
            "good": Health::of(condition) != Health::Bad,
        });
        (condition.type_.clone(), told)
    });
    let rebalances: Vec<Value> = seen
        .rebalances
        .iter()
        .map(|object| {
            let status = object.status.as_ref();
            json!({
                "name": object.name_any(),
                "state": RebalanceState::of(status).as_str(),
                "message": view::message(object),
                "slots": status.and_then(|status| status.plan.as_ref()).map(|plan| plan.slots),
                "slotsMoved": status.and_then(|status| status.progress.as_ref()).map(|progress| progress.slots_moved),
            })
        })
        .collect();
    json!({
        "name": seen.cluster.name_any(),
        "namespace": seen.cluster.namespace(),
        "ready": seen.is_ready(),
        "headline": seen.headline(),
        "deleting": seen.cluster.metadata.deletion_timestamp.is_some(),
        "paused": seen.cluster.spec.is_paused(),
        "generation": seen.cluster.metadata.generation,
        "observedGeneration": status.observed_generation,
        "image": status.effective.as_ref().map(|effective| effective.image.clone()),
        "revision": status.revision,
        "rollout": status.rollout,
        "pendingChanges": status.pending_changes,
        "gateways": {
            "ready": status.ready_replicas,
            "wanted": status.effective.as_ref().map(|effective| effective.replicas),
            "draining": status.draining,
        },
        "connections": { "open": status.connections, "places": places(&status) },
        "conditions": conditions.collect::<serde_json::Map<_, _>>(),
        "rebalances": rebalances,
        "warnings": warnings(seen),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects;

    #[test]
    fn a_ready_one_has_a_line_for_each_part_and_no_warnings() {
        let seen = objects::ready();
        assert_eq!(
            text(&seen),
            "demo has been ready for 3 h 12 min

  Version    chatcluster.dev/chat-gateway:0.1.0, revision 5b8f96bcf
  Clients    412 of at most 30000 connections
  Gateways   3 of 3 gateways are ready
  Broker     RabbitMQ answers every gateway
  Redis      Redis answers every gateway
  Database   2 of 2 shards answer
  Shards     slots by shard: a: 512, b: 512
  Delivery   every message came once and in order
  Rollout    all gateways are of the newest revision
"
        );
        let object = object(&seen);
        assert_eq!((&object["ready"], &object["connections"]["places"]), (&json!(true), &json!(30_000)));
        assert_eq!(object["conditions"]["BrokerAvailable"]["reason"], "Connected");
        assert_eq!(object["warnings"], json!([]));
    }

    #[test]
    fn one_that_starts_says_so_before_there_is_a_status() {
        let text = text(&objects::new());
        assert!(text.starts_with("demo is unknown to the operator: it has written no status yet"), "{text}");
        assert_eq!(object(&objects::new())["ready"], false);
        let text = super::text(&objects::starting());
        assert!(text.starts_with("demo has not been ready for 20 s: GatewaysAvailable is False: 0 of 3"), "{text}");
        assert!(text.contains("? Delivery   no probe has ended yet\n"), "{text}");
        assert!(text.ends_with("\nkubectl chat why demo says what to do\n"), "{text}");
    }

    #[test]
    fn a_rollout_says_its_wave() {
        let text = text(&objects::rolling_out());
        assert!(
            text.contains("  Rollout    Progressing, wave 2 of 4: 25 % of the clients go to revision 77aa\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_broken_is_marked() {
        let text = text(&objects::broken_database());
        assert!(text.contains("\n! Database   shard b is not available: connection refused\n"), "{text}");
        assert!(text.contains("\n  Broker     RabbitMQ answers every gateway\n"), "{text}");
        assert!(text.contains("\n! not every gateway reaches: b\n"), "{text}");
        let text = super::text(&objects::violated());
        assert!(text.starts_with("demo has been ready for 3 h 12 min\n"), "{text}");
        assert!(text.contains("\n! Delivery   room r, seq 7 was acknowledged and is lost\n"), "{text}");
    }

    #[test]
    fn what_people_ask_for_is_said() {
        let text = text(&objects::paused());
        assert!(text.contains("\nWorth a look\n! spec.paused is true: the operator changes nothing\n"), "{text}");
        let text = super::text(&objects::rebalancing());
        assert!(text.contains("  Moves      ShardRebalance demo-g2 is Running: 1 of 4 slots have moved\n"), "{text}");
        let text = super::text(&objects::deleting());
        assert!(text.starts_with("demo is being deleted, as asked 1 min 00 s ago\n"), "{text}");
    }

    #[test]
    fn a_status_of_an_older_spec_is_no_word_on_this_one() {
        let mut seen = objects::ready();
        seen.cluster.metadata.generation = Some(4);
        let text = text(&seen);
        assert!(text.contains("its word is of generation 3, and the spec is at 4"), "{text}");
    }

    #[test]
    fn full_gateways_are_said() {
        let mut seen = objects::ready();
        if let Some(status) = &mut seen.cluster.status {
            status.connections = Some(29_000);
        }
        assert!(text(&seen).contains("! 96 % of the places for clients are taken\n"));
    }
}
