//! What the operator keeps is replaced on request, while people chat and real kubelets bring the Secrets when they like.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    ChatCluster, Crowd, Namespace, World, manifest,
    pods::{Part, restarts},
    wait::{Seen, until},
};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

const ROTATE: &str = "chatcluster.dev/rotate";
const ROTATED: &str = "chatcluster.dev/rotated";
const ROTATION: &str = "chatcluster.dev/rotation";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn what_the_operator_keeps_is_replaced_and_nobody_notices() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-rotation").await?;
    let mut wanted = manifest::smallest("keeps");
    wanted["spec"]["gateways"] =
        json!({ "replicas": 2, "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000 } });
    let cluster = ChatCluster::apply(&world, &namespace.name, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    let (before, servers) = (pods(&cluster, Part::Gateway).await?, servers(&cluster).await?);

    let crowd = Crowd::gather(&cluster, 4).await?;
    let story = async {
        tokio::try_join!(
            rotate(&cluster, "keeps-admin-token", &["token"]),
            rotate(&cluster, "keeps-rabbitmq", &["password"]),
            rotate(&cluster, "keeps-redis", &["password"]),
            cluster.wait_reason("CredentialsRotated", ("False", "Rotating"), SETTLE_LIMIT),
        )?;
        rotate(&cluster, "keeps-shard-a", &["gatewayPassword", "password"]).await
    };
    crowd.chat_during("the admin token and the passwords of RabbitMQ, Redis and a shard", Box::pin(story)).await?;
    cluster.wait_condition("CredentialsRotated", "True", SETTLE_LIMIT).await?;
    let now = cluster.wait_ready(SETTLE_LIMIT).await?;
    ensure!(pods(&cluster, Part::Gateway).await? == before, "gateways were replaced: {}", now.data["status"]);
    ensure!(self::servers(&cluster).await? == servers, "a server was replaced: {}", now.data["status"]);
    // The operator is let in by the new token, and gateways sign in by the new password when they start.
    let gone = cluster.ready_pods(Part::Gateway).await?.into_iter().next().context("no gateway is ready")?;
    cluster.kill_pod(&gone).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    cluster.wait_condition("GatewaysAvailable", "True", SETTLE_LIMIT).await?;
    cluster.check_spec_is_the_users().await?;
    drop(crowd);
    namespace.discard().await
}

/// Those of RabbitMQ and Redis.
async fn servers(cluster: &ChatCluster) -> Result<[Vec<(Option<String>, i32)>; 2]> {
    Ok([pods(cluster, Part::Broker).await?, pods(cluster, Part::Cache).await?])
}

/// The pods of a part, and how often they started again.
async fn pods(cluster: &ChatCluster, part: Part) -> Result<Vec<(Option<String>, i32)>> {
    let pods = cluster.pods(part).await?;
    let mut seen: Vec<_> = pods.iter().map(|pod| (pod.uid(), restarts(pod))).collect();
    seen.sort();
    Ok(seen)
}

/// Asks for other values, and waits until the operator says that the old ones have gone.
async fn rotate(cluster: &ChatCluster, name: &str, keys: &[&str]) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(cluster.world.client.clone(), &cluster.namespace);
    let values = |secret: &Secret| -> Option<Vec<ByteString>> {
        keys.iter().map(|key| secret.data.as_ref()?.get(*key).cloned()).collect()
    };
    let old = values(&secrets.get(name).await?).with_context(|| format!("{name} lacks one of {keys:?}"))?;
    let (request, started) = (format!("{ROTATE}=e2e"), Instant::now());
    cluster.world.kubectl(&["annotate", "secret", name, &request, "-n", &cluster.namespace]).await?;
    until(format!("another {} in {name}", keys.join(" and ")), SETTLE_LIMIT, || async {
        let secret = secrets.get(name).await?;
        let noted = |key: &str| secret.annotations().get(key).cloned();
        let (step, done) = (noted(ROTATION), noted(ROTATED));
        let is_done = done.as_deref() == Some("e2e") && step.is_none();
        let is_other =
            values(&secret).is_some_and(|new| new.iter().zip(&old).all(|(new, old)| !new.0.is_empty() && new != old));
        Ok(if is_done && is_other { Seen::Yes(()) } else { Seen::NotYet(format!("{step:?}, {done:?}")) })
    })
    .await?;
    println!("{} of {name} replaced after {:.1} s", keys.join(" and "), started.elapsed().as_secs_f64());
    Ok(())
}
