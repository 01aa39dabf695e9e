//! Rules E1 to E4: small rights, polite neighbours.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use e2e::{World, children::title, pods::Part, world::OPERATOR_NAMESPACE};
use k8s_openapi::api::{core::v1::Namespace, events::v1::Event, policy::v1::PodDisruptionBudget};
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::Value;

use crate::shared::{NAMESPACE, SETTLE_LIMIT, shared};

/// All objects of a rendered chart.
pub(crate) fn documents(yaml: &str) -> Result<Vec<Value>> {
    let documents = serde_yaml_ng::Deserializer::from_str(yaml).map(serde::de::Deserialize::deserialize);
    let all: Vec<Value> = documents.collect::<Result<_, _>>()?;
    Ok(all.into_iter().filter(|document| !document.is_null()).collect())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn e1_everything_runs_under_pod_security_restricted_without_a_warning() -> Result<()> {
    let cluster = shared().await?;
    let namespaces: Api<Namespace> = Api::all(cluster.world.client.clone());
    for name in [NAMESPACE, OPERATOR_NAMESPACE] {
        let labels = namespaces.get(name).await?.metadata.labels.unwrap_or_default();
        let enforce = labels.get("pod-security.kubernetes.io/enforce").map(String::as_str);
        ensure!(enforce == Some("restricted"), "namespace {name} enforces {enforce:?}");
    }
    let workloads = ["Deployment/", "StatefulSet/", "Job/"];
    for child in cluster.children().await? {
        if !workloads.iter().any(|kind| title(&child).starts_with(kind)) {
            continue;
        }
        check_no_warning(&cluster.world, &child).await?;
    }
    Ok(())
}

/// Applies an object again as a dry run: the API server answers with its warnings.
async fn check_no_warning(world: &World, object: &kube::api::DynamicObject) -> Result<()> {
    let mut copy = object.clone();
    copy.metadata.managed_fields = None;
    copy.metadata.resource_version = None;
    copy.data["status"].take();
    let text = serde_json::to_string(&copy)?;
    let args = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"];
    let printed = world.kubectl_any(&args, Some(&text)).await?;
    ensure!(printed.success, "{}: {}", title(object), printed.err);
    ensure!(!printed.err.contains("Warning"), "{}: {}", title(object), printed.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn e2_roles_are_exact_and_the_namespaced_form_needs_nothing_else() -> Result<()> {
    let world = World::connect().await?;
    for scope in ["Cluster", "Namespace"] {
        let scope_value = format!("scope={scope}");
        let yaml = world.helm_template("chat-operator", OPERATOR_NAMESPACE, &[&scope_value]).await?;
        let rendered = documents(&yaml)?;
        let roles: Vec<_> =
            rendered.iter().filter(|d| d["kind"].as_str().is_some_and(|k| k.ends_with("Role"))).collect();
        ensure!(!roles.is_empty(), "no role in scope {scope}");
        for role in roles {
            ensure!(!role.to_string().contains(r#""*""#), "a wildcard in {role}");
        }
        if scope == "Namespace" {
            let wide = rendered.iter().find(|d| d["kind"].as_str().is_some_and(|kind| kind.starts_with("Cluster")));
            ensure!(wide.is_none(), "scope Namespace renders {wide:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn e3_every_tier_has_a_budget_that_broken_pods_do_not_block() -> Result<()> {
    let cluster = shared().await?;
    let api: Api<PodDisruptionBudget> = Api::namespaced(cluster.world.client.clone(), &cluster.namespace);
    let budgets = api.list(&ListParams::default()).await?;
    for part in [Part::Gateway, Part::Broker, Part::Cache, Part::Database] {
        for pod in cluster.pods(part).await? {
            let labels = pod.labels();
            let selects = |budget: &&PodDisruptionBudget| {
                let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
                let wanted = selector.and_then(|selector| selector.match_labels.as_ref());
                wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)))
            };
            let matching: Vec<_> = budgets.iter().filter(selects).collect();
            ensure!(matching.len() == 1, "{} has {} budgets", pod.name_any(), matching.len());
            let policy = matching[0].spec.as_ref().and_then(|spec| spec.unhealthy_pod_eviction_policy.as_deref());
            ensure!(policy == Some("AlwaysAllow"), "{}: {policy:?}", matching[0].name_any());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn e4_events_are_typed_named_and_rare() -> Result<()> {
    let cluster = shared().await?;
    // Something to tell of.
    for replicas in [3, 2, 3, 2] {
        cluster.kubectl_scale(replicas).await?;
        cluster.wait_ready(SETTLE_LIMIT).await?;
    }
    let uid = cluster.get().await?.metadata.uid;
    let api: Api<Event> = Api::namespaced(cluster.world.client.clone(), &cluster.namespace);
    let all = api.list(&ListParams::default()).await?;
    let ours: Vec<_> = all.iter().filter(|e| e.regarding.as_ref().is_some_and(|r| r.uid == uid)).collect();
    ensure!(!ours.is_empty(), "no Event regards the cluster");
    let mut by_minute: HashMap<(String, i64), usize> = HashMap::new();
    for event in ours {
        let (kind, reason) = (event.type_.as_deref().unwrap_or(""), event.reason.as_deref().unwrap_or(""));
        ensure!(matches!(kind, "Normal" | "Warning"), "an Event of type {kind:?}");
        let camel =
            reason.starts_with(|c: char| c.is_ascii_uppercase()) && reason.chars().all(|c| c.is_ascii_alphanumeric());
        ensure!(camel, "an Event with reason {reason:?}");
        let at = event.event_time.as_ref().context("an Event without time")?.0.as_second();
        *by_minute.entry((reason.to_owned(), at / 60)).or_default() += 1;
    }
    let worst = by_minute.iter().max_by_key(|(_, count)| **count).context("no events")?;
    // Calendar minutes: an event late in one minute and one early in the next are both in order, three in one are not.
    ensure!(*worst.1 <= 2, "{worst:?} in one minute");
    Ok(())
}
