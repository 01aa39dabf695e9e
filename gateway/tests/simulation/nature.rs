//! What goes wrong: gateways crash and come back, are drained and replaced, lose the store or the broker for a while.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use rand::{RngExt as _, rngs::StdRng};
use tokio::time::sleep;

use crate::cluster::{Cluster, GATEWAYS, Running};

/// Goes on until it is aborted.
pub(crate) async fn rage(cluster: Arc<Cluster>, mut dice: StdRng) {
    loop {
        sleep(Duration::from_millis(dice.random_range(50..900))).await;
        let nth = dice.random_range(0..GATEWAYS);
        let (pause, seed) = (Duration::from_millis(dice.random_range(100..4_000)), dice.random());
        let Some(running) = cluster.running(nth) else { continue };
        match dice.random_range(0..10) {
            0..2 => {
                cluster.crash(nth);
                let cluster = Arc::clone(&cluster);
                tokio::spawn(async move {
                    sleep(pause).await;
                    // Unless the end of all faults was faster.
                    if cluster.running(nth).is_none() {
                        cluster.restart(nth, seed);
                    }
                });
            }
            2 => drain(&cluster, nth, running, seed).await,
            3..7 => {
                cluster.cuts.fetch_add(1, SeqCst);
                running.line.store_cut.store(true, SeqCst);
                tokio::spawn(async move {
                    sleep(pause).await;
                    running.line.store_cut.store(false, SeqCst);
                });
            }
            _ => {
                cluster.cuts.fetch_add(1, SeqCst);
                running.broker.cut(true);
                tokio::spawn(async move {
                    sleep(pause).await;
                    running.broker.cut(false);
                });
            }
        }
    }
}

/// Replaces a gateway as a rollout does.
async fn drain(cluster: &Cluster, nth: usize, running: Running, seed: u64) {
    running.gateway.services.entrance.drain();
    running.gateway.hub.drain(Duration::from_secs(5)).await;
    cluster.crash(nth);
    cluster.restart(nth, seed);
}
