//! How fast a slot is copied, beside a plain COPY of the same rows into a table with the same indexes.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use chat_shard_mover::Options;
use futures::StreamExt as _;
use tokio::time::{Instant, sleep};

use crate::{
    load::{Load, capacity, median},
    report::Report,
    world::World,
};

const PART: &str = "copy";
/// What is sent together, as the mover does it.
const SENT: usize = 256 << 10;

pub(crate) async fn measure(world: &World, quick: bool, report: &mut Report) -> Result<()> {
    let (texts, rounds) = if quick { (60_000, 2) } else { (150_000, 5) };
    let mut there = world.cluster.admin(1).await;
    sqlx::raw_sql("create table public.plain (like chat.messages including all)").execute(&mut there).await?;
    // The idle rounds and the loaded ones; each has a slot of its own.
    for slot in 0..2 * rounds {
        world.fill(0, slot, texts).await?;
    }
    let idle = rounds_of(world, 0..rounds, texts).await?;
    idle.tell(report, "idle", 0.7);
    let rooms = Arc::new(world.rooms(16..32).await);
    let most = capacity(world, &rooms, Duration::from_secs(3)).await;
    let rate = most * 0.7;
    report.note(PART, "texts sent meanwhile", "1/s", rate);
    let load = Load::start(world, &rooms, rate);
    sleep(Duration::from_secs(1)).await;
    let loaded = rounds_of(world, rounds..2 * rounds, texts).await?;
    load.stop().await?;
    loaded.tell(report, "under load", 0.4);
    let (mut plain, mut moved) = (idle.plain, loaded.moved);
    report.note(PART, "copy of a move under load / plain COPY idle", "", median(&mut moved) / median(&mut plain));
    Ok(())
}

/// Rows a second, by round.
struct Rates {
    plain: Vec<f64>,
    moved: Vec<f64>,
}

impl Rates {
    fn tell(&self, report: &mut Report, when: &str, goal: f64) {
        let mut ratios: Vec<f64> = self.moved.iter().zip(&self.plain).map(|(ours, plain)| ours / plain).collect();
        report.note(PART, format!("plain COPY, {when}"), "rows/s", median(&mut self.plain.clone()));
        report.note(PART, format!("copy of a move, {when}"), "rows/s", median(&mut self.moved.clone()));
        report.least(PART, format!("copy of a move / plain COPY, {when}"), median(&mut ratios), goal);
    }
}

/// By turns, and each time the other one first.
async fn rounds_of(world: &World, slots: std::ops::Range<i32>, texts: u32) -> Result<Rates> {
    let mut rates = Rates { plain: Vec::new(), moved: Vec::new() };
    for slot in slots {
        for is_plain in [slot % 2 == 0, slot % 2 != 0] {
            if is_plain {
                rates.plain.push(f64::from(texts) / plain(world, slot).await?.as_secs_f64());
            } else {
                let options = Options { bytes_per_second: None, ..Options::default() };
                let moved = world.move_slot(slot, 0, options, ()).await?;
                rates.moved.push(f64::from(texts) * 1_000.0 / moved.copy_ms.max(1) as f64);
            }
        }
    }
    Ok(rates)
}

/// The source keeps the rows of a slot that has moved, so that the order does not matter.
async fn plain(world: &World, slot: i32) -> Result<Duration> {
    let mut here = world.cluster.admin(0).await;
    let mut there = world.cluster.admin(1).await;
    let started = Instant::now();
    let out = format!("copy (select * from chat.messages where slot = {slot}) to stdout (format binary)");
    let mut reading = here.copy_out_raw(&out).await?;
    let mut writing = there.copy_in_raw("copy public.plain from stdin (format binary)").await?;
    let mut buffer = Vec::with_capacity(2 * SENT);
    while let Some(piece) = reading.next().await {
        buffer.extend_from_slice(&piece?);
        if buffer.len() >= SENT {
            writing.send(buffer.as_slice()).await?;
            buffer.clear();
        }
    }
    writing.send(buffer.as_slice()).await?;
    writing.finish().await?;
    drop(reading);
    Ok(started.elapsed())
}
