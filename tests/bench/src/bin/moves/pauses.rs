//! How long writes to a slot wait while it is handed over, many slots one after the other, under load.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use chat_shard_mover::{FENCE_SPACE, Observer, Options, Point, Step, Stop};
use tokio::time::{Instant, sleep};

use crate::{
    cluster::SLOTS,
    load::{Answer, Load, capacity, quantile},
    report::Report,
    world::World,
};

const PART: &str = "pauses";
/// The parts of a pause that lie between two points; the rest is the fence's lock and the destination's beginning.
const PARTS: [(&str, Point, Point); 2] = [
    ("of it the last keys and a look at them, p50", Point::After(Step::Fence), Point::After(Step::Settle)),
    ("of it the hand-over, p50", Point::After(Step::Settle), Point::After(Step::Commit)),
];

/// When a move came to which point.
#[derive(Clone, Default)]
struct Times(Arc<Mutex<Vec<(Point, Instant)>>>);

impl Observer for Times {
    async fn at(&self, point: Point) -> Result<(), Stop> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((point, Instant::now()));
        Ok(())
    }
}

impl Times {
    /// Adds the parts of the last pause.
    fn parts(&self, parts: &mut [Vec<Duration>; PARTS.len()]) {
        let times = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let when = |point| times.iter().rev().find(|(at, _)| *at == point).map(|(_, when)| *when);
        for ((_, begin, end), took) in PARTS.iter().zip(parts) {
            took.extend(when(*begin).zip(when(*end)).map(|(begin, end)| end - begin));
        }
    }
}

pub(crate) async fn measure(world: &World, quick: bool, report: &mut Report) -> Result<()> {
    let moves: i32 = if quick { 30 } else { 200 };
    let slots = i32::try_from(SLOTS)?;
    let rooms = Arc::new(world.rooms(0..slots).await);
    let most = capacity(world, &rooms, Duration::from_secs(3)).await;
    let load = Load::start(world, &rooms, most * 0.7);
    sleep(Duration::from_secs(2)).await;
    let mut calm: Vec<Duration> = load.answers().iter().map(|answer| answer.took).collect();
    // Which of the two shards has each slot.
    let mut owners: Vec<usize> = (0..slots).map(|slot| usize::from(slot >= slots / 2)).collect();
    let (mut pauses, mut longest, mut others, mut fences) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut last = Instant::now();
    let (times, mut parts) = (Times::default(), [const { Vec::new() }; PARTS.len()]);
    for nth in 0..moves {
        // From one half and from the other, by turns.
        let slot = (nth / 2 + (nth % 2) * slots / 2) % slots;
        let owner = &mut owners[usize::try_from(slot)?];
        let begun = Instant::now();
        let options = Options { fence_from: last + FENCE_SPACE, ..Options::default() };
        let moved = world.move_slot(slot, *owner, options, times.clone()).await?;
        last = Instant::now();
        *owner = 1 - *owner;
        let pause = Duration::from_millis(moved.pause_ms.context("another mover handed the slot over")?);
        times.parts(&mut parts);
        pauses.push(pause);
        fences += moved.fences;
        let answers = load.answers();
        let during = answers.iter().filter(|answer| answer.due >= begun);
        let (own, other): (Vec<&Answer>, Vec<&Answer>) = during.partition(|answer| answer.slot == slot);
        longest.extend(own.iter().map(|answer| answer.took).max());
        others.extend(other.iter().map(|answer| answer.took));
    }
    load.stop().await?;
    report.note(PART, "texts sent meanwhile, over 64 slots", "1/s", most * 0.7);
    report.note(PART, "slots moved", "", f64::from(moves));
    report.note(PART, "fences for each slot moved", "", f64::from(fences) / f64::from(moves));
    report.most(PART, "writes to the slot waited, p50", "ms", quantile(&mut pauses, 0.5), 30.0);
    report.most(PART, "writes to the slot waited, p99", "ms", quantile(&mut pauses, 0.99), 100.0);
    report.most(PART, "writes to the slot waited, longest", "ms", quantile(&mut pauses, 1.0), 250.0);
    for ((name, ..), took) in PARTS.iter().zip(&mut parts) {
        report.note(PART, *name, "ms", quantile(took, 0.5));
    }
    report.note(PART, "slowest write to the slot in its move, p50", "ms", quantile(&mut longest, 0.5));
    report.note(PART, "slowest write to the slot in its move, p99", "ms", quantile(&mut longest, 0.99));
    report.note(PART, "slowest write to the slot in its move, longest", "ms", quantile(&mut longest, 1.0));
    report.note(PART, "writes before the moves, p99", "ms", quantile(&mut calm, 0.99));
    report.note(PART, "writes to other slots, p99", "ms", quantile(&mut others, 0.99));
    Ok(())
}
