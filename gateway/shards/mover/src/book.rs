//! What a destination remembers of moves that ended there, in `chat.moves`: `/slots` of a gateway tells it.

use uuid::Uuid;

use crate::{
    error::MoveError,
    shard::{Shard, failed},
    tables::literal,
};

/// Days for which a move is remembered once nothing is left of it at its source.
const KEPT_DAYS: i32 = 30;

/// The statement that notes that a slot has come here, with what its chunks say, for the transaction that makes it so; it forgets them.
pub(crate) fn arrived(move_id: Uuid, slot: i32, source: &str) -> String {
    format!("select chat._arrived({slot}, '{move_id}', {})", literal(source))
}

/// Notes for how long writes waited, and lets go of notes that are too old: of moves whose leftovers are gone, and of slots that have gone on
/// from here. Not in the transaction of the activation, for which writers wait. A move is none the worse without, so a failure is nobody's.
pub(crate) async fn paused(destination: &mut Shard, move_id: Uuid, slot: i32, pause_ms: u64) {
    let noted = sqlx::query("update chat.moves set pause_ms = $3 where move_id = $1 and slot = $2")
        .bind(move_id)
        .bind(slot)
        .bind(i64::try_from(pause_ms).unwrap_or(i64::MAX))
        .execute(&mut destination.connection)
        .await;
    let forgotten = sqlx::query(
        "delete from chat.moves m where m.finished_at < now() - make_interval(days => $1) \
         and (m.cleaned_at < now() - make_interval(days => $1) or not exists (\
             select from chat.slot_ownership o where o.slot = m.slot and chat._readable(o.state)))",
    )
    .bind(KEPT_DAYS)
    .execute(&mut destination.connection)
    .await;
    drop((noted, forgotten));
}

/// Notes that a source has nothing left of a slot, whichever of its moves here left it.
pub(crate) async fn cleaned(destination: &mut Shard, slot: i32, source: &str) -> Result<(), MoveError> {
    sqlx::query(
        "update chat.moves set cleaned_at = clock_timestamp() where slot = $1 and source = $2 and cleaned_at is null",
    )
    .bind(slot)
    .bind(source)
    .execute(&mut destination.connection)
    .await
    .map_err(failed(&destination.name, "note that the source is clean"))?;
    Ok(())
}
