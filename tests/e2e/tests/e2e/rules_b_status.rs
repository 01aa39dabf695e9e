//! Rules B2 to B8: a status that does not lie. B1 and B5 are among the tests that run alone; B8 has a file of its own besides.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chat_test_client::is_long;
use e2e::{
    ChatCluster, Namespace, World,
    chat_cluster::{condition, resource, summary},
    children::title,
    manifest,
    pods::Part,
    wait::{Seen, until},
};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, PostParams},
    runtime::{WatchStreamExt as _, watcher},
};
use localkube::{Judgement, Kstatus};
use serde_json::{Value, json};

use crate::shared::{NOTICE_LIMIT, SETTLE_LIMIT, observed_deployment, shared};

pub(crate) const CONDITIONS: [&str; 12] = [
    "Ready",
    "Reconciling",
    "Stalled",
    "GatewaysAvailable",
    "BrokerAvailable",
    "CacheAvailable",
    "DatabaseAvailable",
    "ShardsBalanced",
    "RolloutHealthy",
    "DeliveryVerified",
    "CertificatesValid",
    "CredentialsRotated",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b2_no_stale_ready() -> Result<()> {
    let cluster = shared().await?;
    let patches = if is_long() { 200 } else { 20 };
    let mut generation = cluster.get().await?.metadata.generation.unwrap_or_default();
    for number in 1..=patches {
        // Every fifth patch rolls the gateways, the others only scale them.
        let replicas = 1 + (number - 1) % 2;
        let mut patch = json!({ "spec": { "gateways": { "replicas": replicas } } });
        if number % 5 == 0 {
            patch["spec"]["gateways"]["podTemplate"] =
                json!({ "annotations": { "example.com/turn": number.to_string() } });
        }
        let after = cluster.merge(patch).await?;
        ensure!(after == generation + 1, "generation went from {generation} to {after} by one patch");
        generation = after;
        cluster.kubectl_wait("Ready", SETTLE_LIMIT).await.with_context(|| format!("patch {number}"))?;
        let deployment = observed_deployment(&cluster).await?;
        check_rolled_out(&deployment, replicas, number).with_context(|| format!("patch {number}"))?;
        check_ready(&cluster, replicas).await.with_context(|| format!("patch {number}"))?;
    }
    // Null takes the annotation out of the shared cluster again.
    cluster.merge(json!({ "spec": { "gateways": { "podTemplate": null } } })).await?;
    cluster.check_spec_is_the_users().await
}

fn check_rolled_out(deployment: &Deployment, replicas: i32, patch: i32) -> Result<()> {
    let spec = deployment.spec.as_ref().context("no spec")?;
    let status = deployment.status.clone().unwrap_or_default();
    ensure!(spec.replicas == Some(replicas), "Ready, and the Deployment wants {:?} of {replicas}", spec.replicas);
    let counts = [status.replicas, status.updated_replicas];
    ensure!(counts == [Some(replicas); 2], "Ready with replicas, updated = {counts:?} of {replicas}");
    let annotations = spec.template.metadata.as_ref().and_then(|meta| meta.annotations.clone()).unwrap_or_default();
    let turn = annotations.get("example.com/turn");
    let wanted = (patch / 5 * 5).to_string();
    ensure!(patch < 5 || turn == Some(&wanted), "Ready with turn {turn:?} of {wanted}");
    Ok(())
}

/// All are ready, or the status says by and by that one is not any more: on a busy machine a gateway may fail a probe right after it was said.
async fn check_ready(cluster: &ChatCluster, replicas: i32) -> Result<()> {
    until("status and Deployment to agree", NOTICE_LIMIT, || async {
        let status = cluster.gateway_deployment().await?.status.unwrap_or_default();
        let object = cluster.get().await?;
        let is_ready = condition(&object, "Ready").is_some_and(|ready| ready["status"] == "True");
        let agree = is_ready == (status.ready_replicas == Some(replicas));
        Ok(if agree { Seen::Yes(()) } else { Seen::NotYet(format!("{:?} of {replicas}", status.ready_replicas)) })
    })
    .await
}

/// Everything that a watch shows of the cluster while `work` runs.
async fn watched<W>(cluster: &ChatCluster, work: W) -> Result<Vec<DynamicObject>>
where
    W: Future<Output = Result<()>>,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={}", cluster.name));
    let mut stream = watcher(cluster.api(), config).applied_objects().boxed();
    let mut seen = Vec::new();
    let mut work = std::pin::pin!(work);
    seen.push(stream.try_next().await?.context("the watch ended")?);
    loop {
        tokio::select! {
            next = stream.try_next() => seen.push(next?.context("the watch ended")?),
            done = &mut work => { done?; return Ok(seen); }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b3_kstatus_sees_progress_and_its_end() -> Result<()> {
    let cluster = shared().await?;
    let roll = async {
        let turn = uuid::Uuid::new_v4().to_string();
        cluster
            .merge(json!({ "spec": { "gateways": { "podTemplate": { "annotations": { "example.com/b3": turn } } } } }))
            .await?;
        cluster.wait_ready(SETTLE_LIMIT).await?;
        cluster.merge(json!({ "spec": { "gateways": { "podTemplate": null } } })).await?;
        cluster.wait_ready(SETTLE_LIMIT).await?;
        // The watch may be a moment behind.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(())
    };
    let seen = watched(&cluster, roll).await?;
    let objects = seen.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
    let judgements = Kstatus::build(&|line| println!("{line}"))?.compute(&objects)?;
    assert!(judgements.contains(&Judgement::InProgress), "{judgements:?}");
    assert!(!judgements.contains(&Judgement::Failed), "{judgements:?}");
    assert_eq!(judgements.last(), Some(&Judgement::Current), "{judgements:?}");
    for object in &seen {
        let is = |kind, status| condition(object, kind).is_some_and(|c| c["status"] == status);
        assert!(!(is("Ready", "True") && is("Reconciling", "True")), "both at once: {}", summary(object));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b3_a_missing_secret_is_named_and_healed() -> Result<()> {
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-b3").await?;
    let mut manifest = manifest::smallest("wanting");
    manifest["spec"]["broker"] = json!({ "rabbitmq": { "uriSecretRef": { "name": "my-broker" } } });
    let cluster = ChatCluster::apply(&world, &namespace.name, &manifest).await?;
    let names_it = |object: &DynamicObject| {
        let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|c| c["message"].as_str().is_some_and(|message| message.contains("my-broker")))
    };
    // The very first status only says that the work has begun.
    until("a condition that names the missing Secret", Duration::from_secs(10), || async {
        let object = cluster.wait_condition("Ready", "False", Duration::from_secs(10)).await?;
        Ok(if names_it(&object) { Seen::Yes(()) } else { Seen::NotYet(summary(&object)) })
    })
    .await?;
    let secret = json!({
        "metadata": { "name": "my-broker" },
        "stringData": { "uri": "amqp://guest:guest@nowhere.invalid:5672/%2f" },
    });
    let api: Api<Secret> = Api::namespaced(world.client.clone(), &namespace.name);
    api.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    until("the operator to go on", Duration::from_secs(30), || async {
        let children = cluster.children().await?;
        let has_gateways = children.iter().any(|child| title(child).starts_with("StatefulSet/"));
        Ok(if has_gateways { Seen::Yes(()) } else { Seen::NotYet(summary(&cluster.get().await?)) })
    })
    .await?;
    namespace.discard().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b4_transition_times_move_with_the_status_only() -> Result<()> {
    let cluster = shared().await?;
    let work = async {
        for replicas in [3, 2] {
            cluster.merge(json!({ "spec": { "gateways": { "replicas": replicas } } })).await?;
            cluster.wait_ready(SETTLE_LIMIT).await?;
        }
        let pod = cluster.ready_pods(Part::Broker).await?.remove(0);
        cluster.kill_pod(&pod).await?;
        cluster.wait_replaced(&pod, SETTLE_LIMIT).await?;
        cluster.wait_condition("BrokerAvailable", "True", SETTLE_LIMIT).await?;
        cluster.wait_ready(SETTLE_LIMIT).await?;
        Ok(())
    };
    let seen = watched(&cluster, work).await?;
    println!("{} versions of the object seen", seen.len());
    for pair in seen.windows(2) {
        for kind in CONDITIONS {
            let Some(old) = condition(&pair[0], kind) else {
                continue;
            };
            let new =
                condition(&pair[1], kind).with_context(|| format!("{kind} was removed: {}", summary(&pair[1])))?;
            let moved = old["lastTransitionTime"] != new["lastTransitionTime"];
            let changed = old["status"] != new["status"];
            // Times have whole seconds: a change within one second may keep them.
            ensure!(!moved || changed, "{kind} moved its time without a change: {old} -> {new}");
        }
    }
    for object in &seen {
        for c in object.data["status"]["conditions"].as_array().into_iter().flatten() {
            check_reason(c)?;
        }
    }
    Ok(())
}

fn check_reason(condition: &Value) -> Result<()> {
    let reason = condition["reason"].as_str().unwrap_or_default();
    let camel =
        reason.starts_with(|c: char| c.is_ascii_uppercase()) && reason.chars().all(|c| c.is_ascii_alphanumeric());
    ensure!(camel, "the reason is not one CamelCase word: {condition}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b6_the_operator_owns_nothing_of_the_spec() -> Result<()> {
    shared().await?.check_spec_is_the_users().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b7_children_come_by_server_side_apply_of_one_manager() -> Result<()> {
    let cluster = shared().await?;
    let children = cluster.children().await?;
    ensure!(children.len() >= 15, "only {} children", children.len());
    for child in &children {
        let entries = child.metadata.managed_fields.clone().unwrap_or_default();
        let ours: Vec<_> = entries
            .into_iter()
            .filter(|entry| entry.manager.as_deref().is_some_and(|manager| manager.starts_with("chat-operator")))
            .filter(|entry| entry.subresource.is_none())
            .collect();
        ensure!(ours.len() == 1, "{} has {} entries of the operator", title(child), ours.len());
        ensure!(ours[0].operation.as_deref() == Some("Apply"), "{} was not applied: {:?}", title(child), ours[0]);
        ensure!(ours[0].manager.as_deref() == Some("chat-operator"), "{}: {:?}", title(child), ours[0].manager);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b8_autoscalers_can_use_the_scale_subresource() -> Result<()> {
    let cluster = shared().await?;
    let kind = resource();
    let path =
        format!("/apis/{}/namespaces/{}/{}/{}/scale", kind.api_version, cluster.namespace, kind.plural, cluster.name);
    let scale: Value = serde_json::from_str(&cluster.world.kubectl(&["get", "--raw", &path]).await?)?;
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["replicas"]), (&json!(2), &json!(2)));
    let selector = scale["status"]["selector"].as_str().context("no selector")?;
    let selected = cluster.pod_api().list(&kube::api::ListParams::default().labels(selector)).await?;
    let mut names: Vec<_> = selected.iter().map(kube::ResourceExt::name_any).collect();
    let mut gateways: Vec<_> = cluster.pods(Part::Gateway).await?.iter().map(ResourceExt::name_any).collect();
    names.sort();
    gateways.sort();
    assert_eq!(names, gateways, "the selector selects something else than the gateways");
    Ok(())
}
