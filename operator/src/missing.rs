//! ShardRebalances whose ChatCluster does not exist: no pass is about them, and they say so themselves.

use std::{collections::BTreeSet, time::Duration};

use chat_crds::ChatCluster;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{context::Context, names::ClusterKey, reconcile::tell_of_no_cluster};

/// Pause after the API server refused or did not answer.
const RETRY: Duration = Duration::from_secs(15);
/// ChatClusters that are looked for in one go. At the start the ShardRebalances of the past name the same one many times.
const AT_ONCE: usize = 1_024;

/// Looks for the ChatClusters that are `named`, each time they are, until `stop`. Who comes later is told of by the first pass over it.
pub async fn run(
    context: Context,
    clusters: Store<ChatCluster>,
    mut named: mpsc::UnboundedReceiver<ClusterKey>,
    stop: CancellationToken,
) {
    let is_known = |key: &ClusterKey| clusters.get(&ObjectRef::new(&key.name).within(&key.namespace)).is_some();
    // Before the first list has come nobody is known. An error means that the watch has ended, as all of this does then.
    tokio::select! {
        () = stop.cancelled() => return,
        ready = clusters.wait_until_ready() => if ready.is_err() { return },
    }
    let (mut batch, mut again) = (Vec::new(), BTreeSet::new());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            count = named.recv_many(&mut batch, AT_ONCE) => if count == 0 { return },
            () = tokio::time::sleep(RETRY), if !again.is_empty() => {}
        }
        let mut keys = std::mem::take(&mut again);
        keys.extend(batch.drain(..));
        for key in keys.into_iter().filter(|key| !is_known(key)) {
            let told = tokio::select! {
                () = stop.cancelled() => return,
                told = tell_of_no_cluster(&context, &key) => told,
            };
            if let Err(error) = told {
                tracing::warn!(%error, cluster = %key, "failed to tell ShardRebalances that their ChatCluster does not exist; trying again");
                again.insert(key);
            }
        }
    }
}
