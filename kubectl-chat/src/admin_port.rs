//! The admin port of gateways, through the API server: it needs no way through their NetworkPolicy.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, anyhow, ensure};
use chat_crds::keys::label;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, body::Bytes, header};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};
use tokio::{task::JoinSet, time::timeout};

use crate::gateway::{Gateways, said};

const PORT: u16 = 8_081;
/// A gateway that needs longer is in trouble, and is shown without numbers.
const PATIENCE: Duration = Duration::from_secs(5);
/// Metrics of a thousand shards make some 200 KiB, and a thousand rooms as much.
const MAX_ANSWER: usize = 4 << 20;

/// The gateways of one ChatCluster.
pub(crate) async fn gateways(gateways: &Gateways, cluster: &str) -> Result<(Api<Pod>, Vec<Pod>)> {
    let pods: Api<Pod> = Api::namespaced(gateways.client.clone(), &gateways.namespace);
    let labels = format!("{}={cluster},{}={}", label::CLUSTER, label::COMPONENT, label::GATEWAY);
    let listed = pods.list(&ListParams::default().labels(&labels)).await.context("pods cannot be listed")?;
    Ok((pods, listed.items))
}

/// Asks all that run, at the same time. Who does not answer is told on stderr, and left out.
pub(crate) async fn ask_all<T, F>(
    pods: &Api<Pod>,
    all: &[Pod],
    ask: impl Fn(Api<Pod>, String) -> F,
) -> BTreeMap<String, T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut asked = JoinSet::new();
    for pod in all.iter().filter(|pod| phase(pod) == Some("Running")) {
        let (name, answer) = (pod.name_any(), ask(pods.clone(), pod.name_any()));
        asked.spawn(async move { (answer.await, name) });
    }
    let mut answers = BTreeMap::new();
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok((Ok(answer), name)) => drop(answers.insert(name, answer)),
            Ok((Err(error), name)) => eprintln!("{name} does not say what it carries: {error:#}"),
            Err(error) => eprintln!("a gateway was not asked: {error}"),
        }
    }
    answers
}

/// The phase of a pod.
pub(crate) fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

/// What the gateway answers under a path, with the token where one is needed.
pub(crate) async fn get(pods: &Api<Pod>, pod: &str, path: &str, token: Option<&str>) -> Result<Bytes> {
    // On the heap: all gateways are asked at the same time, and the future of a request is large.
    let answer = timeout(PATIENCE, Box::pin(ask(pods, pod, path, token))).await;
    answer.with_context(|| format!("no answer within {PATIENCE:?}"))?
}

async fn ask(pods: &Api<Pod>, pod: &str, path: &str, token: Option<&str>) -> Result<Bytes> {
    let forwarder = pods.portforward(pod, &[PORT]).await;
    let mut forwarder = forwarder.map_err(|error| {
        anyhow!("no port is forwarded, and the right to create pods/portforward is needed: {}", said(&error))
    })?;
    let stream = forwarder.take_stream(PORT).context("the API server forwards nothing")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends by itself when the sender is dropped.
    tokio::spawn(connection);
    let mut request = Request::get(path).header(header::HOST, pod).header(header::CONNECTION, "close");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    ensure!(answer.status().is_success(), "answered {path} with status {}", answer.status());
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    Ok(body.map_err(|error| anyhow!("answer too large or cut off: {error}"))?.to_bytes())
}
