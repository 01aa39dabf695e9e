//! Memory of connections that do nothing.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::{crowd, memory};

/// Time for the gateway to finish what came with the handshakes.
const SETTLE: Duration = Duration::from_secs(5);

/// Opens the connections and prints what each one costs.
pub(crate) async fn measure(gateway: &str, pid: u32, connections: usize) -> Result<()> {
    let people = crowd::people(gateway).await?;
    // The first connections pay for what all share.
    let warm = crowd::connect(gateway, &people, 50).await?;
    tokio::time::sleep(SETTLE).await;
    let before = memory::resident(pid)?;
    let started = Instant::now();
    let sockets = crowd::connect(gateway, &people, connections).await?;
    let took = started.elapsed();
    tokio::time::sleep(SETTLE).await;
    let after = memory::resident(pid)?;
    let each = after.saturating_sub(before) / connections as u64;
    println!(
        "idle: {connections} connections in {:.1} s, {} -> {} MiB resident, {each} bytes each",
        took.as_secs_f64(),
        before >> 20,
        after >> 20,
    );
    drop((warm, sockets));
    Ok(())
}
