//! What a pod and its user expect of a Kubernetes works on this one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use images::{layer::Layer, oci};
use localkube::{Cluster, ClusterState};
use support::{Temporary, footprint::Footprint};

const NAME: &str = "works";
const IMAGE: &str = "chatcluster.dev/localkube-test:1";
const PODS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pods.yaml");

#[test]
#[ignore = "runs through cargo xtask test"]
fn pods_services_names_volumes_logs_exec_and_port_forward_work() {
    let temporary = Temporary::new(NAME, 41);
    let before = Footprint::of_machine(NAME);
    let cluster = &temporary.0;
    cluster.up().unwrap();
    let folder = tempfile::tempdir().unwrap();
    cluster.load_image(&busybox_image(folder.path())).unwrap();

    kubectl(cluster, &["apply", "-f", PODS]);
    kubectl(cluster, &["-n", "works", "wait", "--for=condition=Ready", "pod/web", "pod/client", "--timeout=60s"]);

    logs_and_exec(cluster);
    names_and_services(cluster);
    port_forward(cluster);
    volumes(cluster);
    accounts(cluster);
    a_second_cluster_runs_beside_it(cluster);

    cluster.down().unwrap();
    before.assert_restored(NAME);
}

fn logs_and_exec(cluster: &Cluster) {
    assert_eq!(kubectl(cluster, &["-n", "works", "logs", "web"]).trim(), "serving");
    assert_eq!(in_pod(cluster, "web", &["id", "-u"]).trim(), "65532");
}

fn names_and_services(cluster: &Cluster) {
    for name in ["web", "web.works", "web.works.svc.cluster.local"] {
        let answer = in_pod(cluster, "client", &["wget", "-q", "-O", "-", &format!("http://{name}")]);
        assert_eq!(answer.trim(), "first life", "from a pod to {name}");
    }
    // Not by the short name: that is the pod's own.
    let own = in_pod(cluster, "web", &["wget", "-q", "-O", "-", "http://web.works"]);
    assert_eq!(own.trim(), "first life", "from a pod through a Service to itself");

    let service = kubectl(cluster, &["-n", "works", "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"]);
    assert!(get(&format!("{service}:80")).ends_with("first life\n"), "from this machine to the Service");
    let pod = kubectl(cluster, &["-n", "works", "get", "pod", "web", "-o", "jsonpath={.status.podIP}"]);
    assert!(get(&format!("{pod}:8080")).ends_with("first life\n"), "from this machine to the pod");
}

fn port_forward(cluster: &Cluster) {
    let mut forward = cluster
        .kubectl(["-n", "works", "port-forward", "service/web", ":80"])
        .unwrap()
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept until the end: it ends when it can no longer tell about a connection.
    let mut printed = BufReader::new(forward.stdout.take().unwrap());
    let mut line = String::new();
    printed.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("Forwarding from ").and_then(|rest| rest.split(' ').next());
    let answer = get(address.unwrap_or_else(|| panic!("port-forward names its port: {line:?}")));
    forward.kill().unwrap();
    forward.wait().unwrap();
    assert!(answer.ends_with("first life\n"), "through port-forward: {answer}");
}

fn volumes(cluster: &Cluster) {
    let volume = kubectl(cluster, &["-n", "works", "get", "pvc", "data", "-o", "jsonpath={.spec.volumeName}"]);
    in_pod(cluster, "web", &["sh", "-c", "echo second life >/data/index.html"]);
    kubectl(cluster, &["-n", "works", "delete", "pod", "web"]);
    kubectl(cluster, &["apply", "-f", PODS]);
    kubectl(cluster, &["-n", "works", "wait", "--for=condition=Ready", "pod/web", "--timeout=60s"]);
    assert_eq!(in_pod(cluster, "web", &["cat", "/data/index.html"]).trim(), "second life", "a volume outlives its pod");

    let folder = localkube::cache_dir().join("clusters").join(NAME).join("var-lib/volumes").join(&volume);
    assert!(folder.is_dir(), "{}", folder.display());
    kubectl(cluster, &["delete", "namespace", "works", "--timeout=60s"]);
    kubectl(cluster, &["wait", "--for=delete", &format!("pv/{volume}"), "--timeout=60s"]);
    assert!(!folder.exists(), "a volume ends with its claim");
}

/// The controllers of Kubernetes run with the rights that they usually have, and pods get an identity.
fn accounts(cluster: &Cluster) {
    let token = kubectl(cluster, &["create", "token", "default"]);
    let mut kubectl = cluster.kubectl(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).unwrap();
    // The administrator's certificate would count more than the token.
    let empty = tempfile::NamedTempFile::new().unwrap();
    let status = cluster.status().unwrap();
    kubectl.args(["--server", &status.api_server, "--insecure-skip-tls-verify", "--token", token.trim()]);
    let user = output(kubectl.env("KUBECONFIG", empty.path()));
    assert_eq!(user, "system:serviceaccount:default:default");
    // The answer may be here before the line about it is.
    let written = || cluster.audit_logs().unwrap().iter().any(|log| fs::read_to_string(log).unwrap().contains(&user));
    for _ in 0..100 {
        if written() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the audit log does not tell of {user}");
}

fn a_second_cluster_runs_beside_it(first: &Cluster) {
    let second = Temporary::new("works2", 42);
    second.0.up().unwrap();
    let node = second.0.status().unwrap().node;
    assert_eq!(kubectl(&second.0, &["get", "nodes", "-o", "name"]).trim(), format!("node/{node}"));
    drop(second);
    assert_eq!(first.status().unwrap().state, ClusterState::Running);
    kubectl(first, &["get", "nodes"]);
}

fn busybox_image(folder: &Path) -> PathBuf {
    let mut layer = Layer::default();
    let busybox = fs::read("/bin/busybox").expect("Debian's package busybox-static is installed");
    layer.file("bin/busybox", 0o755, busybox);
    for tool in ["cat", "echo", "httpd", "id", "sh", "sleep", "test", "wget"] {
        layer.symlink(&format!("bin/{tool}"), "busybox");
    }
    let settings = oci::Settings { reference: IMAGE.to_owned(), ..oci::Settings::default() };
    let archive = folder.join("busybox.tar");
    oci::write_archive(&archive, &settings, &layer).unwrap();
    archive
}

fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn in_pod(cluster: &Cluster, pod: &str, command: &[&str]) -> String {
    let exec = ["-n", "works", "exec", pod, "--"];
    kubectl(cluster, &exec.iter().chain(command).copied().collect::<Vec<_>>())
}

fn kubectl(cluster: &Cluster, arguments: &[&str]) -> String {
    output(&mut cluster.kubectl(arguments).unwrap())
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
