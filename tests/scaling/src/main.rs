//! The operator before gateways that are only played, measured beside Kubernetes' HorizontalPodAutoscaler with the same load at the same time.
//! `cargo xtask bench scaling` builds and starts everything and calls this; docs/reference/benchmarks.md explains scenarios and figures.

mod drive;
mod footprint;
mod gateway;
mod kubelet;
mod metrics_api;
mod model;
mod objects;
mod operator;
mod plot;
mod record;
mod report;
mod scenario;
mod world;

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::Parser;
use futures::future::try_join_all;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use self::{
    drive::{Contender, Run},
    footprint::Footprint,
    kubelet::Kubelet,
    model::Balance,
    objects::Bounds,
    operator::Operator,
    record::{Figures, Sample, figures},
    report::Row,
    scenario::{Fault, Scenario},
    world::World,
};

/// Measures the operator beside a HorizontalPodAutoscaler.
#[derive(Debug, Parser)]
#[command(name = "scaling")]
struct Args {
    /// Measure only these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Shorter scenarios and fewer ChatClusters.
    #[arg(long)]
    quick: bool,
    /// Seconds between a pod that was made and its gateway being ready.
    #[arg(long, default_value_t = 10)]
    pod_start: u32,
    /// Send people to any gateway, instead of to the one with the fewest connections.
    #[arg(long)]
    random: bool,
    /// ChatClusters of the footprint, instead of 1,000, or 100 with --quick.
    #[arg(long)]
    clusters: Option<u32>,
    /// Write figures and every second to this file as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Draw every scenario into this folder.
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
    /// Folder for the operator's log.
    #[arg(long, env = "CHATCLUSTER_SCALING_LOGS")]
    logs: PathBuf,
    /// The operator's program.
    #[arg(long, env = "CHATCLUSTER_SCALING_OPERATOR")]
    operator: PathBuf,
    /// How to reach the control plane.
    #[arg(long, env = "KUBECONFIG")]
    kubeconfig: PathBuf,
    /// This machine's address as the API server sees it.
    #[arg(long, env = "CHATCLUSTER_SCALING_HOST")]
    host: Ipv4Addr,
}

/// What both contenders work with. The windows are a fifteenth of their defaults, 1,800 and 300 seconds, as the sine is one of an hour.
const BOUNDS: Bounds = Bounds { capacity: 10_000, target: 70, least: 2, most: 30, windows: (120, 20) };

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(&Args::parse()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    // A second call is refused; the provider of the first one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Every gateway listens.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    let client = connect(&args.kubeconfig).await?;
    let world = Arc::new(World::default());
    let [_, _, network, _] = args.host.octets();
    tokio::spawn(Arc::new(Kubelet::new(client.clone(), Arc::clone(&world), 64 + network)).run());
    metrics_api::start(&client, args.host, Arc::clone(&world)).await?;
    objects::apply(&client, &objects::namespace("chat-system")).await?;
    std::fs::create_dir_all(&args.logs)?;
    let log = args.logs.join("operator.log");

    let is_chosen = |scenario: &Scenario| args.only.is_empty() || args.only.contains(scenario);
    let chosen: Vec<Scenario> = Scenario::SIMULATED.into_iter().filter(is_chosen).collect();
    let (mut rows, mut seconds) = (Vec::new(), serde_json::Map::new());
    if !chosen.is_empty() {
        let mut operator = Operator::start(&args.operator, &args.kubeconfig, &log)?;
        operator.wait_until_it_leads().await?;
        let all = simulate(args, &client, &world, &chosen).await?;
        operator.stop().await?;
        for (scenario, both) in all {
            rows.extend(conclude(args, scenario, &both)?);
            let of = |contender| both.iter().find(|(who, _)| *who == contender).map(|(_, samples)| samples);
            let both = Contender::ALL.map(|contender| (contender.name().to_owned(), json!(of(contender))));
            seconds.insert(scenario.name().to_owned(), serde_json::Value::Object(both.into_iter().collect()));
        }
        // Told before the footprint, too, which may fail on a small machine.
        tell(args, &rows, &seconds)?;
    }
    if is_chosen(&Scenario::Footprint) {
        let clusters = args.clusters.unwrap_or(if args.quick { 100 } else { 1_000 });
        let (program, kubeconfig) = (args.operator.as_path(), args.kubeconfig.as_path());
        rows.extend(Footprint { client: &client, program, kubeconfig, log: &log, clusters }.measure().await?);
    }
    tell(args, &rows, &seconds)
}

/// Prints the table, and writes the file that was asked for.
fn tell(args: &Args, rows: &[Row], seconds: &serde_json::Map<String, serde_json::Value>) -> Result<()> {
    println!("\n{}", report::table(rows));
    match &args.json {
        Some(path) => report::write(path, &json!({ "quick": args.quick, "figures": rows, "seconds": seconds })),
        None => Ok(()),
    }
}

async fn connect(kubeconfig: &Path) -> Result<Client> {
    let read = Kubeconfig::read_from(kubeconfig).with_context(|| format!("failed to read {}", kubeconfig.display()))?;
    let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}

type Both = Vec<(Contender, Vec<Sample>)>;

/// Runs all scenarios on both contenders at the same time: they share nothing but the control plane, and wait most of the time.
async fn simulate(
    args: &Args,
    client: &Client,
    world: &Arc<World>,
    chosen: &[Scenario],
) -> Result<Vec<(Scenario, Both)>> {
    let began = Instant::now();
    let longest = chosen.iter().map(|scenario| scenario.course(args.quick).seconds).max().unwrap_or_default();
    println!("{} scenarios, two contenders: {} s", chosen.len(), drive::WARM_UP + longest);
    let runs = chosen.iter().flat_map(|scenario| Contender::ALL.map(|contender| (*scenario, contender)));
    let runs = runs.map(|(scenario, contender)| {
        let course = scenario.course(args.quick);
        let usual = if args.random { Balance::Random } else { Balance::Least };
        let run = Run {
            client: client.clone(),
            world: Arc::clone(world),
            scenario,
            contender,
            bounds: BOUNDS,
            start: Duration::from_secs(args.pod_start.into()),
            balance: course.balance.unwrap_or(usual),
        };
        async move { tokio::spawn(async move { run.go(course, began).await }).await? }
    });
    let all = try_join_all(runs).await?;
    let of = |scenario: Scenario| -> Both {
        let its = all.iter().filter(|(which, ..)| *which == scenario);
        its.map(|(_, contender, samples)| (*contender, samples.clone())).collect()
    };
    Ok(chosen.iter().map(|scenario| (*scenario, of(*scenario))).collect())
}

fn conclude(args: &Args, scenario: Scenario, both: &Both) -> Result<Vec<Row>> {
    let samples = |contender: Contender| {
        both.iter().find(|(who, _)| *who == contender).map_or(&[][..], |(_, samples)| samples.as_slice())
    };
    if let Some(folder) = &args.plots {
        std::fs::create_dir_all(folder)?;
        plot::draw(folder, scenario, &Contender::ALL.map(|contender| (contender, samples(contender))))?;
    }
    let course = scenario.course(args.quick);
    let at = |which: Fault| course.faults.iter().find(|(_, fault)| *fault == which).map(|(second, _)| *second);
    let blind = at(Fault::Stall).zip(at(Fault::Answer));
    let of = |contender: Contender| -> Figures { figures(samples(contender), course.short, blind) };
    Ok(report::rows(scenario, args.pod_start.into(), of))
}
