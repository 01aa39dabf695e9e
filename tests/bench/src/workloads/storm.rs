//! W2: the server is killed while people talk, and starts again at once. Everybody comes back and wants what they missed.

use std::time::Duration;

use anyhow::Result;

use super::{Size, Stage, faults, sign_in_limit};
use crate::{
    generator::{Fleet, timetable::Timetable},
    layout::Layout,
    peers::Peer,
    report::Figure,
};

/// Messages a second, before, while and after.
const RATE: u32 = 100;
/// In which nearly all are to be back.
const SOON: Duration = Duration::from_secs(5);
/// How often it is looked at who is back.
const LOOK: Duration = Duration::from_millis(20);

pub(super) fn measure(peer: &dyn Peer, size: Size<'_>) -> Result<Vec<Figure>> {
    let layout = Layout::spread(size.connections);
    let Stage { mut process, address, folder } = Stage::start(peer, &layout)?;
    let mut fleet = Fleet::new(peer, &layout, address)?;
    fleet.connect(layout.users(), sign_in_limit(layout.users()))?;
    let mut timetable = Timetable::new(RATE, fleet.now());
    let warm = fleet.now() + Duration::from_secs(size.warm_up);
    fleet.drive(&mut timetable, warm)?;
    fleet.watching = true;
    process.kill();
    let killed = fleet.now();
    // The clients see nothing of this until it is over; none of them could connect before.
    process = peer.start(&layout, folder.path(), address)?;
    let up = fleet.now() - killed;
    let limit = killed + Duration::from_secs(size.measured);
    let mut waiting: Vec<Option<Vec<(u32, u32)>>> = vec![None; layout.users()];
    let mut back: Vec<Duration> = Vec::new();
    let mut caught: Vec<Duration> = Vec::new();
    while fleet.now() < limit {
        fleet.drive(&mut timetable, (fleet.now() + LOOK).min(limit))?;
        for (user, at) in std::mem::take(&mut fleet.arrivals) {
            if waiting[user].is_some() {
                continue;
            }
            back.push(at - killed);
            let missing = fleet.ledger.missing(&layout, user);
            if missing.is_empty() {
                caught.push(fleet.now() - killed);
            }
            waiting[user] = Some(missing);
        }
        for (user, body, at) in std::mem::take(&mut fleet.caught) {
            let Some(missing) = waiting[user].as_mut().filter(|missing| !missing.is_empty()) else { continue };
            missing.retain(|known| *known != (body.room, body.message));
            if missing.is_empty() {
                caught.push(at - killed);
            }
        }
    }
    fleet.settle(super::steady::REST)?;
    drop(process);
    let share =
        |times: &[Duration]| times.iter().filter(|time| **time <= SOON).count() as f64 / layout.users() as f64 * 100.0;
    let mut figures = vec![
        Figure::note("connections", "", layout.users() as f64),
        Figure::less("server up again after", "s", up.as_secs_f64()),
        Figure::more("back within 5 s", "%", share(&back)),
        Figure::more("back and caught up within 5 s", "%", share(&caught)).target(99.0),
    ];
    if let Some(time) = most(&mut caught, layout.users()) {
        figures.push(Figure::less("99 % back and caught up after", "s", time.as_secs_f64()));
    }
    figures.extend(faults(&fleet, &layout));
    Ok(figures)
}

/// When 99 % had come, if they did.
fn most(times: &mut [Duration], users: usize) -> Option<Duration> {
    times.sort_unstable();
    times.get((users * 99).div_ceil(100) - 1).copied()
}
