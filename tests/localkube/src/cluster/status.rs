//! How a cluster is, for people and scripts.

use std::path::PathBuf;

use serde::Serialize;

use crate::{
    cgroup::Cgroup, component::Component, config::ClusterConfig, layout::Layout, process::Process, state::State,
};

/// How a cluster is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name of the cluster.
    pub name: String,
    /// In one word.
    pub state: ClusterState,
    /// Its programs; none when the cluster is down.
    pub components: Vec<ComponentStatus>,
    /// Memory of all of its programs, without pods, in bytes.
    pub resident_bytes: u64,
    /// Address of the API server.
    pub api_server: String,
    /// Name of the node.
    pub node: String,
    /// The administrator's access; exists while the cluster runs.
    pub kubeconfig: PathBuf,
    /// Address range of pods, reachable from this machine while the cluster runs.
    pub pods: String,
    /// Address range of Services, reachable from this machine while the cluster runs.
    pub services: String,
}

/// A cluster in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterState {
    /// Nothing of it is there.
    Down,
    /// Some of its programs have ended, or a start or stop did not come to its end.
    Broken,
    /// All of its programs run.
    Running,
}

/// One program of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// Which one.
    pub component: Component,
    /// Number of its process.
    pub pid: i32,
    /// Whether that process still runs.
    pub alive: bool,
    /// Its memory in bytes.
    pub resident_bytes: u64,
}

pub(super) fn look(config: &ClusterConfig, layout: &Layout, cgroup: &Cgroup) -> Status {
    let known = State::load(layout);
    let state = match &known {
        None if !layout.folder().exists() && cgroup.is_empty() => ClusterState::Down,
        Some(state) if state.settled && state.holder().is_some() && state.dead().is_empty() => ClusterState::Running,
        _ => ClusterState::Broken,
    };
    let processes = known.map(|state| state.processes).unwrap_or_default();
    let components: Vec<_> = processes.iter().map(|(&component, process)| describe(component, process)).collect();
    Status {
        name: config.name.clone(),
        state,
        resident_bytes: components.iter().map(|component| component.resident_bytes).sum(),
        components,
        api_server: config.api_url(),
        node: config.node(),
        kubeconfig: layout.kubeconfig("admin"),
        pods: config.pods(),
        services: config.services(),
    }
}

fn describe(component: Component, process: &Process) -> ComponentStatus {
    ComponentStatus {
        component,
        pid: process.pid(),
        alive: process.is_alive(),
        resident_bytes: process.resident_bytes(),
    }
}
