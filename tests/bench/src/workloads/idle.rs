//! W0: what a connection costs that does nothing.

use std::time::Duration;

use anyhow::Result;

use super::{Size, Stage, sign_in_limit};
use crate::{
    generator::Fleet,
    layout::Layout,
    peers::Peer,
    report::Figure,
    usage::{Meter, resident},
};

/// Connections that pay for what all share.
const FIRST: usize = 50;

pub(super) fn measure(peer: &dyn Peer, size: Size<'_>) -> Result<Vec<Figure>> {
    let layout = Layout::spread(size.connections);
    let stage = Stage::start(peer, &layout)?;
    let pid = stage.process.id();
    let mut fleet = Fleet::new(peer, &layout, stage.address)?;
    fleet.connect(FIRST, sign_in_limit(FIRST))?;
    fleet.idle(Duration::from_secs(size.warm_up))?;
    let before = resident(pid)?;
    let began = fleet.now();
    fleet.connect(layout.users(), sign_in_limit(layout.users()))?;
    let took = fleet.now() - began;
    let added = (layout.users() - FIRST) as f64;
    // What came with the handshakes is to be over before the silence is measured.
    fleet.idle(Duration::from_secs(size.warm_up))?;
    let meter = Meter::start(pid)?;
    fleet.idle(Duration::from_secs(size.measured))?;
    let used = meter.read(pid)?;
    let grown = resident(pid)?.saturating_sub(before) as f64;
    Ok(vec![
        Figure::note("connections", "", layout.users() as f64),
        Figure::less("resident memory per connection", "KiB", grown / added / 1024.0).target(4.0),
        Figure::less("idle processor per connection", "us/s", used.server / used.wall / layout.users() as f64 * 1e6),
        Figure::more("sign-ins", "1/s", added / took.as_secs_f64()),
        Figure::less("connections the server ended", "", fleet.ended as f64).target(0.0),
    ])
}
