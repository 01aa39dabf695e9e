//! W4: everybody is in one room. How far apart do the first and the last member hear of a message?

use std::time::Duration;

use anyhow::Result;

use super::{Size, Stage, faults, own_load, percentile, sign_in_limit, steady};
use crate::{
    generator::{Fleet, histogram, timetable::Timetable},
    layout::Layout,
    peers::Peer,
    report::Figure,
    usage::Meter,
};

/// Messages a second.
const RATE: u32 = 10;

pub(super) fn measure(peer: &dyn Peer, size: Size<'_>) -> Result<Vec<Figure>> {
    let layout = Layout::one_room(size.connections);
    let stage = Stage::start(peer, &layout)?;
    let pid = stage.process.id();
    let mut fleet = Fleet::new(peer, &layout, stage.address)?;
    let began = fleet.now();
    fleet.connect(layout.users(), sign_in_limit(layout.users()))?;
    let sign_in = fleet.now() - began;
    fleet.settle(steady::REST)?;
    let mut timetable = Timetable::new(RATE, fleet.now());
    fleet.timing = true;
    let (meter, before) = (Meter::start(pid)?, fleet.ledger.deliveries());
    let end = fleet.now() + Duration::from_secs(size.measured);
    fleet.drive(&mut timetable, end)?;
    let (used, delivered) = (meter.read(pid)?, (fleet.ledger.deliveries() - before) as f64);
    fleet.settle(steady::REST)?;
    let mut spread = histogram()?;
    for nanoseconds in fleet.ledger.spreads(0) {
        spread.saturating_record(nanoseconds / 1_000);
    }
    let mut figures = vec![
        Figure::note("connections", "", layout.users() as f64),
        Figure::less("sign-in of all", "s", sign_in.as_secs_f64()),
        Figure::note("deliveries", "1/s", delivered / used.wall),
        Figure::more("deliveries per CPU-second", "", delivered / used.server),
        Figure::less("first to last member p50", "ms", percentile(&spread, 0.50)).target(50.0),
        Figure::less("first to last member p99", "ms", percentile(&spread, 0.99)),
        Figure::less("latency p99", "ms", percentile(&fleet.latency, 0.99)),
    ];
    figures.extend(faults(&fleet, &layout));
    figures.push(own_load(used));
    Ok(figures)
}
