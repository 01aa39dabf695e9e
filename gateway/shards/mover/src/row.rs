//! A slot's row of `chat.slot_ownership`, as the protocol's type.

use chat_shard_protocol::{Epoch, Millis, MoveId, Row, Site, State, Timeline, Transit};
use chat_shards::SLOT_LOCK_CLASS;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, postgres::PgRow};
use uuid::Uuid;

use crate::{
    error::MoveError,
    shard::{Shard, failed},
    tables::literal,
};

/// How a row is locked while it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Not at all.
    Nothing,
    /// Until the transaction ends, against other movers; writers do not lock rows.
    Row,
}

#[derive(FromRow)]
struct Stored {
    epoch: Option<i64>,
    state: Option<String>,
    peer: Option<String>,
    move_id: Option<Uuid>,
    r#gen: Option<i64>,
    until_ms: Option<i64>,
    timeline: Option<String>,
    since: Option<i64>,
    own_timeline: Option<String>,
    /// The database's timeline and clock, asked after the row was got.
    here: String,
    now_ms: i64,
}

/// The row, if there is one, and the database in one statement. The protocol's rows say milliseconds. Rounded down, and what is written is
/// whole: a deadline reads as it was written.
macro_rules! read {
    ($hold:literal) => {
        concat!(
            "select w.*, chat._timeline() as here, floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now_ms \
             from (select) one left join lateral ( \
                 select epoch, state, peer, move_id, gen, floor(extract(epoch from fence_until) * 1000)::bigint as until_ms, \
                 timeline, since, own_timeline from chat.slot_ownership where slot = $1",
            $hold,
            ") w on true"
        )
    };
}
const READ: &str = read!("");
const READ_LOCKED: &str = read!(" for no key update");

const REPLACE: &str = "on conflict (slot) do update set epoch = excluded.epoch, state = excluded.state, peer = excluded.peer, \
    move_id = excluded.move_id, gen = excluded.gen, fence_until = excluded.fence_until, timeline = excluded.timeline, \
    since = excluded.since, own_timeline = excluded.own_timeline";

/// Reads a row, and after it the database that a transition happens in.
pub(crate) async fn read(
    connection: &mut PgConnection,
    shard: &str,
    slot: i32,
    hold: Hold,
) -> Result<(Option<Row<String>>, Site<String>), MoveError> {
    let sql = if hold == Hold::Row { READ_LOCKED } else { READ };
    let stored: Stored =
        sqlx::query_as(sql).bind(slot).fetch_one(connection).await.map_err(failed(shard, "read the slot's row"))?;
    found(shard, slot, stored)
}

/// Takes the slot's lock and then reads, in one packet with statements before it, and answers the row of one more query behind both, if there
/// is one. Statements of their own: one that locked and read would read the row as it was before the wait.
pub(crate) async fn lock_and_read(
    connection: &mut PgConnection,
    shard: &str,
    slot: i32,
    before: &str,
    query: &str,
) -> Result<(Option<Row<String>>, Site<String>, Option<PgRow>), MoveError> {
    let read = READ_LOCKED.replace("$1", &slot.to_string());
    let sql = format!("{before}; select pg_advisory_xact_lock({SLOT_LOCK_CLASS}, {slot}); {read}; {query}");
    let all = async {
        let mut rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await?.into_iter().skip(1);
        Ok((Stored::from_row(&rows.next().ok_or(sqlx::Error::RowNotFound)?)?, rows.next()))
    };
    let (stored, answer) = all.await.map_err(failed(shard, "take the slot's lock and read its row"))?;
    let (row, site) = found(shard, slot, stored)?;
    Ok((row, site, answer))
}

fn found(shard: &str, slot: i32, stored: Stored) -> Result<(Option<Row<String>>, Site<String>), MoveError> {
    let site = site(shard, &stored.here, stored.now_ms)?;
    let damaged = |field| MoveError::Row { shard: shard.to_owned(), slot, field };
    let row = stored.state.is_some().then(|| stored.decode().map_err(damaged)).transpose()?;
    Ok((row, site))
}

impl Stored {
    /// The row, or the column that cannot be.
    fn decode(self) -> Result<Row<String>, &'static str> {
        let whole = |number: Option<i64>, column| number.and_then(|number| u64::try_from(number).ok()).ok_or(column);
        let row =
            |state| Ok(Row { epoch: Epoch(whole(self.epoch, "epoch")?), number: whole(self.r#gen, "gen")?, state });
        let state = self.state.as_deref().ok_or("state")?;
        if state == "owned" {
            return row(State::Owned);
        }
        let transit = Transit {
            peer: self.peer.ok_or("peer")?,
            move_id: MoveId(self.move_id.ok_or("move_id")?.as_u128()),
            timeline: timeline(self.timeline.as_deref()).ok_or("timeline")?,
            since: whole(self.since, "since")?,
        };
        match state {
            "migrating" => row(State::Migrating(transit)),
            "fenced" => row(State::Fenced(transit, Millis(whole(self.until_ms, "fence_until")?))),
            "moved" => row(State::Moved(transit)),
            "importing" => {
                let own = timeline(self.own_timeline.as_deref()).ok_or("own_timeline")?;
                row(State::Importing(transit, own))
            }
            _ => Err("state"),
        }
    }
}

/// Writes a row; the caller holds the slot's lock.
pub(crate) async fn write(
    connection: &mut PgConnection,
    shard: &str,
    slot: i32,
    row: &Row<String>,
) -> Result<(), MoveError> {
    let sql = written(shard, slot, row)?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map_err(failed(shard, "write the slot's row"))?;
    Ok(())
}

/// The statement that writes a row, to be sent together with others.
pub(crate) fn written(shard: &str, slot: i32, row: &Row<String>) -> Result<String, MoveError> {
    let (state, transit, until, own) = match &row.state {
        State::Owned => ("owned", None, None, None),
        State::Migrating(transit) => ("migrating", Some(transit), None, None),
        State::Fenced(transit, until) => ("fenced", Some(transit), Some(until.0), None),
        State::Moved(transit) => ("moved", Some(transit), None, None),
        State::Importing(transit, own) => ("importing", Some(transit), None, Some(*own)),
    };
    let whole =
        |number: u64, field| i64::try_from(number).map_err(|_| MoveError::Row { shard: shard.to_owned(), slot, field });
    let or_null = |text: Option<String>| text.unwrap_or_else(|| "null".to_owned());
    let values = [
        slot.to_string(),
        literal(shard),
        whole(row.epoch.0, "epoch")?.to_string(),
        literal(state),
        or_null(transit.map(|transit| literal(&transit.peer))),
        or_null(transit.map(|transit| literal(&Uuid::from_u128(transit.move_id.0).to_string()))),
        whole(row.number, "gen")?.to_string(),
        or_null(until.map(|until| whole(until, "fence_until")).transpose()?.map(moment)),
        or_null(transit.map(|transit| literal(&text(transit.timeline)))),
        or_null(transit.map(|transit| whole(transit.since, "since")).transpose()?.map(|since| since.to_string())),
        or_null(own.map(|own| literal(&text(own)))),
    ];
    Ok(format!(
        "insert into chat.slot_ownership \
         (slot, shard, epoch, state, peer, move_id, gen, fence_until, timeline, since, own_timeline) values ({}) {REPLACE}",
        values.join(", ")
    ))
}

fn moment(millis: i64) -> String {
    format!("'epoch'::timestamptz + {millis} * interval '1 millisecond'")
}

fn site(shard: &str, here: &str, now_ms: i64) -> Result<Site<String>, MoveError> {
    let odd = |problem: &str| MoveError::Schema { shard: shard.to_owned(), problem: problem.to_owned() };
    Ok(Site {
        shard: shard.to_owned(),
        timeline: timeline(Some(here))
            .ok_or_else(|| odd("chat._timeline() names no timeline; is it the one of the migrations?"))?,
        now: Millis(u64::try_from(now_ms).map_err(|_| odd("its clock stands before 1970; set it"))?),
    })
}

/// A row as it stands, under no lock: for a look, or for what is checked again.
pub(crate) async fn look(shard: &mut Shard, slot: i32) -> Result<Option<Row<String>>, MoveError> {
    Ok(read(&mut shard.connection, &shard.name, slot, Hold::Nothing).await?.0)
}

/// As `chat._timeline()` writes it: the first eight digits of a WAL file's name.
fn timeline(text: Option<&str>) -> Option<Timeline> {
    u32::from_str_radix(text?, 16).ok().map(Timeline)
}

fn text(timeline: Timeline) -> String {
    format!("{:08X}", timeline.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timelines_read_as_they_are_written() {
        assert_eq!(text(Timeline(1)), "00000001");
        assert_eq!(timeline(Some("0000001A")), Some(Timeline(26)));
        assert_eq!(timeline(Some("?")), None);
    }
}
