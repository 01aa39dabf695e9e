//! Scaling, deleting, and finding the data again.

use std::time::Duration;

use anyhow::{Result, ensure};
use chat_test_client::{Addresses, Client, ClientConfig, HistoryRange, Ledger, wire::Message};
use e2e::{
    ChatCluster, Namespace, World,
    children::title,
    crowd::{follow_gateways, sign_up},
    manifest,
    pods::Part,
    wait::{Seen, until},
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, DynamicObject},
};
use serde_json::json;

use crate::shared::{SETTLE_LIMIT, shared, turn};

pub(crate) const DELETE_LIMIT: Duration = Duration::from_secs(90);
/// Within which a namespace with running clusters in it is gone.
pub(crate) const NAMESPACE_LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a_kubectl_scale_works_and_the_spec_stays_the_users() -> Result<()> {
    let cluster = shared().await?;
    let before = cluster.get().await?.metadata.generation.unwrap_or_default();
    cluster.kubectl_scale(3).await?;
    cluster.wait_pods(Part::Gateway, 3, SETTLE_LIMIT).await?;
    let object = cluster.wait_ready(SETTLE_LIMIT).await?;
    assert_eq!(object.data["status"]["replicas"], 3);
    cluster.kubectl_scale(2).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    let object = cluster.wait_ready(SETTLE_LIMIT).await?;
    assert_eq!(object.metadata.generation, Some(before + 2), "somebody else wrote the spec");
    cluster.check_spec_is_the_users().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b_retain_keeps_the_data_and_delete_does_not() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-life").await?;
    let before = namespace.furnished().await?;
    let cluster = ChatCluster::apply(&world, &namespace.name, &manifest::smallest("keep")).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    let (addresses, _follower) = follow_gateways(&cluster, 0).await?;
    let account = sign_up(&addresses, "dora").await?;
    let device = Client::start(ClientConfig::new(account.clone(), addresses, Ledger::new())).await?;
    let room = device.create_room("group", "to be kept", &[]).await?.id;
    for number in 0..5 {
        device.send(room, &format!("message {number}")).await?;
    }
    let (written, _) = device.history(room, HistoryRange::After(0)).await?;
    assert_eq!(written.len(), 5);
    drop(device);

    cluster.delete(&DeleteParams::background(), DELETE_LIMIT).await?;
    wait_remains(&cluster, &["PersistentVolumeClaim", "Secret/keep-shard-a"]).await?;
    let kept = ["PersistentVolumeClaim/data-keep-shard-a-0", "Secret/keep-shard-a"];
    namespace.wait_rest(&before, &kept, DELETE_LIMIT).await?;

    let cluster = ChatCluster::apply(&cluster.world, &namespace.name, &manifest::smallest("keep")).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    assert_eq!(read_again(&cluster, &account.user.name, &account.password, room).await?, written);

    cluster.merge(json!({ "spec": { "database": { "deletionPolicy": "Delete" } } })).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    cluster.delete(&DeleteParams::background(), DELETE_LIMIT).await?;
    namespace.wait_rest(&before, &[], DELETE_LIMIT).await?;
    namespace.discard().await
}

/// Waits until nothing of the cluster is left but objects whose title starts with one of `promised`, each of which is.
pub(crate) async fn wait_remains(cluster: &ChatCluster, promised: &[&str]) -> Result<()> {
    let is_promised = |object: &DynamicObject| promised.iter().any(|start| title(object).starts_with(start));
    until("the end of the cluster's children", DELETE_LIMIT, || async {
        let mut rest = cluster.children().await?;
        rest.extend(cluster.claims().await?);
        let surplus: Vec<_> = rest.iter().filter(|object| !is_promised(object)).map(title).collect();
        let pods = cluster.pod_api().list(&kube::api::ListParams::default()).await?.items;
        if surplus.is_empty() && pods.is_empty() {
            let kept = |start: &&str| rest.iter().any(|object| title(object).starts_with(start));
            ensure!(
                promised.iter().all(kept),
                "{promised:?} promised, there is {:?}",
                rest.iter().map(title).collect::<Vec<_>>()
            );
            return Ok(Seen::Yes(()));
        }
        Ok(Seen::NotYet(format!(
            "{surplus:?} and pods {:?}",
            pods.iter().map(|pod| pod.name_any()).collect::<Vec<_>>()
        )))
    })
    .await
}

/// What somebody who signs in with a password reads in a room.
pub(crate) async fn read_again(
    cluster: &ChatCluster,
    name: &str,
    password: &str,
    room: uuid::Uuid,
) -> Result<Vec<Message>> {
    let addresses = Addresses::new(cluster.gateway_addresses().await?);
    let account = chat_test_client::accounts::enter(&addresses, name, password, Duration::from_secs(30)).await?;
    let device = Client::start(ClientConfig::new(account, addresses, Ledger::new())).await?;
    Ok(device.history(room, HistoryRange::After(0)).await?.0)
}
