//! Publishes that are committed to PostgreSQL before they are acknowledged, beside the rows that the same server takes when a client does
//! nothing but insert them a hundred at a time. The peers keep nothing and have no part in it.

use std::{path::Path, time::Duration};

use anyhow::{Result, bail};

use super::{Size, Stage, faults, latencies, sign_in_limit, steady};
use crate::{
    generator::Fleet,
    layout::Layout,
    peers::{ChatGateway, Database, Peer as _},
    postgres::Postgres,
    report::Figure,
    usage::Meter,
};

/// Members of each room: few, because this is about the store and not about fan-out.
const MEMBERS: usize = 5;
/// Messages under way for each client.
const WINDOW: usize = 4;
/// Rows in each of pgbench's transactions, and its connections.
const ROWS: u32 = 100;
const INSERTERS: u32 = 4;
const DATABASE: &str = "bench";

/// Measures the gateway, then pgbench.
///
/// # Errors
/// PostgreSQL or the gateway fails.
pub(crate) fn measure(gateway: &Path, size: Size<'_>) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let secrets = tempfile::tempdir()?;
    let postgres = Postgres::start(folder.path())?;
    postgres.run("postgres", &format!("create database {DATABASE}"))?;
    let (uri, migration) = (secrets.path().join("uri"), secrets.path().join("migration"));
    std::fs::write(&uri, postgres.uri("chat_gateway", "bench", DATABASE))?;
    std::fs::write(&migration, postgres.uri("postgres", "bench", DATABASE))?;
    let mut peer = ChatGateway::new(gateway, Database::Postgres(uri, migration));
    peer.build()?;
    let mut figures = publishes(&peer, size)?;
    let raw = inserts(&postgres, secrets.path(), size.measured)?;
    let Some(rate) = figures.first().map(Figure::value) else { bail!("nothing was measured") };
    figures.push(Figure::note("rows inserted by pgbench", "1/s", raw));
    figures.push(Figure::more("publishes / rows of pgbench", "", rate / raw).target(0.3));
    Ok(figures)
}

fn publishes(peer: &ChatGateway, size: Size<'_>) -> Result<Vec<Figure>> {
    let layout = Layout::spread_of(size.connections, MEMBERS);
    let stage = Stage::start(peer, &layout)?;
    let pid = stage.process.id();
    let mut fleet = Fleet::new(peer, &layout, stage.address)?;
    fleet.connect(layout.users(), sign_in_limit(layout.users()))?;
    let warm = fleet.now() + Duration::from_secs(size.warm_up);
    fleet.saturate(WINDOW, warm)?;
    let (meter, before) = (Meter::start(pid)?, fleet.accepted);
    fleet.timing = true;
    let recording = size.record(pid, "persisted.svg")?;
    fleet.saturate(WINDOW, warm + Duration::from_secs(size.measured))?;
    let (used, accepted) = (meter.read(pid)?, (fleet.accepted - before) as f64);
    fleet.window = 0;
    fleet.settle(steady::REST)?;
    if let Some(trouble) = &fleet.trouble {
        bail!("{trouble}");
    }
    if let Some(recording) = recording {
        recording.draw("chat-gateway, publishes that PostgreSQL keeps")?;
    }
    let mut figures = vec![
        Figure::more("publishes committed", "1/s", accepted / used.wall),
        Figure::note("connections", "", layout.users() as f64),
        Figure::note("messages under way", "", (layout.users() * WINDOW) as f64),
        Figure::less("gateway's processor per publish", "us", used.server / accepted * 1e6),
    ];
    figures.extend(latencies(&fleet.latency).into_iter().map(Figure::without_target));
    figures.extend(faults(&fleet, &layout));
    Ok(figures)
}

/// Rows a second that PostgreSQL takes in transactions of a hundred.
fn inserts(postgres: &Postgres, folder: &Path, seconds: u64) -> Result<f64> {
    postgres.run(DATABASE, "create table raw (id uuid primary key, room bigint, body text, at timestamptz)")?;
    let script = folder.join("insert.sql");
    std::fs::write(
        &script,
        format!(
            "insert into raw select gen_random_uuid(), n, repeat('x', 128), now() from generate_series(1, {ROWS}) n;\n"
        ),
    )?;
    Ok(postgres.pgbench(DATABASE, &script, INSERTERS, seconds)? * f64::from(ROWS))
}
