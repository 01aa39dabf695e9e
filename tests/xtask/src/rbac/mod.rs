//! Least privilege, proven by a run: what the operator asked the API server for while the end-to-end tests ran, against what the chart grants it.

mod compare;
mod grants;
mod requests;
mod unused;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use localkube::{Binaries, Cluster};
use serde_json::{Value, json};

use self::{
    compare::{Findings, Install, compare},
    grants::{documents, grants},
    requests::{Log, Request},
    unused::KEPT,
};
use crate::{install::SYSTEM, paths, shell};

/// The chart, its release, and the operator's service account.
const OPERATOR: &str = "chat-operator";
/// Where Kubernetes keeps the roles of its own that the chart binds.
const KUBE_SYSTEM: &str = "kube-system";

/// What of the comparison a run allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Every test ran to its end: what was not used is not needed.
    Whole,
    /// Some tests ran, or some failed: only that what was used is granted.
    Part,
}

/// Compares what the operators of the cluster have done so far with what the chart grants: the one that serves all namespaces, and those of the namespaces
/// `apart`. Writes what was used to `used`, as JSON, when asked to.
///
/// # Errors
/// The operator was refused something, or did something by a right that is not the chart's; or the chart grants what a whole run never used. The message
/// names each.
pub(crate) fn check(kube: &Cluster, apart: &[&str], extent: Extent, used: Option<&Path>) -> Result<()> {
    let log = read(kube)?;
    let installs = installs(kube, apart)?;
    let mut asked: BTreeSet<Request> = log.requests;
    // Others that run with the operator's tests, such as KEDA, have rights of their own.
    asked.retain(|request| request.user.ends_with(&format!(":{OPERATOR}")));
    if let Some(path) = used {
        write(path, &asked)?;
        println!("what the operator used: {}", path.display());
    }
    println!(
        "the operator asked the API server for {} things of {} kinds ({} events in the audit log, {} lines cut)",
        asked.len(),
        kinds(&asked).len(),
        log.events,
        log.broken
    );
    if asked.is_empty() {
        bail!(
            "the audit log tells nothing of the operator: a cluster that stands since before there was one is to be taken down first, by `cargo xtask cluster down`"
        );
    }
    let whole = extent == Extent::Whole;
    if whole {
        for kept in KEPT {
            let resource = grants::qualified(kept.group, kept.resource);
            println!("granted and not used: {} {resource}: {}", kept.verbs.join(", "), kept.why);
        }
    } else {
        println!("not judged: whether all that is granted is used, which only a whole run that passes can tell");
    }
    report(&compare(&installs, &asked, whole.then_some(KEPT)))
}

fn report(findings: &Findings) -> Result<()> {
    if !findings.last_moments.is_empty() {
        println!("refused while its namespace went, and no fault: {} things", findings.last_moments.len());
    }
    let faults = [
        ("the operator was refused", &findings.refused),
        ("the operator did by a right that is not the chart's", &findings.ungranted),
        ("granted by charts/chat-operator, never used, and not in tests/xtask/src/rbac/unused.rs", &findings.unused),
        ("in tests/xtask/src/rbac/unused.rs, and used or no longer granted", &findings.stale),
    ];
    let mut faulty = false;
    for (what, list) in faults {
        for line in list {
            println!("{what}: {line}");
            faulty = true;
        }
    }
    if faulty {
        bail!("the operator's rights and its deeds differ; see the lines above");
    }
    println!("the operator's rights and its deeds agree");
    Ok(())
}

fn read(kube: &Cluster) -> Result<Log> {
    let mut log = Log::default();
    for path in kube.audit_logs()? {
        let file = File::open(&path).with_context(|| format!("failed to open {}", path.display()))?;
        for line in BufReader::new(file).lines() {
            log.line(&line.with_context(|| format!("failed to read {}", path.display()))?);
        }
    }
    Ok(log)
}

/// The chart as it is installed: once for all namespaces, with all that can be switched on, and for each of those `apart`.
fn installs(kube: &Cluster, apart: &[&str]) -> Result<Vec<Install>> {
    let theirs = shell::output(kube.kubectl(["get", "roles", "-n", KUBE_SYSTEM, "-o", "json"])?)?;
    let theirs: Value = serde_json::from_str(&theirs).context("failed to read the roles of kube-system")?;
    let theirs: Vec<Value> = theirs["items"].as_array().cloned().unwrap_or_default();
    // In a list, objects do not tell their kinds.
    let theirs: Vec<Value> = theirs
        .into_iter()
        .map(|mut role| {
            role["kind"] = json!("Role");
            role
        })
        .collect();
    let wide = (SYSTEM, "scope=Cluster,customMetrics.enabled=true,loadMetrics.enabled=true");
    let all = std::iter::once(wide).chain(apart.iter().map(|&namespace| (namespace, "scope=Namespace")));
    all.map(|(namespace, set)| {
        let rendered = documents(&render(namespace, set)?).context("failed to read the rendered chart")?;
        Ok(Install {
            user: format!("system:serviceaccount:{namespace}:{OPERATOR}"),
            grants: grants(&rendered, &theirs, namespace, OPERATOR)?,
            goes_with_its_namespace: namespace != SYSTEM,
        })
    })
    .collect()
}

fn render(namespace: &str, set: &str) -> Result<String> {
    let helm = Binaries::build(&|line| println!("{line}"))?.helm;
    let chart = paths::root().join("charts").join(OPERATOR).display().to_string();
    let args = ["template", OPERATOR, &chart, "--namespace", namespace, "--set", set];
    shell::output(shell::command(&helm, &args))
}

/// Verb, group and resource of all that was allowed, each once.
fn kinds(asked: &BTreeSet<Request>) -> BTreeSet<(&str, &str, &str)> {
    let allowed = asked.iter().filter(|request| request.allowed);
    allowed.map(|request| (request.group.as_str(), request.resource.as_str(), request.verb.as_str())).collect()
}

fn write(path: &Path, asked: &BTreeSet<Request>) -> Result<()> {
    let used: Vec<Value> = kinds(asked)
        .into_iter()
        .map(|(group, resource, verb)| {
            let same = |request: &&Request| {
                request.allowed && request.group == group && request.resource == resource && request.verb == verb
            };
            let by: BTreeSet<&str> = asked.iter().filter(same).map(|request| request.user.as_str()).collect();
            json!({ "group": group, "resource": resource, "verb": verb, "by": by })
        })
        .collect();
    let text = serde_json::to_string_pretty(&json!({ "used": used }))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    }
    std::fs::write(path, text + "\n").with_context(|| format!("failed to write {}", path.display()))
}
