//! W1: a steady load, each message to the 50 members of its room.

use std::time::Duration;

use anyhow::Result;

use super::{Size, Stage, faults, latencies, mebibytes, own_load, sign_in_limit};
use crate::{
    generator::{Fleet, timetable::Timetable},
    layout::Layout,
    peers::Peer,
    report::Figure,
    usage::{Meter, resident},
};

/// Messages a second, by all clients together.
pub(super) const RATE: u32 = 1_000;
/// Time for what is on its way when the last message was sent.
pub(super) const REST: Duration = Duration::from_secs(10);

pub(super) fn measure(peer: &dyn Peer, size: Size<'_>) -> Result<Vec<Figure>> {
    let layout = Layout::spread(size.connections);
    let stage = Stage::start(peer, &layout)?;
    let pid = stage.process.id();
    let mut fleet = Fleet::new(peer, &layout, stage.address)?;
    fleet.connect(layout.users(), sign_in_limit(layout.users()))?;
    fleet.settle(REST)?;
    let mut timetable = Timetable::new(RATE, fleet.now());
    let warm = fleet.now() + Duration::from_secs(size.warm_up);
    fleet.drive(&mut timetable, warm)?;
    fleet.timing = true;
    let recording = size.record(pid, "w1.svg")?;
    let (meter, before) = (Meter::start(pid)?, fleet.ledger.deliveries());
    fleet.drive(&mut timetable, warm + Duration::from_secs(size.measured))?;
    let (used, delivered) = (meter.read(pid)?, (fleet.ledger.deliveries() - before) as f64);
    let memory = resident(pid)?;
    fleet.settle(REST)?;
    if let Some(recording) = recording {
        recording.draw("chat-gateway, 1,000 messages/s into rooms of 50")?;
    }
    let mut figures = vec![
        Figure::note("connections", "", layout.users() as f64),
        Figure::note("deliveries", "1/s", delivered / used.wall),
        Figure::more("deliveries per CPU-second", "", delivered / used.server).target_times(2.0),
    ];
    figures.extend(latencies(&fleet.latency));
    figures.extend(faults(&fleet, &layout));
    figures.push(Figure::less("messages refused", "", fleet.refused as f64).target(0.0));
    figures.push(Figure::less("resident memory under load", "MiB", mebibytes(memory)));
    figures.push(own_load(used));
    Ok(figures)
}
