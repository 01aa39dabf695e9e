//! The steps of `cargo xtask test`, in order: cheap and telling first.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use localkube::{Binaries, Cluster, Keda, Manager, Prerequisites, gateway_api};

use crate::{
    alerts,
    backends::{self, Build},
    baseline,
    bench::Instructions,
    charts, cluster, codegen,
    demo::Demo,
    deny, diagnosis, docs, evolution, http_api, install, kafka, packages, paths, rbac, rfc6455, shell,
    summary::Counts,
};

/// The test programs that take longest, in rows that run side by side and beside all others, as long as one another. They wait for servers half of the
/// time, and more rows than these would have servers miss their deadlines on a small machine.
const LONGEST: &[&[&str]] = &[
    &["broker_outages", "store_conformance", "rotation_services", "oidc_tokens"],
    &["broker_conformance", "services", "presence_services", "simulation", "traces", "redis_services"],
    &["kafka_services", "hardening", "sessions_services", "mixed_versions", "broker_certificates"],
];

/// One of these has a test that takes ten minutes and is calm: it runs beside the rows, and is left out of its own.
const CALM: &[&str] = &["rotation_services"];
const CALM_TEST: &str = "credentials_rotate_every_minute";

/// Namespaces of the end-to-end tests with an operator of their own.
const OTHERS: &[&str] = &["e2e-apart", "e2e-upgrades"];

/// What the API server has the operator answer.
const METRICS_APIS: &[&str] = &["v1beta2.custom.metrics.k8s.io", "v1alpha1.metrics.chatcluster.dev"];

/// Tests of one of these programs that run at once, however few processors there are: as many as `broker_outages` has brokers.
const WAITING: u8 = 5;

/// The test programs that only the long form runs.
const LONG_ONLY: &[&str] = &["kafka_cluster"];

/// What all steps of one run share.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Whether the tests run in their long forms.
    pub(crate) long: bool,
    /// What end-to-end tests run, and on which cluster.
    pub(crate) e2e: E2e,
    /// What the test runners reported so far.
    pub(crate) counts: Counts,
}

/// What end-to-end tests run, and on which cluster.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct E2e {
    /// Runs only the end-to-end tests whose names contain this; of those in the modules `few` and `alone` only with `few::` or `alone::` in front.
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// Name of the cluster that end-to-end tests run on, beside a demo's.
    #[arg(long, value_name = "NAME", default_value = "test")]
    cluster: String,
    /// Number of that cluster, as of `cargo xtask cluster`.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    index: u8,
    /// Writes what the operator asked the API server for into this file, as JSON.
    #[arg(long, value_name = "FILE")]
    rbac_json: Option<PathBuf>,
}

impl Run {
    /// Lets the tests know whether the long forms are wanted.
    fn tell_form(&self, command: &mut Command) {
        if self.long {
            command.env("CHATCLUSTER_LONG", "1");
        }
    }
}

/// One step.
pub(crate) struct Step {
    /// Name, for `--only` and `--skip`.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) what: &'static str,
    /// Does it.
    pub(crate) run: fn(&mut Run) -> Result<()>,
    /// An earlier step that it runs beside when both are chosen: that one waits for servers most of the time.
    pub(crate) beside: Option<&'static str>,
}

impl Step {
    const fn new(name: &'static str, what: &'static str, run: fn(&mut Run) -> Result<()>) -> Self {
        Self { name, what, run, beside: None }
    }

    const fn beside(self, host: &'static str) -> Self {
        Self { beside: Some(host), ..self }
    }
}

/// All steps.
pub(crate) const ALL: &[Step] = &[
    Step::new("fmt", "the code is formatted", |_| shell::run(shell::cargo(&["fmt", "--all", "--check"]))),
    Step::new("docs", "links of the documentation lead somewhere; its book has every page and is built", |_| {
        docs::run()
    }),
    Step::new("codegen", "generated files are up to date", |_| codegen::run(true)),
    Step::new("deny", "licences, sources, no second TLS stack", |_| deny::run()),
    Step::new("compile", "everything compiles, tests and all, and the parts of the local Kubernetes", |_| {
        compile()?;
        // Here, and not where they are needed: minutes of compilers beside the tests would make servers miss their deadlines.
        baseline::ensure()?;
        Prerequisites::ensure()?;
        Binaries::build(&|line| println!("{line}"))?;
        localkube::promtool(&|line| println!("{line}"))?;
        Manager::ALL.iter().try_for_each(|manager| manager.build(&|line| println!("{line}")).map(drop))?;
        Ok(())
    }),
    Step::new("clippy", "no lint complains", |_| clippy()),
    Step::new("unit", "units, properties, and conformance on real servers", unit),
    Step::new("instructions", "the hot path takes no more instructions than its budget", |_| {
        Instructions::default().run()
    }),
    Step::new("rfc6455", "the transport keeps to RFC 6455", |run| {
        packages::ensure()?;
        rfc6455::run(&mut run.counts)
    }),
    Step::new("http-api", "the protocol's documents are valid, and HTTP keeps to its own", http_api),
    Step::new("web", "the page's client", web),
    Step::new("charts", "both charts lint and render, and have what alerts rely on", |_| charts::run()),
    Step::new("alerts", "alerts say yes and no where they should", |_| alerts::run()),
    Step::new("evolution", "the definitions keep what users have valid", |_| evolution::run()),
    Step::new("images", "the images are reproducible and their servers run", images).beside("unit"),
    Step::new("localkube", "the local Kubernetes works and leaves nothing behind", local_kubernetes).beside("rfc6455"),
    Step::new("e2e", "a ChatCluster on the real Kubernetes", e2e),
    Step::new("demo", "the demo comes up, answers and goes", demo),
];

fn compile() -> Result<()> {
    shell::run(shell::cargo(&["test", "--workspace", "--locked", "--no-run", "--quiet"]))
}

/// In a cargo profile, and so a folder, of its own: no other step waits for its lock on the folder.
fn clippy() -> Result<()> {
    shell::run(shell::cargo(&[
        "clippy",
        "--profile",
        "lint",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
        "--",
        "--deny",
        "warnings",
    ]))
}

/// Runs a test runner, adds up what it reports, and lets the tests know whether the long forms are wanted.
fn tests(run: &mut Run, mut command: Command) -> Result<()> {
    run.tell_form(&mut command);
    shell::run_watched(command, |line| run.counts.line(line))
}

/// The tests that plain `cargo test` leaves out, of the named test programs, `threads` at a time. All of the workspace is named, because cargo chooses
/// the features of dependencies by the packages it is asked for: with another choice it would compile most of them again.
fn ignored_tests(programs: &[&str], threads: u8) -> Command {
    let mut command = shell::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    for program in programs {
        command.args(["--test", program]);
    }
    command.args(["--", "--ignored", &format!("--test-threads={threads}"), "--nocapture"]);
    command
}

/// Leaves out the tests whose names say that only the long form runs them.
fn leave_out_long(run: &Run, command: &mut Command) {
    if !run.long {
        println!("left out: tests named long_, which `--long` runs");
        command.args(["--skip", "long_"]);
    }
}

fn unit(run: &mut Run) -> Result<()> {
    packages::ensure_sdks()?;
    packages::ensure_for_networks()?;
    kafka::ensure()?;
    backends::servers()?;
    compile()?;
    baseline::ensure()?;
    if !run.long {
        println!("left out: {LONG_ONLY:?}, which `--long` runs");
    }
    let mut rows: Vec<(&[&str], [&str; 2])> = LONGEST.iter().map(|row| (*row, ["--skip", CALM_TEST])).collect();
    rows.push((CALM, [CALM_TEST, "--nocapture"]));
    rows.extend(run.long.then_some((LONG_ONLY, ["--skip", CALM_TEST])));
    let mut beside = Vec::new();
    for (row, which) in rows {
        let mut programs = shell::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
        for program in row {
            programs.args(["--test", program]);
        }
        programs.args(["--", &format!("--test-threads={WAITING}")]).args(which);
        run.tell_form(&mut programs);
        beside.push(std::thread::spawn(move || shell::captured(programs)));
    }
    // The others run beside them, named one by one, since cargo has no way to leave a program out.
    let mut others = shell::cargo(&["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins"]);
    let apart: Vec<&str> = apart().collect();
    for program in test_programs()?.iter().filter(|program| !apart.contains(&program.as_str())) {
        others.args(["--test", program]);
    }
    let mut outcome = tests(run, others);
    outcome = outcome.and(tests(run, shell::cargo(&["test", "--workspace", "--locked", "--doc", "--quiet"])));
    // What those beside printed follows.
    for row in beside {
        let (printed, ended) = row.join().map_err(|_| anyhow::anyhow!("a thread of {LONGEST:?} panicked"))??;
        run.counts.pass_on(&printed);
        outcome = outcome.and(ended);
    }
    outcome
}

/// The test programs that do not run with all the others.
fn apart() -> impl Iterator<Item = &'static str> {
    LONGEST.iter().copied().flatten().chain(LONG_ONLY).copied()
}

/// Names of all programs under `tests/` of the workspace's packages.
fn test_programs() -> Result<Vec<String>> {
    let metadata = shell::output(shell::cargo(&["metadata", "--no-deps", "--format-version", "1", "--locked"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let targets = metadata["packages"].as_array().into_iter().flatten();
    let targets = targets.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let programs = targets.filter(|target| target["kind"] == serde_json::json!(["test"]));
    let mut names: Vec<String> = programs.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    for known in apart() {
        anyhow::ensure!(names.iter().any(|name| name == known), "no test program {known}: {names:?}");
    }
    Ok(names)
}

fn http_api(run: &mut Run) -> Result<()> {
    let mut command = ignored_tests(&["http_api"], 1);
    http_api::equip(&mut command)?;
    tests(run, command)
}

fn web(run: &mut Run) -> Result<()> {
    codegen::npm_ci()?;
    let mut command = shell::command("npm", &["test", "--silent"]);
    command.current_dir(paths::root().join("gateway/web"));
    tests(run, command)
}

fn images(run: &mut Run) -> Result<()> {
    backends::print(&backends::images(Build::default(), false)?);
    let mut command = ignored_tests(&["roots"], 1);
    leave_out_long(run, &mut command);
    tests(run, command)
}

fn local_kubernetes(run: &mut Run) -> Result<()> {
    Prerequisites::ensure()?;
    // One looks at everything that the machine has, so nothing else may come and go; the others are about clusters of other names.
    const FOOTPRINT: &str = "down_leaves_nothing_behind";
    let mut footprint = ignored_tests(&["lifecycle"], 1);
    footprint.arg(FOOTPRINT);
    let first = tests(run, footprint);
    let mut lifecycle = ignored_tests(&["lifecycle"], 1);
    lifecycle.args(["--skip", FOOTPRINT]);
    let lifecycle = std::thread::spawn(move || shell::captured(lifecycle));
    let outcome = first.and(tests(run, ignored_tests(&["works"], 1)));
    let (printed, ended) = lifecycle.join().map_err(|_| anyhow::anyhow!("the thread of the lifecycle panicked"))??;
    run.counts.pass_on(&printed);
    outcome.and(ended)
}

/// Brings up the test cluster, runs every end-to-end test on it, and takes it down whatever they said.
fn e2e(run: &mut Run) -> Result<()> {
    packages::ensure()?;
    kafka::ensure()?;
    codegen::npm_ci()?;
    let E2e { filter, cluster, index, rbac_json } = run.e2e.clone();
    let kube = cluster::up(&cluster, index)?;
    let helm = Binaries::build(&|line| println!("{line}"))?.helm;
    let outcome = install::install(&kube, Build::default(), OTHERS, true).and_then(|()| {
        // While an API is registered whose server is away, no namespace goes. Tests that need one register it again; others take the operator away.
        shell::run(kube.kubectl([&["delete", "apiservice"], METRICS_APIS].concat())?)?;
        kube.load_image(&backends::broken_gateways()?.tar)?;
        let gateway_api = gateway_api()?;
        let managers = managers(&kube)?;
        let keda = if run.long { keda(&kube)? } else { PathBuf::new() };
        // Most of these tests wait most of the time, so several go at once; those of `few` promise times and wait for each other's turns, and those
        // of `alone` need the machine for themselves.
        let kubectl = Binaries::build(&|line| println!("{line}"))?.kubectl;
        let path = with_plugin()?;
        let before = run.counts.ran();
        let mut outcome = Ok(());
        let all: &[(u8, &[&str])] =
            &[(6, &["--skip", "few::", "--skip", "alone::"]), (6, &["few::"]), (1, &["alone::"])];
        // The runner takes several names for "any of them", so a filter stands in the place of a module, and begins with it where it is meant.
        let chosen: &[(u8, &[&str])] = match &filter {
            None => all,
            Some(name) if name.starts_with("few::") || name.starts_with("alone::") => &[(1, &[])],
            Some(_) => &all[..1],
        };
        for &(threads, choice) in chosen {
            let mut command = ignored_tests(&["e2e"], threads);
            command
                .args(choice)
                .args(&filter)
                .env("CHATCLUSTER_KUBECONFIG", kube.kubeconfig())
                .env("CHATCLUSTER_LOCAL", format!("{cluster} {index}"))
                .env("CHATCLUSTER_HELM", &helm)
                .env("CHATCLUSTER_KUBECTL", &kubectl)
                .env("CHATCLUSTER_KEDA", &keda)
                .env("CHATCLUSTER_CLOUD_NATIVE_PG", &managers[0])
                .env("CHATCLUSTER_RABBITMQ_OPERATOR", &managers[1])
                .env("CHATCLUSTER_GATEWAY_API", &gateway_api)
                .env("PATH", &path)
                .env("CHATCLUSTER_ARTIFACTS", paths::artifacts());
            leave_out_long(run, &mut command);
            outcome = outcome.and(tests(run, command));
        }
        outcome?;
        ensure!(run.counts.ran() != before, "no end-to-end test has {filter:?} in its name");
        Ok(())
    });
    let extent = if filter.is_none() && outcome.is_ok() { rbac::Extent::Whole } else { rbac::Extent::Part };
    // A failed test goes first: the operator's rights may be why, and are told of all the same.
    let rights = rbac::check(&kube, OTHERS, extent, rbac_json.as_deref());
    let outcome = match (outcome, rights) {
        (Err(tests), Err(rights)) => Err(tests.context(format!("{rights:#}"))),
        (tests, rights) => tests.and(rights),
    };
    if outcome.is_err() {
        diagnosis::write(&kube);
    }
    if std::env::var_os("CHATCLUSTER_KEEP").is_some() {
        println!("kept, as CHATCLUSTER_KEEP asks: export KUBECONFIG={}", kube.kubeconfig().display());
    } else {
        kube.down()?;
    }
    outcome
}

/// Loads KEDA's images; returns the folder with its manifests.
fn keda(kube: &Cluster) -> Result<PathBuf> {
    let keda = Keda::build(&|line| println!("{line}"))?;
    keda.images.iter().try_for_each(|image| kube.load_image(image))?;
    Ok(keda.manifests)
}

/// Loads the images of operators that run engines, and of what they run; returns the folders with their manifests.
fn managers(kube: &Cluster) -> Result<[PathBuf; 2]> {
    let load = |manager: Manager| -> Result<PathBuf> {
        let built = manager.build(&|line| println!("{line}"))?;
        kube.load_image(&built.image)?;
        Ok(built.manifests)
    };
    kube.load_image(&backends::rabbitmq_for_operator()?.tar)?;
    Ok([load(Manager::CloudNativePg)?, load(Manager::RabbitMq)?])
}

/// Builds `kubectl chat`, and returns a search path on which kubectl finds it.
fn with_plugin() -> Result<std::ffi::OsString> {
    // Of the whole workspace, so that its dependencies are the ones that are compiled already.
    let mut build = shell::cargo(&["build", "--workspace", "--locked", "--bin", "kubectl-chat"]);
    images::programs::like_tests(&mut build);
    shell::run(build)?;
    // Beside this program, which was built in the same way.
    let own = std::env::current_exe()?;
    let built = own.parent().context("this program lies nowhere")?.to_owned();
    let before = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(std::iter::once(built).chain(std::env::split_paths(&before)))?)
}

fn demo(run: &mut Run) -> Result<()> {
    if run.long {
        return Demo::there_and_back();
    }
    println!("left out: the end-to-end tests show the same; `--long` runs it");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn guests_come_after_their_hosts() {
        for (at, step) in ALL.iter().enumerate() {
            let Some(host) = step.beside else { continue };
            assert!(
                ALL[..at].iter().any(|before| before.name == host),
                "{} would never be started beside {host}",
                step.name
            );
        }
    }
}
