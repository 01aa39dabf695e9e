//! The guards in the database, and the protocol's: one verdict for every state of a row.

use chat_shard_protocol::{Epoch, Millis, MoveId, Row, Site, State, Timeline, Transit, Verdict, guard};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::world::World;

const OTHER: i32 = 7;
const HOUR: u64 = 3_600_000;

/// What a guard in the database said, in the protocol's words; an arriving slot names where it comes from, with the epoch that is still that one's.
fn expected(row: Option<&Row<String>>, site: &Site<String>) -> (Result<bool, String>, bool) {
    let moved = |peer: &str, epoch: u64| format!("CC001 {peer} {epoch}");
    match guard(row, site) {
        Verdict::Accepted { logged } => (Ok(logged), true),
        Verdict::Moved { peer, epoch } => (Err(moved(&peer, epoch.0)), false),
        Verdict::Fenced => (Err("CC002".to_owned()), false),
        Verdict::Importing => {
            let row = row.expect("an arriving slot has a row");
            let State::Importing(transit, _) = &row.state else { panic!("{row:?} is not arriving") };
            (Err(moved(&transit.peer, row.epoch.0 - 1)), false)
        }
        Verdict::Unknown => (Err("CC003".to_owned()), false),
    }
}

pub(crate) async fn say_what_the_protocol_says(world: &World) {
    let mut admin = world.cluster.admin(0).await;
    let (own, now): (String, i64) =
        sqlx::query_as("select chat._timeline(), floor(extract(epoch from clock_timestamp()) * 1000)::bigint")
            .fetch_one(&mut admin)
            .await
            .unwrap();
    let own = Timeline(u32::from_str_radix(&own, 16).unwrap());
    let now = Millis(u64::try_from(now).unwrap());
    let site = Site { shard: "a".to_owned(), timeline: own, now };
    let transit = |timeline| Transit { peer: "b".to_owned(), move_id: MoveId(9), timeline, since: 1 };
    let (earlier, later) = (Millis(now.0 - HOUR), Millis(now.0 + HOUR));
    let old = Timeline(own.0 + 1);
    let states = [
        State::Owned,
        State::Migrating(transit(own)),
        State::Migrating(transit(old)),
        State::Fenced(transit(own), later),
        State::Fenced(transit(own), earlier),
        State::Fenced(transit(old), later),
        State::Fenced(transit(old), earlier),
        State::Moved(transit(own)),
        State::Moved(transit(old)),
        State::Importing(transit(own), own),
        State::Importing(transit(own), old),
    ];
    let rows = states.into_iter().map(|state| Some(Row { epoch: Epoch(5), number: 2, state }));
    let mut seen = std::collections::BTreeSet::new();
    for row in rows.chain([None]) {
        let mut transaction = admin.begin().await.unwrap();
        put(&mut transaction, row.as_ref()).await;
        let (verdict, may_write) = expected(row.as_ref(), &site);
        let answer: Result<bool, sqlx::Error> = {
            let mut tried = transaction.begin().await.unwrap();
            let answer = sqlx::query_scalar("select chat._guard($1)").bind(OTHER).fetch_one(&mut *tried).await;
            tried.rollback().await.unwrap();
            answer
        };
        let answer = answer.map_err(|error| words(&error));
        assert_eq!(answer, verdict, "{row:?}");
        let (may, writable): (bool, Vec<i32>) =
            sqlx::query_as("select chat._may_write($1), coalesce(chat._writable(array[$1]), '{}')")
                .bind(OTHER)
                .fetch_one(&mut *transaction)
                .await
                .unwrap();
        assert_eq!((may, writable == [OTHER]), (may_write, may_write), "{row:?}");
        if let Ok(logged) = verdict {
            let found: bool =
                sqlx::query_scalar("select chat._logged($1)").bind(OTHER).fetch_one(&mut *transaction).await.unwrap();
            assert_eq!(found, logged, "{row:?}");
        }
        seen.insert(format!("{:?}", answer.map_err(|words| words.chars().take(5).collect::<String>())));
        transaction.rollback().await.unwrap();
    }
    assert_eq!(seen.len(), 5, "every verdict was met: {seen:?}");
}

async fn put(connection: &mut PgConnection, row: Option<&Row<String>>) {
    sqlx::query("delete from chat.slot_ownership where slot = $1").bind(OTHER).execute(&mut *connection).await.unwrap();
    let Some(row) = row else { return };
    let (state, transit, until, own) = match &row.state {
        State::Owned => ("owned", None, None, None),
        State::Migrating(transit) => ("migrating", Some(transit), None, None),
        State::Fenced(transit, until) => ("fenced", Some(transit), Some(until.0), None),
        State::Moved(transit) => ("moved", Some(transit), None, None),
        State::Importing(transit, own) => ("importing", Some(transit), None, Some(*own)),
    };
    let timeline = |timeline: Timeline| format!("{:08X}", timeline.0);
    let sql = "insert into chat.slot_ownership (slot, shard, epoch, state, peer, move_id, gen, fence_until, timeline, since, own_timeline) \
        values ($1, 'a', $2, $3, $4, $5, $6, 'epoch'::timestamptz + $7 * interval '1 millisecond', $8, $9, $10)";
    sqlx::query(AssertSqlSafe(sql))
        .bind(OTHER)
        .bind(row.epoch.0 as i64)
        .bind(state)
        .bind(transit.map(|transit| &transit.peer))
        .bind(transit.map(|transit| Uuid::from_u128(transit.move_id.0)))
        .bind(row.number as i64)
        .bind(until.map(|until| until as i64))
        .bind(transit.map(|transit| timeline(transit.timeline)))
        .bind(transit.map(|transit| transit.since as i64))
        .bind(own.map(timeline))
        .execute(connection)
        .await
        .unwrap();
}

/// A refusal as `SQLSTATE peer epoch`.
fn words(error: &sqlx::Error) -> String {
    let error = error.as_database_error().expect("the database's").downcast_ref::<sqlx::postgres::PgDatabaseError>();
    if error.code() != "CC001" {
        return error.code().to_owned();
    }
    let detail: serde_json::Value = serde_json::from_str(error.detail().expect("a detail")).unwrap();
    format!("{} {} {}", error.code(), detail["peer"].as_str().unwrap(), detail["epoch"])
}
