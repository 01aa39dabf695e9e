//! What the documentation has people type is run: scripts by the real shell with the real kubectl, Helm and plugin, manifests by the real API server. What
//! would change something is tried without being done, but for the tutorial's, which is done.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{ChatCluster, Namespace, World, manifest, pods::Part, world::OPERATOR_NAMESPACE};
use serde::Deserialize as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

/// The namespace and the name that pages have.
const NAMESPACE: &str = "chat";
const TUTORIAL: &str = "docs/tutorial/first-chat.md";
const RELEASE: &str = "docs/how-to/make-a-release.md";

/// Commands that are not run here: the page, a part of the command, and why.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    ("README.md", "cargo xtask", "by it these tests run"),
    ("README.md", "cargo run --package chat-gateway", "tests of the gateway start it without arguments"),
    ("docs/reference/gateway.md", "cargo run --package chat-gateway", "as above"),
    ("docs/how-to/first-message.md", "cargo run --package chat-gateway", "as above"),
    ("docs/how-to/first-message.md", "curl", "gateway/tests/protocol sends what the page shows"),
    ("docs/how-to/first-message.md", "websocat", "gateway/tests/protocol sends what the page shows"),
    ("docs/how-to/use-the-typescript-client.md", "npm install", "the step `web` runs the client's tests"),
    (TUTORIAL, "cargo xtask demo", "the step `demo` runs it with --long; here the same manifest is applied"),
    ("docs/how-to/autoscale-gateways.md", "cargo install", "it is built; the search path has it"),
    ("docs/how-to/autoscale-gateways.md", "kubectl chat drain", "names a pod of an example; few::draining drains one"),
    ("docs/how-to/expose-gateways.md", "curl", "a name inside of a cluster; few::hints asks the same"),
    ("docs/how-to/external-backends.md", "rabbitmqctl", "for a server of the user's; gateway/tests has these rights"),
    ("docs/how-to/kafka.md", "for secret in", "copies Secrets of Strimzi, which is not there"),
    (RELEASE, "cargo xtask release", "tests of xtask put a release together out of small files"),
    (RELEASE, "sha256sum", "tests of xtask check the sums of theirs with it"),
    (RELEASE, "jq -r", "reads files of a release; tests of xtask read the same fields"),
    (RELEASE, "git checkout", "names a commit of an example"),
    (RELEASE, "diff SHA256SUMS", "compares two releases; tests of xtask compare all bytes"),
    (
        "docs/how-to/monitor.md",
        "helm upgrade",
        "asks for kinds of the Prometheus Operator; the step `charts` renders it",
    ),
    ("docs/how-to/back-up.md", "demo-by-hand", "the quickstart makes no backups; few::backups does the same"),
    ("docs/how-to/rebalance-shards.md", "kubectl chat rebalance watch", "names a ShardRebalance of an example"),
    ("docs/how-to/upgrade-the-operator.md", "--approve", "names the hash of an example; few::upgrades approves one"),
    ("docs/reference/kubectl-chat.md", "echo $?", "a line of the shell, not of the plugin"),
    ("docs/reference/kubectl-chat.md", "completion zsh", "${fpath[1]} is zsh's"),
    ("docs/runbooks/ChatAcknowledgementsSlow.md", "kubectl top", "needs metrics-server"),
    ("docs/runbooks/ChatCertificateExpires.md", "kubectl get secret NAME", "names nothing"),
    ("docs/runbooks/ChatCertificateExpires.md", "kubectl get certificates", "needs cert-manager"),
];

/// Kinds of other projects, which this API server does not have.
const FOREIGN: [&str; 6] =
    ["Cluster", "KafkaTopic", "KafkaUser", "Kustomization", "ScaledObject", "TriggerAuthentication"];

/// A place in which the commands of pages run: `kubectl` and `helm` tell there when they fail.
struct Desk {
    folder: TempDir,
    path: std::ffi::OsString,
}

impl Desk {
    async fn set_up(world: &World) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        for ours in ["charts", "docs"] {
            symlink(root.join(ours), at(ours))?;
        }
        fs::create_dir_all(at("programs"))?;
        fs::create_dir_all(at(".local/bin"))?;
        fs::create_dir_all(at(".config/fish/completions"))?;
        let program = |variable: &str, name: &str| {
            std::env::var_os(variable).map_or_else(|| name.to_owned(), |path| path.to_string_lossy().into_owned())
        };
        let writes = "apply|annotate|create|delete|label|patch|scale";
        write_program(&at("programs/kubectl"), &program("CHATCLUSTER_KUBECTL", "kubectl"), writes)?;
        write_program(&at("programs/helm"), &program("CHATCLUSTER_HELM", "helm"), "install|upgrade|uninstall")?;
        fs::copy(&world.kubeconfig, at("kubeconfig"))?;
        let mut path = vec![at("programs")];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let desk = Self { path: std::env::join_paths(path)?, folder };
        desk.run(&format!("kubectl config set-context --current --namespace={NAMESPACE}"), false).await?;
        Ok(desk)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a script; what writes is only tried unless it is `done`. Returns how often kubectl and Helm were called.
    async fn run(&self, script: &str, done: bool) -> Result<usize> {
        let (calls, failures) = (self.at("calls"), self.at("failures"));
        fs::write(&calls, "")?;
        fs::write(&failures, "")?;
        let output = Command::new("bash")
            .args(["-uc", script])
            .current_dir(self.folder.path())
            .env("PATH", &self.path)
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.at("kubeconfig"))
            .env("CALLS", &calls)
            .env("FAILURES", &failures)
            .env("TRY", if done { "" } else { "--dry-run=server" })
            .stdin(Stdio::null())
            .output()
            .await
            .context("failed to start bash")?;
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        let failed = fs::read_to_string(&failures)?;
        // Other programs of a pipe may well say no, such as a grep that finds nothing; one that is not there may not.
        let is_known =
            !["command not found", "unbound variable", "syntax error"].iter().any(|word| said.contains(word));
        ensure!(failed.is_empty() && is_known, "{script}\n{failed}{said}");
        Ok(fs::read_to_string(&calls)?.lines().count())
    }
}

/// Puts a program before the real one that only tries what writes, and notes calls and failures.
fn write_program(path: &Path, program: &str, writes: &str) -> Result<()> {
    let script = format!(
        "#!/bin/bash\necho \"$0 $*\" >> \"$CALLS\"\ncase $1 in\n  {writes}) '{program}' \"$@\" $TRY ;;\n  *) '{program}' \"$@\" ;;\nesac\n\
         code=$?\n[ $code = 0 ] || echo \"$0 $*: $code\" >> \"$FAILURES\"\nexit $code\n"
    );
    fs::write(path, script)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The commands of a page, a script a block: `sh` blocks as they are, and of `console` blocks what is typed.
fn scripts(page: &str) -> Vec<String> {
    let mut scripts = pages::blocks(page, "sh");
    for dialogue in pages::blocks(page, "console") {
        let typed: String =
            dialogue.lines().filter_map(|line| line.strip_prefix("$ ")).map(|line| format!("{line}\n")).collect();
        scripts.push(typed);
    }
    scripts
}

/// A script without the commands that are left out, which are noted by their places in [`LEFT_OUT`]. A loop is one command.
fn without_left_out(page: &str, script: &str, used: &mut [bool]) -> String {
    let mut is_left_out = |text: &str| {
        let at = LEFT_OUT.iter().position(|(of, part, _)| *of == page && text.contains(part));
        if let Some(at) = at {
            used[at] = true;
        }
        at.is_some()
    };
    if script.starts_with("for ") {
        return if is_left_out(script) { String::new() } else { script.to_owned() };
    }
    let joined = script.replace("\\\n", " ");
    joined.lines().filter(|line| !is_left_out(line)).map(|line| format!("{line}\n")).collect()
}

/// Names of examples, in place of which stand those of here.
fn with_names_of_here(script: &str, revision: &str) -> String {
    script.replace("4fdb9fe9ce", revision)
}

async fn check_scripts(desk: &Desk, revision: &str) -> Result<()> {
    let mut used = vec![false; LEFT_OUT.len()];
    let mut calls = 0;
    let mut wrong = Vec::new();
    let mut all = pages::all()?;
    // The tutorial at the end, since it does what it says.
    all.sort_by_key(|page| page.path == TUTORIAL);
    for page in all {
        for script in scripts(&page.text) {
            let script = with_names_of_here(&without_left_out(&page.path, &script, &mut used), revision);
            if script.trim().is_empty() {
                continue;
            }
            match desk.run(&script, page.path == TUTORIAL).await {
                Ok(0) => {
                    wrong.push(format!("{}: calls neither kubectl nor helm; say in LEFT_OUT why:\n{script}", page.path))
                }
                Ok(more) => calls += more,
                Err(error) => wrong.push(format!("{}: {error:#}", page.path)),
            }
        }
    }
    let stale: Vec<_> = LEFT_OUT.iter().zip(used).filter(|(_, used)| !used).map(|(entry, _)| entry).collect();
    ensure!(stale.is_empty(), "no page has {stale:?}");
    ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    println!("{calls} commands of pages were run");
    ensure!(calls > 40, "only {calls} commands");
    Ok(())
}

/// Whole manifests; what is nothing but a spec is for the tests of the definition.
async fn check_manifests(world: &World) -> Result<()> {
    let mut foreign = Vec::new();
    let mut seen = 0;
    for page in pages::all()? {
        for block in pages::blocks(&page.text, "yaml") {
            for document in serde_yaml_ng::Deserializer::from_str(&block) {
                let document = Value::deserialize(document)?;
                let Some(kind) = document["kind"].as_str() else { continue };
                if FOREIGN.contains(&kind) {
                    foreign.push(kind.to_owned());
                    continue;
                }
                let mut args = vec!["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
                if document["metadata"]["namespace"].is_null() {
                    args.extend(["--namespace", NAMESPACE]);
                }
                let printed = world.kubectl_any(&args, Some(&document.to_string())).await?;
                ensure!(printed.success, "{}: {}{}\n{document:#}", page.path, printed.out, printed.err);
                seen += 1;
            }
        }
    }
    let stale: Vec<_> = FOREIGN.iter().filter(|kind| !foreign.iter().any(|seen| seen == *kind)).collect();
    ensure!(stale.is_empty(), "no page has one of {stale:?}");
    ensure!(seen > 5, "only {seen} manifests");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn what_pages_have_people_type_works() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, NAMESPACE).await?;
    let cluster = ChatCluster::apply(&world, &namespace.name, &manifest::quickstart()?).await?;
    cluster.kubectl_wait("Ready", READY_LIMIT).await?;
    cluster.wait_condition("ShardsBalanced", "True", SETTLE_LIMIT).await?;
    check_manifests(&world).await?;

    let object = cluster.get().await?;
    let revision = object.data["status"]["revision"].as_str().context("no revision")?;
    let desk = Desk::set_up(&world).await?;
    // Where Argo CD has its settings.
    let argo_cd = Namespace::fresh(&world, "argocd").await?;
    world.kubectl(&["create", "configmap", "argocd-cm", "--namespace", "argocd"]).await?;
    for wrong in ["kubectl get nothings | true", "nothing-of-this-name; kubectl version --client"] {
        ensure!(desk.run(wrong, false).await.is_err(), "{wrong} went unnoticed");
    }
    let before = cluster.pods(Part::Gateway).await?;
    check_scripts(&desk, revision).await?;
    argo_cd.discard().await?;
    // The tutorial killed the gateways.
    let after = cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    let same = after.iter().filter(|pod| before.iter().any(|old| old.metadata.uid == pod.metadata.uid)).count();
    ensure!(same == 0, "{same} gateways outlived the tutorial");
    cluster.kubectl_wait("Ready", SETTLE_LIMIT).await?;
    ensure!(OPERATOR_NAMESPACE == "chat-system", "pages say chat-system");
    tokio::time::timeout(Duration::from_secs(60), namespace.discard()).await?
}
