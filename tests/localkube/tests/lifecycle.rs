//! A cluster comes up, survives and ends cleanly, whatever is killed on the way.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use localkube::{Cluster, ClusterState, Component};
use support::{Temporary, footprint::Footprint};

const NAME: &str = "life";
const INDEX: u8 = 40;

fn state(cluster: &Cluster) -> ClusterState {
    cluster.status().unwrap().state
}

/// `up` in a process of its own, killed after the given time.
fn kill_up_after(time: Duration) {
    let mut up = Command::new(env!("CARGO_BIN_EXE_localkube"))
        .args(["up", NAME, &INDEX.to_string()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(time);
    up.kill().unwrap();
    up.wait().unwrap();
}

#[test]
#[ignore = "runs through cargo xtask test"]
fn down_leaves_nothing_behind_whatever_was_killed() {
    let cluster = Temporary::new(NAME, INDEX);
    let before = Footprint::of_machine(NAME);
    // Five rounds in all, eight in the long form.
    let is_long = chat_test_client::is_long();
    let victims = [Component::Kubelet, Component::Containerd, Component::Etcd, Component::KubeApiserver];
    for victim in &victims[..if is_long { 4 } else { 2 }] {
        cluster.0.up().unwrap();
        cluster.0.kill(*victim).unwrap();
        cluster.0.down().unwrap();
        before.assert_restored(NAME);
        eprintln!("{victim} killed: nothing was left behind");
    }
    for milliseconds in if is_long { vec![300, 1000, 3000, 6000] } else { vec![300, 2000, 6000] } {
        kill_up_after(Duration::from_millis(milliseconds));
        cluster.0.down().unwrap();
        before.assert_restored(NAME);
        eprintln!("start killed after {milliseconds} ms: nothing was left behind");
    }
    assert_eq!(state(&cluster.0), ClusterState::Down);
    cluster.0.down().expect("taking down what is down is fine");
}

#[test]
#[ignore = "runs through cargo xtask test"]
fn up_repairs_what_is_half_dead_and_leaves_alone_what_is_healthy() {
    let cluster = Temporary::new(NAME, INDEX);
    kill_up_after(Duration::from_secs(4));
    assert_eq!(state(&cluster.0), ClusterState::Broken);
    cluster.0.up().expect("a start that was interrupted is made good");
    assert_eq!(state(&cluster.0), ClusterState::Running);

    let healthy = cluster.0.status().unwrap();
    cluster.0.up().unwrap();
    let pids = |status: &localkube::Status| status.components.iter().map(|c| c.pid).collect::<Vec<_>>();
    assert_eq!(pids(&cluster.0.status().unwrap()), pids(&healthy), "a healthy cluster is left alone");

    kubectl(&cluster.0, &["create", "configmap", "kept"]);
    for victim in [Component::Kubelet, Component::Etcd, Component::KubeApiserver, Component::Containerd] {
        cluster.0.kill(victim).unwrap();
        wait_until_broken(&cluster.0);
        cluster.0.up().unwrap();
        assert_eq!(state(&cluster.0), ClusterState::Running, "after {victim}");
        kubectl(&cluster.0, &["get", "configmap", "kept"]);
    }

    cluster.0.kill(Component::Namespaces).unwrap();
    wait_until_broken(&cluster.0);
    cluster.0.up().expect("without its namespaces a cluster is started anew");
    assert_eq!(state(&cluster.0), ClusterState::Running);
}

/// A killed process takes a moment to end.
fn wait_until_broken(cluster: &Cluster) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while state(cluster) != ClusterState::Broken {
        assert!(Instant::now() < deadline, "a killed component is noticed");
        thread::sleep(Duration::from_millis(20));
    }
}

fn kubectl(cluster: &Cluster, arguments: &[&str]) {
    let output = cluster.kubectl(arguments).unwrap().output().unwrap();
    assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
