//! Rule B10: admission that changes what the operator and the controllers of Kubernetes write, as service meshes and policy engines do, restarts nothing.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use chat_test_client::is_long;
use e2e::{
    ChatCluster, Namespace, World, manifest,
    pods::Part,
    wait::{Seen, until},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Node, Pod},
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, PostParams},
};
use serde_json::json;

use crate::shared::{SETTLE_LIMIT, all_noted, turn};

const NAMESPACE: &str = "e2e-b10";
/// Seconds that the policy gives every pod to end, whatever its template says.
const GRACE: i64 = 33;
const SIDECAR: &str = "injected";
const MARK: &str = "policy.example.com/seen";
const POLICIES: [&str; 2] = ["e2e-b10-pods", "e2e-b10-workloads"];

/// Two policies for the namespace: every pod gets a container beside its own, and every workload's template gets an annotation and loses its time to end,
/// which is a field of the operator's.
fn policies(version: &str, sidecar_image: &str) -> String {
    let container = "Object.spec.initContainers";
    let sidecar = format!(
        r#"{container}{{
            name: "{SIDECAR}", image: "{sidecar_image}", restartPolicy: "Always", imagePullPolicy: "IfNotPresent",
            securityContext: {container}.securityContext{{
              allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 65532,
              capabilities: {container}.securityContext.capabilities{{ drop: ["ALL"] }},
              seccompProfile: {container}.securityContext.seccompProfile{{ type: "RuntimeDefault" }}
            }}
          }}"#
    );
    // An empty list first and not one with the container in it: that the API server of Kubernetes 1.34 does not survive.
    let add = format!(r#"JSONPatch{{ op: "add", path: "/spec/initContainers/-", value: {sidecar} }}"#);
    let pods = format!(
        r#"has(object.spec.initContainers)
          ? [{add}]
          : [JSONPatch{{ op: "add", path: "/spec/initContainers", value: [] }}, {add}]"#
    );
    let workloads = format!(
        r#"Object{{ spec: Object.spec{{ template: Object.spec.template{{
            metadata: Object.spec.template.metadata{{ annotations: {{ "{MARK}": "true" }} }},
            spec: Object.spec.template.spec{{ terminationGracePeriodSeconds: {GRACE} }}
          }} }} }}"#
    );
    let rule = |group: &str, operations: &[&str], resources: &[&str]| {
        json!({
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": NAMESPACE } },
            "resourceRules": [{
                "apiGroups": [group], "apiVersions": ["v1"], "operations": operations, "resources": resources,
            }],
        })
    };
    let policy = |name: &str, constraints: serde_json::Value, mutation: serde_json::Value| {
        json!({
            "apiVersion": version,
            "kind": "MutatingAdmissionPolicy",
            "metadata": { "name": name },
            "spec": {
                "matchConstraints": constraints,
                "mutations": [mutation],
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
            },
        })
    };
    let binding = |name: &str| {
        json!({
            "apiVersion": version,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": { "name": name },
            "spec": { "policyName": name },
        })
    };
    let documents = [
        policy(
            POLICIES[0],
            rule("", &["CREATE"], &["pods"]),
            json!({ "patchType": "JSONPatch", "jsonPatch": { "expression": pods } }),
        ),
        policy(
            POLICIES[1],
            rule("apps", &["CREATE", "UPDATE"], &["deployments", "statefulsets"]),
            json!({ "patchType": "ApplyConfiguration", "applyConfiguration": { "expression": workloads } }),
        ),
        binding(POLICIES[0]),
        binding(POLICIES[1]),
    ];
    documents.map(|document| document.to_string()).join("\n---\n")
}

/// The newest version of policies that the API server has.
async fn version(world: &World) -> Result<&'static str> {
    for version in ["admissionregistration.k8s.io/v1", "admissionregistration.k8s.io/v1beta1"] {
        let resources = world.client.list_api_group_resources(version).await.map(|list| list.resources);
        if resources.is_ok_and(|all| all.iter().any(|resource| resource.name == "mutatingadmissionpolicies")) {
            return Ok(version);
        }
    }
    bail!(
        "this Kubernetes has no MutatingAdmissionPolicy: switch on the feature gate of that name and \
         --runtime-config=admissionregistration.k8s.io/v1beta1=true"
    )
}

/// An image that waits and that the node has.
async fn waiting_image(world: &World) -> Result<String> {
    let nodes = Api::<Node>::all(world.client.clone()).list(&ListParams::default()).await?;
    let images = nodes.items.into_iter().filter_map(|node| node.status?.images).flatten();
    let mut names = images.flat_map(|image| image.names.unwrap_or_default());
    names.find(|name| name.contains("pause") && !name.contains('@')).context("no node has an image of pause")
}

async fn remove(world: &World) -> Result<()> {
    for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
        let args = [["delete", kind, "--ignore-not-found"].as_slice(), &POLICIES].concat();
        world.kubectl(&args).await?;
    }
    Ok(())
}

/// Each policy takes a moment of its own until it is in force.
async fn wait_in_force(world: &World) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), NAMESPACE);
    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), NAMESPACE);
    let restricted = json!({
        "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 1, "capabilities": { "drop": ["ALL"] },
        "seccompProfile": { "type": "RuntimeDefault" },
    });
    let spec = json!({ "containers": [{ "name": "probe", "image": "none", "securityContext": restricted }] });
    let pod: Pod = serde_json::from_value(json!({ "metadata": { "name": "probe" }, "spec": spec }))?;
    let labels = json!({ "probe": "true" });
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": { "name": "probe" },
        "spec": { "selector": { "matchLabels": labels }, "template": { "metadata": { "labels": labels }, "spec": spec } },
    }))?;
    let params = PostParams { dry_run: true, ..PostParams::default() };
    until("the policies to be in force", SETTLE_LIMIT, || async {
        let pod = is_injected(&pods.create(&params, &pod).await?);
        let workload = grace(&deployments.create(&params, &deployment).await?);
        Ok(if pod && workload == Some(GRACE) {
            Seen::Yes(())
        } else {
            Seen::NotYet(format!("pod injected: {pod}, seconds that a workload has to end: {workload:?}"))
        })
    })
    .await
}

/// Seconds that the pods of a workload have to end.
fn grace(workload: &Deployment) -> Option<i64> {
    workload.spec.as_ref()?.template.spec.as_ref()?.termination_grace_period_seconds
}

fn is_injected(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let mut init = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten();
    init.any(|container| container.name == SIDECAR)
}

/// Restarts of every container of every pod, by the pod's UID.
async fn pods(cluster: &ChatCluster) -> Result<BTreeMap<String, (String, i32)>> {
    let list = cluster.pod_api().list(&ListParams::default()).await?;
    // What has ended, such as the migration, is no part of it.
    let running = list
        .items
        .into_iter()
        .filter(|pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running"));
    let with_restarts = running.map(|pod| {
        let name = pod.name_any();
        let status = pod.status.clone().unwrap_or_default();
        let own = status.container_statuses.unwrap_or_default();
        let init = status.init_container_statuses.unwrap_or_default();
        let restarts = own.iter().chain(&init).map(|container| container.restart_count).sum();
        (pod.uid().unwrap_or_default(), (name, restarts))
    });
    Ok(with_restarts.collect())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b10_admission_that_changes_pods_and_workloads_restarts_nothing() -> Result<()> {
    let turn = turn().await?;
    let world = World::connect().await?;
    let version = version(&world).await?;
    remove(&world).await?;
    let namespace = Namespace::fresh(&world, NAMESPACE).await?;
    world.kubectl_apply(&policies(version, &waiting_image(&world).await?)).await?;
    wait_in_force(&world).await?;

    let mut manifest = manifest::smallest("mutated");
    // A second one comes later, by the spec.
    manifest["spec"]["gateways"]["rollout"] = json!({ "waves": [100], "analysisSeconds": 1 });
    let cluster = ChatCluster::apply(&world, &namespace.name, &manifest).await?;
    cluster.kubectl_wait("Ready", SETTLE_LIMIT).await?;
    drop(turn);
    let deployment = cluster.gateway_deployment().await?;
    let grace = grace(&deployment);
    ensure!(grace == Some(GRACE), "the policy for workloads is not in force: {grace:?} seconds to end");
    let template = deployment.spec.context("no spec")?.template;
    let annotations = template.metadata.and_then(|meta| meta.annotations).unwrap_or_default();
    ensure!(annotations.contains_key(MARK), "the policy for workloads is not in force: {annotations:?}");
    for pod in cluster.pod_api().list(&ListParams::default()).await? {
        ensure!(is_injected(&pod), "{} was made without the policy", pod.name_any());
    }

    let before = pods(&cluster).await?;
    ensure!(before.len() == 4 && before.values().all(|(_, restarts)| *restarts == 0), "{before:?}");
    // A pass that has something to do looks at every child again.
    cluster.merge(json!({ "spec": { "gateways": { "replicas": 2 } } })).await?;
    cluster.kubectl_wait("Ready", SETTLE_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    all_noted(&cluster).await?;
    let versions = cluster.gateway_deployment().await?.metadata.generation;
    let idle = Duration::from_secs(if is_long() { 600 } else { 60 });
    tokio::time::sleep(idle).await;
    let after = pods(&cluster).await?;
    ensure!(after.len() == 5, "one more was asked for: {before:?}, {after:?}");
    for (uid, pod) in &before {
        ensure!(after.get(uid) == Some(pod), "{pod:?} was restarted or replaced: {after:?}");
    }
    ensure!(after.values().all(|(_, restarts)| *restarts == 0), "{after:?}");
    ensure!(cluster.gateway_deployment().await?.metadata.generation == versions, "the Deployment was changed again");
    cluster.kubectl_wait("Ready", Duration::from_secs(10)).await?;
    remove(&world).await?;
    namespace.discard().await
}
