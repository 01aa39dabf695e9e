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
    world::{Room, World},
};

const BUSY: &str = "pauses";
const FULL: &str = "pauses full";
const SHARE: f64 = 0.7;
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

/// Twice: with the processors busy for seven tenths of the time, and with seven tenths of the texts that many senders at once get done, for which
/// nearly all of the processors' time is needed.
pub(crate) async fn measure(quick: bool, report: &mut Report) -> Result<()> {
    let world = World::start().await?;
    let rooms = Arc::new(world.rooms(0..i32::try_from(SLOTS)?).await);
    let most = capacity(&world, &rooms, Duration::from_secs(3)).await;
    let mut rate = most * 0.4;
    // What a text costs depends on how many go together, and so on the rate.
    for _ in 0..3 {
        let load = Load::start(&world, &rooms, rate);
        sleep(Duration::from_secs(1)).await;
        let busy = busy(Duration::from_secs(2)).await?;
        load.stop().await?;
        rate = (rate * SHARE / busy).min(most * SHARE);
    }
    at(&world, &rooms, quick, rate, (BUSY, true), report).await?;
    let world = World::start().await?;
    let rooms = Arc::new(world.rooms(0..i32::try_from(SLOTS)?).await);
    at(&world, &rooms, quick, most * SHARE, (FULL, false), report).await
}

/// How busy the processors are, from 0 to 1.
async fn busy(lasts: Duration) -> Result<f64> {
    let times = || -> Result<(f64, f64)> {
        let text = std::fs::read_to_string("/proc/stat").context("failed to read /proc/stat")?;
        let first = text.lines().next().context("/proc/stat is empty")?;
        let times: Vec<f64> = first.split_whitespace().skip(1).filter_map(|time| time.parse().ok()).collect();
        // The fourth and fifth are those of doing nothing, and of waiting for a disk.
        Ok((times.iter().sum(), times.iter().skip(3).take(2).sum()))
    };
    let (all, idle) = times()?;
    sleep(lasts).await;
    let (all_then, idle_then) = times()?;
    Ok((1.0 - (idle_then - idle) / (all_then - all).max(1.0)).clamp(0.05, 1.0))
}

async fn at(
    world: &World,
    rooms: &Arc<Vec<Room>>,
    quick: bool,
    rate: f64,
    (part, is_bound): (&'static str, bool),
    report: &mut Report,
) -> Result<()> {
    let moves: i32 = if quick { 30 } else { 60 };
    let slots = i32::try_from(SLOTS)?;
    let load = Load::start(world, rooms, rate);
    let busy = busy(Duration::from_secs(2)).await?;
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
    report.note(part, "texts sent meanwhile, over 64 slots", "1/s", rate);
    report.note(part, "processors busy before the moves", "", busy);
    report.note(part, "slots moved", "", f64::from(moves));
    report.note(part, "fences for each slot moved", "", f64::from(fences) / f64::from(moves));
    for (name, share, goal) in [("p50", 0.5, 30.0), ("p99", 0.99, 100.0), ("longest", 1.0, 250.0)] {
        let (name, value) = (format!("writes to the slot waited, {name}"), quantile(&mut pauses, share));
        if is_bound {
            report.most(part, name, "ms", value, goal);
        } else {
            report.note(part, name, "ms", value);
        }
    }
    for ((name, ..), took) in PARTS.iter().zip(&mut parts) {
        report.note(part, *name, "ms", quantile(took, 0.5));
    }
    report.note(part, "slowest write to the slot in its move, p50", "ms", quantile(&mut longest, 0.5));
    report.note(part, "slowest write to the slot in its move, p99", "ms", quantile(&mut longest, 0.99));
    report.note(part, "slowest write to the slot in its move, longest", "ms", quantile(&mut longest, 1.0));
    report.note(part, "writes before the moves, p99", "ms", quantile(&mut calm, 0.99));
    report.note(part, "writes to other slots, p99", "ms", quantile(&mut others, 0.99));
    Ok(())
}
