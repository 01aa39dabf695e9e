//! What writes to other slots feel of the move of a large one, at the rate that a mover keeps to by itself.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use chat_shard_mover::Options;
use tokio::time::{Instant, sleep};

use crate::{
    load::{Answer, Load, capacity, quantile},
    report::Report,
    world::World,
};

const PART: &str = "foreground";

pub(crate) async fn measure(world: &World, quick: bool, rate: Option<u64>, report: &mut Report) -> Result<()> {
    let (texts, rounds) = if quick { (20_000, 2) } else { (60_000, 4) };
    for slot in 0..rounds {
        world.fill(0, slot, texts).await?;
    }
    let rooms = Arc::new(world.rooms(32 - 16..32 + 16).await);
    let most = capacity(world, &rooms, Duration::from_secs(3)).await;
    let load = Load::start(world, &rooms, most * 0.7);
    sleep(Duration::from_secs(2)).await;
    let defaults = Options::default();
    let options = Options { bytes_per_second: rate.or(defaults.bytes_per_second), ..defaults };
    let (mut calm, mut moving, mut spent) = (Vec::new(), Vec::new(), Duration::ZERO);
    for slot in 0..rounds {
        load.answers();
        let begun = Instant::now();
        world.move_slot(slot, 0, options.clone(), ()).await?;
        let lasted = begun.elapsed();
        spent += lasted;
        moving.extend(load.answers().iter().map(took));
        // What a move leaves behind, as dirty pages, is the move's.
        sleep(Duration::from_secs(1)).await;
        load.answers();
        sleep(lasted).await;
        calm.extend(load.answers().iter().map(took));
    }
    load.stop().await?;
    let (during, without) = (quantile(&mut moving, 0.99), quantile(&mut calm, 0.99));
    report.note(PART, "texts sent meanwhile", "1/s", most * 0.7);
    report.note(PART, "bytes copied at most", "1/s", options.bytes_per_second.unwrap_or(0) as f64);
    report.note(PART, "a move of the large slot", "s", spent.as_secs_f64() / f64::from(rounds));
    report.note(PART, "writes p99 without a move", "ms", without);
    report.note(PART, "writes p99 during a move", "ms", during);
    report.most(PART, "writes p99 during a move / without", "", during / without, 1.25);
    report.note(PART, "writes p50 during a move / without", "", quantile(&mut moving, 0.5) / quantile(&mut calm, 0.5));
    Ok(())
}

fn took(answer: &Answer) -> Duration {
    answer.took
}
