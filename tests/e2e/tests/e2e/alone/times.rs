//! Rule B1: how soon a status is there.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{
    ChatCluster, Namespace, World,
    chat_cluster::{condition, summary},
    manifest,
    wait::{Seen, until},
};

use crate::rules_b_status::CONDITIONS;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn b1_first_status_has_all_conditions_within_two_seconds() -> Result<()> {
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-b1").await?;
    let cluster = ChatCluster::apply(&world, &namespace.name, &manifest::smallest("first")).await?;
    let first = until("a first status", Duration::from_secs(2), || async {
        let object = cluster.get().await?;
        let written = object.data["status"]["conditions"].is_array();
        Ok(if written { Seen::Yes(object) } else { Seen::NotYet("none".into()) })
    })
    .await?;
    assert_eq!(first.data["status"]["observedGeneration"], 1);
    for kind in CONDITIONS {
        ensure!(condition(&first, kind).is_some(), "{kind} is missing: {}", summary(&first));
    }
    namespace.discard().await?;
    Ok(())
}
