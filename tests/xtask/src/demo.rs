//! `cargo xtask demo`: from nothing to two browser tabs that chat.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use localkube::{Binaries, Cluster};

use crate::{backends::Build, cluster, install, paths, shell};

const NAME: &str = "demo";
const INDEX: u8 = 0;
const MANIFEST: &str = "docs/examples/quickstart.yaml";
const PATIENCE: Duration = Duration::from_secs(300);

/// Everything from nothing, or with --down nothing again.
#[derive(Debug, Default, Args)]
pub(crate) struct Demo {
    /// Removes the demo's Kubernetes and everything in it.
    #[arg(long)]
    down: bool,
    /// Ends once the addresses answer and a page was fetched from each, instead of serving until Ctrl-C.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    build: Build,
}

impl Demo {
    /// All of it, to the answers of both addresses, and nothing again.
    pub(crate) fn there_and_back() -> Result<()> {
        let (up, down) = (Self { once: true, ..Self::default() }, Self { down: true, ..Self::default() });
        let outcome = up.run();
        outcome.and(down.run())
    }

    pub(crate) fn run(self) -> Result<()> {
        if self.down {
            return Ok(cluster::open(NAME, INDEX)?.down()?);
        }
        let started = Instant::now();
        println!("== 1/4 a real Kubernetes on this machine");
        let kube = cluster::up(NAME, INDEX)?;
        println!("== 2/4 images and operator");
        install::install(&kube, self.build, &[], false)?;
        println!("== 3/4 the example: {MANIFEST}");
        shell::run(kubectl(&kube, &["apply", "-f", &paths::root().join(MANIFEST).display().to_string()])?)?;
        renew_gateways(&kube)?;
        wait_ready(&kube)?;
        println!(
            "== 4/4 two addresses, each served by a gateway pod of its own (ready after {} s)",
            started.elapsed().as_secs()
        );
        let forwards = forward(&kube)?;
        println!("\n  Open both, make an account in each, and chat:\n");
        for forward in &forwards {
            println!("    {}    {}", forward.url, forward.pod);
        }
        let service = service(&kube)?;
        println!(
            "\n  One more leads to whichever gateway is there, and outlives them (this machine has a route to it):\n"
        );
        println!("    {service}    Service demo-gateway");
        let kubectl = Binaries::build(&|line| println!("{line}"))?.kubectl;
        println!("\n  kubectl: export KUBECONFIG={}", kube.kubeconfig().display());
        println!("           (if you have none: {})", kubectl.display());
        println!("  stop the demo's Kubernetes: cargo xtask demo --down\n");
        if self.once {
            return forwards.iter().map(|forward| forward.url.as_str()).chain([service.as_str()]).try_for_each(check);
        }
        println!("  Ctrl-C ends the two addresses; the Kubernetes keeps running.");
        for mut forward in forwards {
            forward.process.wait()?;
        }
        Ok(())
    }
}

fn kubectl(kube: &Cluster, args: &[&str]) -> Result<Command> {
    let mut command = kube.kubectl(args)?;
    command.stdin(Stdio::null());
    Ok(command)
}

/// A rebuilt image keeps its tag, so the gateways of an earlier demo are replaced by hand; whoever is connected moves over.
fn renew_gateways(kube: &Cluster) -> Result<()> {
    const GATEWAYS: &str = "--selector=chatcluster.dev/cluster=demo,app.kubernetes.io/component=gateway";
    let found = shell::output(kubectl(kube, &["get", "deployments", GATEWAYS, "-o", "name"])?)?;
    if found.trim().is_empty() {
        return Ok(());
    }
    shell::run(kubectl(kube, &["rollout", "restart", "deployment", GATEWAYS])?)?;
    shell::run(kubectl(kube, &["rollout", "status", "deployment", GATEWAYS, "--timeout=180s"])?)
}

/// Waits for Ready and shows what is still missing meanwhile.
fn wait_ready(kube: &Cluster) -> Result<()> {
    const LINE: &str = "jsonpath={range .status.conditions[?(@.status!=\"True\")]}{.type}={.reason} {end}";
    let until = Instant::now() + PATIENCE;
    let mut before = String::new();
    loop {
        let ready = kubectl(kube, &["wait", "chatcluster/demo", "--for=condition=Ready", "--timeout=2s"])?
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if ready.success() {
            return shell::run(kubectl(kube, &["get", "chatcluster/demo"])?);
        }
        let now = shell::output(kubectl(kube, &["get", "chatcluster/demo", "-o", LINE])?)?;
        if now != before && !now.is_empty() {
            println!("   waiting: {now}");
            before = now;
        }
        if Instant::now() > until {
            bail!(
                "the example did not become Ready within {} s; look with: kubectl describe chatcluster/demo",
                PATIENCE.as_secs()
            );
        }
    }
}

/// A `kubectl port-forward` to one pod; ended with its owner.
struct Forward {
    pod: String,
    url: String,
    process: Child,
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Fetches the page from an address.
fn check(url: &str) -> Result<()> {
    use std::io::{Read as _, Write as _};
    let address = url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address)?;
    write!(stream, "GET / HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.0 200") && !answer.starts_with("HTTP/1.1 200") {
        bail!("{url} answers: {}", answer.lines().next().unwrap_or_default());
    }
    println!("  {url} answers");
    Ok(())
}

/// The address of the Service before the gateways, which this machine reaches.
fn service(kube: &Cluster) -> Result<String> {
    const ADDRESS: &str = "jsonpath=http://{.spec.clusterIP}:{.spec.ports[0].port}";
    let args = ["get", "service", "demo-gateway", "-o", ADDRESS];
    Ok(shell::output(kubectl(kube, &args)?)?.trim().to_owned())
}

fn forward(kube: &Cluster) -> Result<Vec<Forward>> {
    const SELECTOR: &str = "app.kubernetes.io/instance=demo,app.kubernetes.io/component=gateway";
    let pods = shell::output(kubectl(
        kube,
        &[
            "get",
            "pods",
            "-l",
            SELECTOR,
            "--field-selector=status.phase=Running",
            "-o",
            "jsonpath={.items[*].metadata.name}",
        ],
    )?)?;
    let pods: Vec<&str> = pods.split_whitespace().take(2).collect();
    if pods.len() < 2 {
        bail!("the example runs {} gateway pods, two are needed", pods.len());
    }
    pods.into_iter().map(|pod| forward_one(kube, pod)).collect()
}

fn forward_one(kube: &Cluster, pod: &str) -> Result<Forward> {
    let mut process =
        kubectl(kube, &["port-forward", &format!("pod/{pod}"), ":8080"])?.stdout(Stdio::piped()).spawn()?;
    let mut printed = BufReader::new(process.stdout.take().context("port-forward's output is not piped")?);
    let mut line = String::new();
    printed.read_line(&mut line)?;
    // It prints a line for each connection, and ends when nobody reads them.
    std::thread::spawn(move || std::io::copy(&mut printed, &mut std::io::sink()));
    let port = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("127.0.0.1:"))
        .with_context(|| format!("kubectl port-forward said: {line}"))?;
    Ok(Forward { pod: pod.into(), url: format!("http://127.0.0.1:{port}"), process })
}
