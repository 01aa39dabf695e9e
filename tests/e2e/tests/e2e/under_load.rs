//! People who chat while something breaks.

use std::future::Future;

use anyhow::Result;
use chat_test_client::{
    Verdict,
    load::{Load, Progress},
};
use e2e::{ChatCluster, Crowd};

use crate::shared::SETTLE_LIMIT;

/// Breaks something when a quarter of the load is acknowledged; what breaks it sees how far the load is. Judges when all of it is and the cluster is well again.
///
/// # Errors
/// A message is not acknowledged or does not arrive, what breaks cannot be broken, or the cluster does not get well.
pub(crate) async fn under_load<F, R>(
    cluster: &ChatCluster,
    rooms: usize,
    load: Load,
    headline: &str,
    break_it: F,
) -> Result<Verdict>
where
    F: FnOnce(ChatCluster, Progress) -> R,
    R: Future<Output = Result<()>>,
{
    let crowd = Crowd::gather(cluster, rooms).await?;
    let progress = Progress::default();
    let trouble = async {
        progress.reach(load.messages / 4).await;
        let broken = tokio::time::Instant::now();
        break_it(cluster.clone(), progress.clone()).await?;
        let acked = progress.acked();
        println!("{headline}: broken and back after {:.1} s, at {acked} messages", broken.elapsed().as_secs_f64());
        Ok::<_, anyhow::Error>(())
    };
    let (report, trouble) = tokio::join!(crowd.chat(load, &progress), trouble);
    trouble?;
    let verdict = crowd.judge(headline, &report?);
    verdict.assert_clean(load.messages);
    cluster.wait_ready(SETTLE_LIMIT).await?;
    Ok(verdict)
}
