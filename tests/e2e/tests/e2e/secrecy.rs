//! No credential that the operator makes is in any log.

use anyhow::{Result, ensure};
use e2e::{ChatCluster, Crowd, children::CLUSTER_LABEL, world::OPERATOR_NAMESPACE};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, LogParams},
};

use crate::shared::shared;

/// Shorter pieces stand in logs by chance.
const SHORTEST: usize = 16;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn no_log_holds_a_credential() -> Result<()> {
    let cluster = shared().await?;
    // Something for the gateways to log.
    let crowd = Crowd::gather(&cluster, 1).await?;
    crowd.ann.send(crowd.rooms[0], "for the logs").await?;
    drop(crowd);
    let credentials = credentials(&cluster).await?;
    ensure!(credentials.len() >= 12, "only {} credentials of {}", credentials.len(), cluster.name);
    let mut read = 0;
    for (source, log) in logs(&cluster).await? {
        // The counter-check of the search itself.
        ensure!(!log.trim().is_empty(), "{source} logs nothing");
        let (title, _) = match credentials.iter().find(|(_, value)| log.contains(value.as_str())) {
            Some(found) => found,
            None => {
                read += 1;
                continue;
            }
        };
        // The value itself must not come into this log, either.
        anyhow::bail!("{source} logs {title}");
    }
    println!("{} credentials are in none of {read} logs", credentials.len());
    ensure!(read >= 8, "only {read} logs: gateways, migration, broker, cache, shards, operator");
    Ok(())
}

/// Every value of every Secret of the cluster, by name and key: the whole of it, passwords inside of it, and the lines of keys.
pub(crate) async fn credentials(cluster: &ChatCluster) -> Result<Vec<(String, String)>> {
    let api: Api<Secret> = Api::namespaced(cluster.world.client.clone(), &cluster.namespace);
    let ours = ListParams::default().labels(&format!("{CLUSTER_LABEL}={}", cluster.name));
    let mut found = Vec::new();
    for secret in api.list(&ours).await? {
        let name = secret.name_any();
        for (key, value) in secret.data.into_iter().flatten().filter(|(key, _)| key != "username") {
            let value = String::from_utf8(value.0)?;
            let title = format!("{name}/{key}");
            let password = value.split_once("://").and_then(|(_, rest)| rest.split_once('@')).and_then(|(login, _)| {
                let (_, password) = login.split_once(':')?;
                Some(password.to_owned())
            });
            let lines = value.lines().filter(|line| line.len() >= SHORTEST && !line.starts_with("-----"));
            found.extend(lines.map(str::to_owned).chain(password).map(|piece| (title.clone(), piece)));
        }
    }
    for (title, piece) in &found {
        ensure!(piece.len() >= SHORTEST, "{title} has {} characters only", piece.len());
    }
    Ok(found)
}

/// What every container of the cluster and of the operator has logged, those before a restart included where their logs are still there.
async fn logs(cluster: &ChatCluster) -> Result<Vec<(String, String)>> {
    let ours = format!("{CLUSTER_LABEL}={}", cluster.name);
    let places =
        [(cluster.namespace.as_str(), ours.as_str()), (OPERATOR_NAMESPACE, "app.kubernetes.io/name=chat-operator")];
    let mut found = Vec::new();
    for (namespace, labels) in places {
        let api: Api<Pod> = Api::namespaced(cluster.world.client.clone(), namespace);
        for pod in api.list(&ListParams::default().labels(labels)).await? {
            let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.clone()).unwrap_or_default();
            for container in statuses {
                for previous in if container.restart_count > 0 { vec![false, true] } else { vec![false] } {
                    let params =
                        LogParams { container: Some(container.name.clone()), previous, ..LogParams::default() };
                    let source = format!("{} of {namespace}/{}", container.name, pod.name_any());
                    match api.logs(&pod.name_any(), &params).await {
                        Ok(log) => found.push((source, log)),
                        // The kubelet clears ended containers away, and what they had logged with them.
                        Err(kube::Error::Api(refused)) if previous && refused.code == 400 => {
                            println!("{source} has ended before, and its log is gone: {}", refused.message);
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
    }
    Ok(found)
}
