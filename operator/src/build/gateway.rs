//! The gateways' Deployment.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{Container, ContainerPort, EnvVar, PodSpec, PodTemplateSpec, TopologySpreadConstraint},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{
    meta::{self, Role},
    pod::{self, Pace},
    secret_mounts::Mounts,
};
use crate::{
    hash::Hasher,
    names::{Component, annotation, label, path, port},
    reconcile::ValidatedCluster,
};

/// Seconds beyond the drain that a gateway has to close what is left and to end.
pub(super) const GRACE_AFTER_DRAIN: i32 = 15;
const ROLE: Role<'_> = Role::of(Component::Gateway);

/// Letters of a revision: enough to tell the revisions of one ChatCluster apart, and few enough for the names of pods.
const REVISION_LENGTH: usize = 10;

/// The Deployment; `config_hash` names what a running gateway does not re-read.
///
/// Each revision has one of its own, named after it: the operator decides how many gateways there are of which. A gateway that is alone has one
/// Deployment for good, which ends the old gateway before it starts the new one.
pub(super) fn build_deployment(cluster: &ValidatedCluster, config_hash: &str) -> Deployment {
    let drain = i32::try_from(cluster.gateways.drain_seconds).unwrap_or(i32::MAX - GRACE_AFTER_DRAIN);
    let mut template = stamped(pod_template(cluster, config_hash, drain));
    let mut metadata = meta::owned(cluster, ROLE, cluster.names.gateway());
    let mut selector = meta::selector(&cluster.key.name, ROLE);
    metadata.annotations = some_unless_empty(cluster.gateways.notes.clone());
    if let Some(pin) = &cluster.gateways.pin {
        template = pin.template.clone();
        metadata.name = Some(pin.name.clone());
        let revision = template
            .metadata
            .iter()
            .flat_map(|metadata| &metadata.labels)
            .find_map(|labels| labels.get(label::REVISION));
        if let Some(revision) = revision.cloned() {
            let label = (label::REVISION.to_owned(), revision);
            metadata.labels.get_or_insert_default().extend([label.clone()]);
            selector.match_labels.get_or_insert_default().extend([label]);
        }
    } else if !cluster.is_alone() {
        let mut revision = annotation_of(&template, annotation::TEMPLATE_HASH);
        revision.truncate(REVISION_LENGTH);
        let name = cluster.names.gateway_revision(&revision);
        for volume in template.spec.iter_mut().flat_map(|spec| spec.volumes.iter_mut().flatten()) {
            if let Some(config) = volume.config_map.as_mut().filter(|config| config.name == cluster.names.gateway()) {
                config.name.clone_from(&name);
            }
        }
        let label = (label::REVISION.to_owned(), revision);
        template.metadata.get_or_insert_default().labels.get_or_insert_default().extend([label.clone()]);
        metadata.labels.get_or_insert_default().extend([label.clone()]);
        selector.match_labels.get_or_insert_default().extend([label]);
        metadata.name = Some(name);
    }
    Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas: Some(cluster.gateways.replicas),
            selector,
            revision_history_limit: Some(3),
            progress_deadline_seconds: Some(cluster.gateways.rollout.progress_deadline),
            strategy: cluster.is_alone().then(one_less_then_one_more),
            template,
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

fn annotation_of(template: &PodTemplateSpec, key: &str) -> String {
    let annotations = template.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref());
    annotations.and_then(|annotations| annotations.get(key)).cloned().unwrap_or_default()
}

/// A new gateway is ready before an old one leaves, so that clients always have somewhere to go.
pub(super) fn one_more_then_one_less() -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}

/// The old gateway ends before the new one starts. Two gateways that do not know of each other would each bring messages
/// to their own people only, and an embedded database belongs to one process: the second would not get past its lock.
fn one_less_then_one_more() -> DeploymentStrategy {
    DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None }
}

fn pod_template(cluster: &ValidatedCluster, config_hash: &str, drain: i32) -> PodTemplateSpec {
    let overlay = &cluster.gateways.overlay;
    let Mounts { volumes, mounts } =
        Mounts::config(cluster.names.gateway()).live(cluster).gateway_secrets(cluster).data(cluster);
    let mut metadata = meta::template(cluster, ROLE);
    // The operator's own labels and annotations win: selectors and rollouts depend on them.
    let mut labels = overlay.labels.clone();
    labels.extend(metadata.labels.take().unwrap_or_default());
    metadata.labels = Some(labels);
    let mut annotations = overlay.annotations.clone();
    annotations.insert(annotation::CONFIG_HASH.to_owned(), config_hash.to_owned());
    metadata.annotations = Some(annotations);
    let spread = overlay.topology_spread_constraints.clone().unwrap_or_else(|| vec![spread_over_nodes(cluster, ROLE)]);
    let spec = PodSpec {
        service_account_name: Some(cluster.names.gateway()),
        termination_grace_period_seconds: Some(i64::from(drain.saturating_add(GRACE_AFTER_DRAIN))),
        node_selector: some_unless_empty(overlay.node_selector.clone()),
        tolerations: Some(overlay.tolerations.clone()).filter(|list| !list.is_empty()),
        affinity: overlay.affinity.clone(),
        priority_class_name: overlay.priority_class_name.clone(),
        topology_spread_constraints: Some(spread).filter(|list| !list.is_empty()),
        ..pod::restricted_pod(vec![container(cluster, mounts)], volumes)
    };
    PodTemplateSpec { metadata: Some(metadata), spec: Some(spec) }
}

/// The template with the hash of itself.
fn stamped(mut template: PodTemplateSpec) -> PodTemplateSpec {
    // A type of Kubernetes' own always becomes JSON.
    let text = serde_json::to_string(&template).unwrap_or_default();
    let annotations = template.metadata.get_or_insert_default().annotations.get_or_insert_default();
    annotations.insert(annotation::TEMPLATE_HASH.to_owned(), Hasher::new().text(&text).finish());
    template
}

fn container(cluster: &ValidatedCluster, mounts: Vec<k8s_openapi::api::core::v1::VolumeMount>) -> Container {
    let overlay = &cluster.gateways.overlay;
    Container {
        name: "gateway".to_owned(),
        image: Some(cluster.images.gateway.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: Some(
            ["serve", "--config"]
                .map(str::to_owned)
                .into_iter()
                .chain([format!("{}/{}", path::CONFIG_DIR, path::CONFIG_FILE)])
                .collect(),
        ),
        env: Some(env(cluster)),
        ports: Some(ports(cluster)),
        resources: Some(overlay.resources.clone().unwrap_or_else(|| pod::resources("100m", "128Mi", "512Mi"))),
        // A first start waits for the backends; two minutes are enough for all of them to come up at once.
        startup_probe: Some(pod::http_probe("/healthz", port::GATEWAY_ADMIN, Pace { period: 1, failures: 120 })),
        readiness_probe: Some(pod::http_probe("/readyz", port::GATEWAY_ADMIN, Pace { period: 2, failures: 2 })),
        liveness_probe: Some(pod::http_probe("/healthz", port::GATEWAY_ADMIN, Pace { period: 10, failures: 3 })),
        security_context: Some(pod::restricted_container()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn env(cluster: &ValidatedCluster) -> Vec<EnvVar> {
    let always = [
        pod::env_field("POD_NAME", "metadata.name"),
        pod::env_field("POD_IP", "status.podIP"),
        pod::env("CHAT_GATEWAY_LIVE_CONFIG", format!("{}/{}", path::LIVE_DIR, path::LIVE_FILE)),
    ];
    let shards = format!("{}/{}", path::SECRETS_DIR, path::SHARDS);
    let shards = cluster.embedded().is_none().then(|| pod::env("CHAT_GATEWAY_SHARDS_DIR", shards));
    always.into_iter().chain(shards).collect()
}

fn ports(cluster: &ValidatedCluster) -> Vec<ContainerPort> {
    let agent = cluster.gateways.expose.tier().map(|_| container_port("agent", port::GATEWAY_AGENT));
    let always = [container_port("http", port::GATEWAY_HTTP), container_port("admin", port::GATEWAY_ADMIN)];
    always.into_iter().chain(agent).collect()
}

pub(super) fn spread_over_nodes(cluster: &ValidatedCluster, role: Role<'_>) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(meta::selector(&cluster.key.name, role)),
        // Per revision, so that a rollout is spread as well as the state before it.
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    }
}

fn some_unless_empty(map: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    Some(map).filter(|map| !map.is_empty())
}

pub(super) fn container_port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}
