//! What the guard costs a write: the function that stores a text, and the same one without its guard, by turns on one session.

use std::time::Duration;

use anyhow::{Result, ensure};
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{load::median, report::Report, world::World};

const PART: &str = "guards";
/// Texts of one turn.
const TURN: u32 = 500;
const GUARDED: &str = "chat.send_message(integer, uuid, uuid, uuid, text, bigint, uuid[], uuid)";

pub(crate) async fn measure(world: &World, quick: bool, report: &mut Report) -> Result<()> {
    let rounds = if quick { 20 } else { 100 };
    let rooms = world.rooms([1]).await;
    let room = &rooms[0];
    let mut admin = world.cluster.admin(0).await;
    let guarded: String =
        sqlx::query_scalar("select pg_get_functiondef($1::regprocedure)").bind(GUARDED).fetch_one(&mut admin).await?;
    let bare =
        guarded.replace("FUNCTION chat.send_message", "FUNCTION public.bare").replace("chat._guard(p_slot)", "false");
    ensure!(bare.contains("public.bare") && !bare.contains("_guard"), "the guard of {GUARDED} was not found");
    sqlx::raw_sql(AssertSqlSafe(bare)).execute(&mut admin).await?;
    // Waiting for a disk would hide what processors do.
    sqlx::raw_sql("set synchronous_commit = off").execute(&mut admin).await?;
    let mut ratios = Vec::new();
    for nth in 0..=rounds {
        let mut took = [Duration::ZERO; 2];
        for which in [nth % 2, 1 - nth % 2] {
            let function = if which == 0 { "public.bare" } else { "chat.send_message" };
            took[which] = turn(&mut admin, function, room.slot, room.id.0, room.member.id.0).await?;
        }
        // The first one prepares statements and fills caches.
        if nth > 0 {
            ratios.push(took[1].as_secs_f64() / took[0].as_secs_f64());
        }
    }
    report.most(PART, "time of a guarded write / of one without guard", "", median(&mut ratios), 1.05);
    Ok(())
}

async fn turn(admin: &mut PgConnection, function: &str, slot: i32, room: Uuid, sender: Uuid) -> Result<Duration> {
    let sql = format!("select * from {function}($1, $2, $3, $4, 'a text', null, '{{}}', $5)");
    let started = Instant::now();
    for _ in 0..TURN {
        sqlx::query(AssertSqlSafe(sql.clone()))
            .bind(slot)
            .bind(room)
            .bind(Uuid::now_v7())
            .bind(sender)
            .bind(Uuid::now_v7())
            .execute(&mut *admin)
            .await?;
    }
    Ok(started.elapsed())
}
