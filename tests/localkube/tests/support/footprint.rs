//! Everything of this machine that a cluster touches, to be compared before and after.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Folders that Kubernetes, containerd and CNI usually write to.
const USUAL_PLACES: &[&str] = &[
    "/run/containerd",
    "/run/netns",
    "/run/runc",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
    "/usr/libexec/kubernetes",
    "/etc/cni",
    "/etc/kubernetes",
];

/// One line for each thing that exists.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Footprint(BTreeSet<String>);

impl Footprint {
    /// Looks at the machine, and leaves out what other clusters of the same kind have there.
    pub(crate) fn of_machine(cluster: &str) -> Self {
        let mut lines = BTreeSet::new();
        let mut add = |kind: &str, text: String| {
            lines
                .extend(text.lines().filter(|line| !of_another_cluster(line, cluster)).map(|l| format!("{kind}: {l}")));
        };
        add("device", names_in("/sys/class/net"));
        add("route", printed("ip", &["route", "show", "table", "all"]));
        add("rule of the packet filter", printed("nft", &["list", "ruleset"]));
        add("forwarding", fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap());
        add("mount", fs::read_to_string("/proc/self/mounts").unwrap());
        add("cgroup", cgroups());
        add("process", processes(cluster));
        let state = localkube::cache_dir().join("clusters").join(cluster);
        add("state", path_if_there(&state));
        for place in USUAL_PLACES {
            add(place, names_in(place));
            add("folder", path_if_there(Path::new(place)));
        }
        Self(lines)
    }

    /// Fails with the difference when the machine is not again as it was.
    pub(crate) fn assert_restored(&self, cluster: &str) {
        // The kernel takes a moment to forget killed processes and their namespaces.
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let now = Self::of_machine(cluster);
            if now == *self {
                return;
            }
            if Instant::now() > deadline {
                let more: Vec<_> = now.0.difference(&self.0).collect();
                let less: Vec<_> = self.0.difference(&now.0).collect();
                panic!("the cluster has left behind {more:#?}\nand has taken away {less:#?}");
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn of_another_cluster(line: &str, cluster: &str) -> bool {
    ["lk-", "localkube-"].iter().any(|prefix| line.contains(prefix) && !line.contains(&format!("{prefix}{cluster}")))
}

fn path_if_there(path: &Path) -> String {
    if path.exists() { path.display().to_string() } else { String::new() }
}

fn names_in(folder: impl AsRef<Path>) -> String {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned() + "\n").collect()
}

fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn cgroups() -> String {
    let mut all = Vec::new();
    let mut open = vec![(PathBuf::from("/sys/fs/cgroup"), 0)];
    while let Some((folder, depth)) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                all.push(entry.path().display().to_string());
                if depth < 2 {
                    open.push((entry.path(), depth + 1));
                }
            }
        }
    }
    // Groups of other programs on the machine come and go.
    all.into_iter().filter(|path| path.contains("localkube-")).map(|path| path + "\n").collect()
}

/// Processes that belong to the cluster by their cgroup, by a path in their command line, or by being in a network of
/// their own.
fn processes(cluster: &str) -> String {
    let group = format!("localkube-{cluster}");
    let folder = localkube::cache_dir().join("clusters").join(cluster).display().to_string();
    let own_network = fs::read_link("/proc/self/ns/net").unwrap();
    let mut found = String::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let read = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
        let groups = read("cgroup");
        let another = groups.contains("localkube-") && !groups.contains(&group);
        let elsewhere = fs::read_link(path.join("ns/net")).is_ok_and(|network| network != own_network);
        let command = read("cmdline").replace('\0', " ");
        let belongs = groups.contains(&group) || command.contains(&folder) || (elsewhere && !another);
        let ended = read("stat").contains(") Z ");
        if belongs && !ended {
            found += &format!("{} {command}\n", entry.file_name().to_string_lossy());
        }
    }
    found
}
