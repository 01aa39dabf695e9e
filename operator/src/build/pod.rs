//! What all pods have in common: the restricted security context, probes, volumes of Secrets.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, ExecAction, HTTPGetAction, KeyToPath,
        ObjectFieldSelector, PodSecurityContext, PodSpec, Probe, ResourceRequirements, SeccompProfile,
        SecretVolumeSource, SecurityContext, TCPSocketAction, Volume, VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};

use crate::names::UID;

/// Seconds between two looks of a server's image at the files that it follows. A kubelet takes longer to bring them.
pub(super) const LOOK: &str = "5";

/// A pod that meets Pod Security `restricted` and has no token of the API server.
pub(super) fn restricted_pod(containers: Vec<Container>, volumes: Vec<Volume>) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        containers,
        volumes: Some(volumes),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(UID),
            run_as_group: Some(UID),
            fs_group: Some(UID),
            // Changing the owner of every file at each start would take minutes on a large database.
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    }
}

/// The security context of every container.
pub(super) fn restricted_container() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
        ..SecurityContext::default()
    }
}

/// Requests and a memory limit. No CPU limit: throttling turns a busy second into a late one.
pub(super) fn resources(cpu: &str, memory: &str, memory_limit: &str) -> ResourceRequirements {
    let quantity = |text: &str| Quantity(text.to_owned());
    ResourceRequirements {
        requests: Some(BTreeMap::from([("cpu".to_owned(), quantity(cpu)), ("memory".to_owned(), quantity(memory))])),
        limits: Some(BTreeMap::from([("memory".to_owned(), quantity(memory_limit))])),
        ..ResourceRequirements::default()
    }
}

/// Bytes that a container may use: its memory limit, else its request, else `otherwise`.
pub(super) fn memory_bytes(resources: &ResourceRequirements, otherwise: u64) -> u64 {
    [&resources.limits, &resources.requests]
        .into_iter()
        .flatten()
        .find_map(|list| list.get("memory"))
        .and_then(|quantity| crate::quantity::bytes(&quantity.0))
        .unwrap_or(otherwise)
}

/// How often and how patiently a probe asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Seconds between two questions.
    pub(super) period: i32,
    /// Failures in a row that count.
    pub(super) failures: i32,
}

/// A probe by HTTP GET.
pub(super) fn http_probe(path: &str, port: i32, pace: Pace) -> Probe {
    let action =
        HTTPGetAction { path: Some(path.to_owned()), port: IntOrString::Int(port), ..HTTPGetAction::default() };
    Probe { http_get: Some(action), ..paced(pace) }
}

/// A probe by opening a connection.
pub(super) fn tcp_probe(port: i32, pace: Pace) -> Probe {
    Probe { tcp_socket: Some(TCPSocketAction { port: IntOrString::Int(port), host: None }), ..paced(pace) }
}

/// A probe by a command in the container.
pub(super) fn exec_probe(command: &[&str], pace: Pace) -> Probe {
    let command = command.iter().map(|&word| word.to_owned()).collect();
    Probe { exec: Some(ExecAction { command: Some(command) }), ..paced(pace) }
}

fn paced(pace: Pace) -> Probe {
    Probe {
        period_seconds: Some(pace.period),
        failure_threshold: Some(pace.failures),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}

/// A variable with a fixed value.
pub(super) fn env(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), value_from: None }
}

/// A variable with a field of the pod.
pub(super) fn env_field(name: &str, path: &str) -> EnvVar {
    let field = ObjectFieldSelector { field_path: path.to_owned(), ..ObjectFieldSelector::default() };
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
    }
}

/// A volume with some keys of a Secret as files `(key, file)`, or with all of them under their own names, readable by the container's group only.
pub(super) fn secret_volume(volume: &str, secret: &str, items: &[(&str, &str)]) -> Volume {
    let items: Vec<KeyToPath> = items
        .iter()
        .map(|(key, file)| KeyToPath { key: (*key).to_owned(), path: (*file).to_owned(), mode: None })
        .collect();
    Volume {
        name: volume.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            items: Some(items).filter(|items| !items.is_empty()),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// A folder that lives as long as the pod, at most `limit` large.
pub(super) fn scratch_volume(volume: &str, limit: &str) -> Volume {
    Volume {
        name: volume.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { size_limit: Some(Quantity(limit.to_owned())), medium: None }),
        ..Volume::default()
    }
}

/// Mounts a volume for reading and writing.
pub(super) fn mount(volume: &str, path: impl Into<String>) -> VolumeMount {
    VolumeMount { name: volume.to_owned(), mount_path: path.into(), ..VolumeMount::default() }
}

/// Mounts a volume for reading.
pub(super) fn mount_read_only(volume: &str, path: impl Into<String>) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount(volume, path) }
}
