//! W3: one client in a hundred stops to read. The others are not to notice, and the server's memory stays bounded.

use std::time::Duration;

use anyhow::Result;

use super::{Size, Stage, faults, mebibytes, own_load, percentile, sign_in_limit, steady};
use crate::{
    generator::{Fleet, timetable::Timetable},
    layout::Layout,
    peers::Peer,
    report::Figure,
    usage::{Meter, resident},
};

/// Of so many clients one does not read.
const ONE_IN: usize = 100;
/// How often the server's memory is read.
const SAMPLE: Duration = Duration::from_millis(250);
/// Time for them to read what they left, before calm is measured again.
const CATCH_UP: Duration = Duration::from_secs(3);

pub(super) fn measure(peer: &dyn Peer, size: Size<'_>) -> Result<Vec<Figure>> {
    let layout = Layout::spread(size.connections);
    let stage = Stage::start(peer, &layout)?;
    let pid = stage.process.id();
    let mut fleet = Fleet::new(peer, &layout, stage.address)?;
    (0..layout.users()).step_by(ONE_IN).for_each(|user| fleet.slow(user));
    fleet.connect(layout.users(), sign_in_limit(layout.users()))?;
    let slow = fleet.slow_connected();
    let mut timetable = Timetable::new(steady::RATE, fleet.now());
    let warm = fleet.now() + Duration::from_secs(size.warm_up);
    fleet.drive(&mut timetable, warm)?;
    fleet.timing = true;
    // Calm, slow, calm: a machine that becomes busier in the course of the run must not count as the slow clients' doing.
    let (meter, window) = (Meter::start(pid)?, Duration::from_secs(size.measured));
    let calm = warm + window / 2;
    fleet.drive(&mut timetable, calm)?;
    let mut without = fleet.latency.clone();
    fleet.latency.reset();
    let before = resident(pid)?;
    let mut most = before;
    fleet.hold(true)?;
    let mut until = calm;
    while until < calm + window {
        until += SAMPLE;
        fleet.drive(&mut timetable, until)?;
        most = most.max(resident(pid)?);
    }
    let with = percentile(&fleet.latency, 0.99);
    let used = meter.read(pid)?;
    fleet.hold(false)?;
    fleet.timing = false;
    fleet.drive(&mut timetable, until + CATCH_UP)?;
    fleet.timing = true;
    fleet.latency.reset();
    fleet.drive(&mut timetable, until + CATCH_UP + window / 2)?;
    without.add(&fleet.latency)?;
    let without = percentile(&without, 0.99);
    fleet.settle(steady::REST)?;
    let mut figures = vec![
        Figure::note("connections", "", layout.users() as f64),
        Figure::note("connections that do not read", "", slow as f64),
        Figure::note("of them ended by the server", "", (slow - fleet.slow_connected()) as f64),
        Figure::less("latency p99 without them", "ms", without),
        Figure::less("latency p99 of the others", "ms", with),
        Figure::less("latency p99, with / without", "", with / without.max(0.001)).target(1.2),
        Figure::less("memory grown meanwhile", "MiB", mebibytes(most - before)),
        Figure::less("memory grown for each of them", "KiB", mebibytes(most - before) * 1024.0 / slow.max(1) as f64),
    ];
    figures.extend(faults(&fleet, &layout));
    figures.push(own_load(used));
    Ok(figures)
}
