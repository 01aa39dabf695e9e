//! Ways to break a part of a ChatCluster.

use std::{
    env, fs,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use localkube::{Cluster, ClusterConfig, Component};

use crate::{
    chat_cluster::ChatCluster,
    pods::restarts,
    wait::{Seen, until},
    world::World,
};

impl ChatCluster {
    /// Deletes a pod with grace period 0.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn kill_pod(&self, pod: &Pod) -> Result<()> {
        self.pod_api().delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
        Ok(())
    }

    /// Waits until a pod of a StatefulSet has a ready successor of the same name.
    ///
    /// # Errors
    /// It has not within `limit`.
    pub async fn wait_replaced(&self, old: &Pod, limit: Duration) -> Result<()> {
        until(format!("a pod in place of {}", old.name_any()), limit, || async {
            let now = self.pod_api().get_opt(&old.name_any()).await?;
            let done = now.as_ref().is_some_and(|now| now.uid() != old.uid() && crate::pods::is_ready(now));
            Ok(if done { Seen::Yes(()) } else { Seen::NotYet(format!("there: {}", now.is_some())) })
        })
        .await
    }

    /// Waits until the containers of a pod have started `restarts` times more than in `old`, and are ready.
    ///
    /// # Errors
    /// They have not within `limit`.
    pub async fn wait_restarted(&self, old: &Pod, limit: Duration) -> Result<()> {
        let before = restarts(old);
        until(format!("the restart of {}", old.name_any()), limit, || async {
            let now = self.pod_api().get(&old.name_any()).await?;
            let done = restarts(&now) > before && crate::pods::is_ready(&now);
            Ok(if done { Seen::Yes(()) } else { Seen::NotYet(format!("{} restarts", restarts(&now))) })
        })
        .await
    }
}

/// Ends the processes of a pod's containers at once (SIGKILL), as a crash of the machine would. The pod stays and restarts them.
///
/// # Errors
/// See [`signal`].
pub fn crash(pod: &Pod) -> Result<usize> {
    signal(pod, "KILL")
}

/// Stops the processes of a pod's containers (SIGSTOP) for a while, as a machine that swaps or a cut network would:
/// connections stay open and nobody answers.
///
/// # Errors
/// See [`signal`].
pub async fn freeze(pod: &Pod, time: Duration) -> Result<()> {
    signal(pod, "STOP")?;
    tokio::time::sleep(time).await;
    signal(pod, "CONT")?;
    Ok(())
}

/// Sends a signal to all processes of a pod's containers. Works because the local Kubernetes shares the host's process
/// ids; the sandbox's pause process is spared.
///
/// # Errors
/// No process of the pod is found: then this is no local Kubernetes, and the test cannot say that anything broke.
fn signal(pod: &Pod, signal: &str) -> Result<usize> {
    let uid = pod.uid().context("a pod without uid")?;
    let pids = processes_of(&uid)?;
    ensure!(!pids.is_empty(), "no process of pod {} on this machine", pod.name_any());
    let pids_as_text: Vec<String> = pids.iter().map(u32::to_string).collect();
    let mut kill = Command::new("kill");
    // Some end as children of one killed before them, so neither the status nor the words of `kill` say anything.
    kill.arg(format!("-{signal}")).args(pids_as_text).stderr(Stdio::null()).status()?;
    Ok(pids.len())
}

/// Pids whose cgroup names the pod, without the pause process.
fn processes_of(uid: &str) -> Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let read = |file: &str| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        // systemd-style cgroup names have underscores in place of hyphens.
        let cgroup = read("cgroup").replace('_', "-");
        if cgroup.contains(&format!("pod{uid}")) && !read("comm").starts_with("pause") {
            pids.push(pid);
        }
    }
    pids.sort_unstable();
    Ok(pids)
}

/// Does to the node what a power cut does, and starts it again: [`Cluster::reboot`]. Pods come back by themselves some time later.
///
/// # Errors
/// `CHATCLUSTER_LOCAL` does not say which local Kubernetes this is, or it cannot be started again.
pub async fn reboot() -> Result<()> {
    with_local(|cluster| Ok(cluster.reboot()?)).await
}

/// Kills the API server, as a crash would. It is away until [`revive_api_server`].
///
/// # Errors
/// `CHATCLUSTER_LOCAL` does not say which local Kubernetes this is, or it was not started.
pub async fn kill_api_server() -> Result<()> {
    with_local(|cluster| Ok(cluster.kill(Component::KubeApiserver)?)).await
}

/// Starts it again, and waits until it answers.
///
/// # Errors
/// `CHATCLUSTER_LOCAL` does not say which local Kubernetes this is, or it cannot be started again.
pub async fn revive_api_server() -> Result<()> {
    with_local(|cluster| Ok(cluster.revive_api_server()?)).await
}

/// What is to be done to the local Kubernetes under test waits, with a thread of its own.
async fn with_local(act: impl FnOnce(Cluster) -> Result<()> + Send + 'static) -> Result<()> {
    let which = env::var("CHATCLUSTER_LOCAL").context(
        "CHATCLUSTER_LOCAL is not set: run this test by `cargo xtask test --only e2e`, on a cluster that it may break",
    )?;
    let (name, index) = which.split_once(' ').context("CHATCLUSTER_LOCAL is no name and index")?;
    let config = ClusterConfig { name: name.to_owned(), index: index.parse()? };
    tokio::task::spawn_blocking(move || act(Cluster::new(config)?)).await?
}

/// Keeps new pods from starting anywhere (or lets them again): every node is cordoned.
///
/// # Errors
/// The API server refuses.
pub async fn cordon(world: &World, on: bool) -> Result<()> {
    let api: Api<Node> = Api::all(world.client.clone());
    for node in api.list(&ListParams::default()).await? {
        let name = node.name_any();
        if on {
            api.cordon(&name).await?
        } else {
            api.uncordon(&name).await?
        };
    }
    Ok(())
}
