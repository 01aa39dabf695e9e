//! Start and end of the process: health port first, then the CRD, then the Lease, then work.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use kube::{Client, Config};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, Readiness},
    admitted::Admitted,
    adoption,
    args::Args,
    backoff::Backoff,
    cache::Cache,
    client,
    context::Context,
    controller::{self, Settings},
    crd,
    echoes::Echoes,
    engines::Registry,
    events::Announcer,
    extension::{self, ExtensionError, Leading},
    lease::Candidate,
    metrics::Metrics,
    poll::Poller,
    rebalance::Memory,
    reconcile::Environment,
};

/// Pause between two looks for the CRD.
const CRD_RETRY: Duration = Duration::from_secs(3);
/// Longest wait for open connections of the admin port at the end.
const CLOSE: Duration = Duration::from_secs(1);
/// Clusters with news that wait for the controller; more are seen in the next round of polling.
const NEWS: usize = 1_024;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When the process cannot start, or when the Lease is lost: it must end then, because another replica works.
pub async fn run(args: Args) -> anyhow::Result<()> {
    // Two providers can come into the tree through dependencies; the choice must not depend on them. A second call
    // (tests in one process) is refused, and the first choice stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stop = stop_on_signal()?;
    let metrics = Arc::new(Metrics::new().context("failed to register metrics")?);
    let readiness = Readiness::blocked("starting");
    // Served to the very end: the last passes after SIGTERM are still seen by whoever asks.
    let close = CancellationToken::new();
    let admin = admin::serve(args.listen, readiness.clone(), Arc::clone(&metrics), close.clone());
    let mut admin = tokio::spawn(admin);
    let config = Config::infer().await.context("failed to find out how to reach the API server")?;
    let client = client::client(config).context("failed to find out how to reach the API server")?;
    let leading = Leading::default();
    let mut extension = tokio::spawn(extend(args.clone(), client.clone(), Arc::clone(&leading), close.clone()));
    let worked = tokio::select! {
        worked = work(args, client, metrics, readiness, leading, stop) => worked,
        ended = &mut extension => {
            return ended.context("the metrics APIs' task failed")?.context("the metrics APIs failed");
        }
        // Not closed yet, so it ended because it failed.
        ended = &mut admin => return ended.context("the admin port's task failed")?.context("the admin port failed"),
    };
    close.cancel();
    // Connections that are kept open must not keep the process.
    let _ = tokio::time::timeout(CLOSE, admin).await;
    worked
}

/// Serves the metrics APIs, if it is to, until `close`.
async fn extend(args: Args, client: Client, leading: Leading, close: CancellationToken) -> Result<(), ExtensionError> {
    let Some(listen) = args.metrics_api_listen else {
        close.cancelled().await;
        return Ok(());
    };
    let Args { metrics_api_certificates: certificates, pod_namespace: namespace, pod_name: pod, .. } = args;
    extension::serve(extension::Settings { listen, certificates, namespace, pod }, client, leading, close).await
}

async fn work(
    args: Args,
    client: Client,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    leading: Leading,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let candidate = Candidate::new(client.clone(), &args.pod_namespace, &args.lease_name, &args.pod_name);
    let lead = async {
        wait_for_crd(&client, &readiness).await;
        // A replica that stands by is ready: it could take over at once.
        readiness.ready();
        candidate.acquire().await
    };
    let held = tokio::select! {
        () = stop.cancelled() => return Ok(()),
        held = lead => held,
    };
    metrics.leader.set(1);
    tracing::info!(lease = args.lease_name, "leading");
    let identity = adoption::identity(&args.images).context("failed to read the operator's own program")?;
    let (context, settings, news) = assemble(args, identity, client, Arc::clone(&metrics));
    // It leads once, so this cannot have been set before.
    let _ = leading.set(Arc::clone(&context.poller));
    metrics.tell_of(&context.poller).context("failed to register the metrics of ChatClusters")?;
    let result =
        candidate.lead(held, Box::pin(controller::run(context, settings, news, stop))).await.map_err(Into::into);
    metrics.leader.set(0);
    if result.is_ok() {
        candidate.release().await.context("failed to give the lease back; it runs out by itself")?;
        tracing::info!("stopped");
    }
    result
}

fn assemble(
    args: Args,
    identity: String,
    client: Client,
    metrics: Arc<Metrics>,
) -> (Context, Settings, mpsc::Receiver<crate::names::ClusterKey>) {
    let (changed, news) = mpsc::channel(NEWS);
    let settings = Settings { scope: args.scope(), concurrency: args.concurrency };
    let context = Context {
        environment: Arc::new(Environment {
            images: args.images,
            operator_namespace: args.pod_namespace,
            monitoring: args.monitoring_namespace_labels,
            identity,
        }),
        cache: Arc::new(Cache::default()),
        poller: Arc::new(Poller::new(changed, Arc::clone(&metrics))),
        memory: Arc::new(Memory::default()),
        engines: Arc::new(Registry::default()),
        backoff: Arc::new(Backoff::default()),
        admitted: Arc::new(Admitted::default()),
        echoes: Arc::new(Echoes::default()),
        announcer: Arc::new(Announcer::new(client.clone(), &args.pod_name, Arc::clone(&metrics))),
        client,
        metrics,
    };
    (context, settings, news)
}

/// Waits until the API server serves a ChatCluster that has all fields. Ending instead would only turn a clear reason
/// on /readyz into a crash loop.
async fn wait_for_crd(client: &Client, readiness: &Readiness) {
    while let Err(error) = crd::check(client).await {
        let reason = error.to_string();
        if readiness.blocker().as_deref() != Some(&reason) {
            tracing::warn!(reason, "cannot work yet");
            readiness.block(reason);
        }
        tokio::time::sleep(CRD_RETRY).await;
    }
}

fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        cancelled.cancel();
    });
    Ok(stop)
}
