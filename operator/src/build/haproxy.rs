//! The tier of HAProxy in front of the gateways: its Deployment and its ConfigMap.
//!
//! A change of the configuration replaces the pods: the new ones take new connections, and the old ones end when theirs have, or after `drainSeconds`.
//! A renewed certificate they take while they run.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec},
        core::v1::{
            ConfigMap, ConfigMapVolumeSource, Container, Lifecycle, LifecycleHandler, PodSpec, PodTemplateSpec,
            SleepAction, Volume,
        },
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{
    gateway::{container_port, one_more_then_one_less, spread_over_nodes},
    haproxy_config::render_haproxy_config,
    meta::{self, Role},
    pod::{self, Pace, mount_read_only, secret_volume},
};
use crate::{
    hash::Hasher,
    names::{Component, annotation, key, path, port},
    reconcile::{Tier, ValidatedCluster},
};

/// Seconds for which a stopping pod takes new connections still: until every node knows that it goes.
const LINGER_SECONDS: i64 = 5;
/// Seconds beyond the drain to close what is left and to end.
const GRACE_AFTER_DRAIN: i64 = 10;
/// Seconds without progress after which a rollout counts as stuck. Pods that drain are not waited for.
const PROGRESS_DEADLINE: i32 = 180;

/// Has HAProxy follow the files of the certificate.
const FOLLOW_CERTIFICATE: &str = include_str!("scripts/certificate.lua");

const ROLE: Role<'_> = Role::of(Component::Balancer);

/// Configuration and Deployment, if there is such a tier.
pub(super) fn build_haproxy(cluster: &ValidatedCluster) -> Option<(ConfigMap, Deployment)> {
    let tier = cluster.gateways.expose.tier()?;
    let mut files = BTreeMap::from([(path::TIER_FILE.to_owned(), render_haproxy_config(cluster, tier))]);
    if tier.certificate.is_some() {
        files.insert(path::TIER_SCRIPT.to_owned(), FOLLOW_CERTIFICATE.to_owned());
    }
    let deployment = build_deployment(cluster, tier, &files);
    let config_map = ConfigMap {
        metadata: meta::owned(cluster, ROLE, cluster.names.haproxy()),
        data: Some(files),
        ..ConfigMap::default()
    };
    Some((config_map, deployment))
}

fn build_deployment(cluster: &ValidatedCluster, tier: &Tier, files: &BTreeMap<String, String>) -> Deployment {
    Deployment {
        metadata: meta::owned(cluster, ROLE, cluster.names.haproxy()),
        spec: Some(DeploymentSpec {
            replicas: Some(tier.replicas),
            selector: meta::selector(&cluster.key.name, ROLE),
            revision_history_limit: Some(3),
            progress_deadline_seconds: Some(PROGRESS_DEADLINE),
            strategy: Some(one_more_then_one_less()),
            template: pod_template(cluster, tier, files),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

fn pod_template(cluster: &ValidatedCluster, tier: &Tier, files: &BTreeMap<String, String>) -> PodTemplateSpec {
    // All that HAProxy reads only once.
    let hash = files.values().fold(Hasher::new(), |hash, text| hash.text(text)).finish();
    let metadata = ObjectMeta {
        annotations: Some(BTreeMap::from([(annotation::CONFIG_HASH.to_owned(), hash)])),
        ..meta::template(cluster, ROLE)
    };
    let source = ConfigMapVolumeSource {
        name: cluster.names.haproxy(),
        default_mode: Some(0o444),
        ..ConfigMapVolumeSource::default()
    };
    let mut volumes = vec![Volume { name: "config".to_owned(), config_map: Some(source), ..Volume::default() }];
    let mut mounts = vec![mount_read_only("config", path::TIER_DIR)];
    if let Some(certificate) = &tier.certificate {
        // HAProxy looks for the key beside the certificate.
        let key_file = format!("{}.key", path::TLS_FILE);
        let files = [(key::TLS_CERTIFICATE, path::TLS_FILE), (key::TLS_KEY, key_file.as_str())];
        volumes.push(secret_volume("tls", &certificate.secret, &files));
        mounts.push(mount_read_only("tls", path::TLS_DIR));
    }
    let container = Container { volume_mounts: Some(mounts), ..container(cluster, tier) };
    let spec = PodSpec {
        service_account_name: Some(cluster.names.haproxy()),
        termination_grace_period_seconds: Some(i64::from(tier.drain_seconds) + LINGER_SECONDS + GRACE_AFTER_DRAIN),
        topology_spread_constraints: Some(vec![spread_over_nodes(cluster, ROLE)]),
        ..pod::restricted_pod(vec![container], volumes)
    };
    PodTemplateSpec { metadata: Some(metadata), spec: Some(spec) }
}

fn container(cluster: &ValidatedCluster, tier: &Tier) -> Container {
    let (name, number) = tier.port();
    let linger =
        LifecycleHandler { sleep: Some(SleepAction { seconds: LINGER_SECONDS }), ..LifecycleHandler::default() };
    Container {
        name: "haproxy".to_owned(),
        image: Some(cluster.images.haproxy.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: Some(vec!["-f".to_owned(), format!("{}/{}", path::TIER_DIR, path::TIER_FILE)]),
        ports: Some(vec![container_port(name, number), container_port("own", port::TIER_OWN)]),
        resources: Some(tier.resources.clone().unwrap_or_else(|| pod::resources("100m", "128Mi", "512Mi"))),
        lifecycle: Some(Lifecycle { pre_stop: Some(linger), ..Lifecycle::default() }),
        startup_probe: Some(pod::http_probe("/healthz", port::TIER_OWN, Pace { period: 1, failures: 60 })),
        readiness_probe: Some(pod::http_probe("/readyz", port::TIER_OWN, Pace { period: 2, failures: 2 })),
        liveness_probe: Some(pod::http_probe("/healthz", port::TIER_OWN, Pace { period: 10, failures: 3 })),
        security_context: Some(pod::restricted_container()),
        ..Container::default()
    }
}
