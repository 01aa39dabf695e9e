//! What a person wants to see after end-to-end tests failed on a cluster that is about to be removed.

use std::fs;

use anyhow::Result;
use localkube::Cluster;

use crate::{install::SYSTEM, paths, shell};

/// File name and `kubectl` arguments of each view.
const VIEWS: &[(&str, &[&str])] = &[
    ("objects.txt", &["get", "chatclusters,pods,statefulsets,deployments,jobs,pvc", "-A", "-o", "wide"]),
    ("chatclusters.yaml", &["get", "chatclusters", "-A", "-o", "yaml"]),
    ("events.txt", &["get", "events", "-A", "--sort-by=.lastTimestamp"]),
    ("operator.log", &["logs", "-n", SYSTEM, "deployment/chat-operator", "--tail=2000"]),
];

/// Writes every view into the artifacts and says where. A view that fails is named and left out: the tests' own failure is what counts.
pub(crate) fn write(kube: &Cluster) {
    let folder = paths::artifacts().join("e2e");
    for (file, args) in VIEWS {
        let written = view(kube, args).and_then(|text| {
            fs::create_dir_all(&folder)?;
            Ok(fs::write(folder.join(file), text)?)
        });
        match written {
            Ok(()) => println!("see {}", folder.join(file).display()),
            Err(error) => println!("no {file}: {error:#}"),
        }
    }
}

fn view(kube: &Cluster, args: &[&str]) -> Result<String> {
    shell::output(kube.kubectl(args)?)
}
