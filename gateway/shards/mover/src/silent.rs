//! Movers that fell silent in the midst of a COPY while another one needs their lock.
//!
//! A session that waits for its client between two statements is ended by `idle_in_transaction_session_timeout`, and one whose network was cut by probes. Neither
//! ends a COPY whose client sends no more rows while something on the way, such as a proxy, acknowledges all that is sent to it: PostgreSQL has no timeout for
//! that. The slot's row would stay held for as long as that connection lives.

use std::{collections::HashMap, time::Duration};

use sqlx::PgConnection;
use tokio::time::Instant;

use crate::{
    error::MoveError,
    shard::{APPLICATION, failed},
};

/// Without a further byte of its COPY, a mover counts as gone: as long as it may be idle in a transaction.
const SILENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// COPYs of movers that wait for their clients at this moment, with the bytes that have arrived. Those of this role alone: others may not be ended.
const COPIES: &str = "select a.pid, a.query_start::text, c.bytes_processed \
    from pg_stat_progress_copy c join pg_stat_activity a on a.pid = c.pid \
    where c.datname = current_database() and c.command = 'COPY FROM' \
    and a.usename = current_user and a.application_name = $1 and a.wait_event = 'ClientRead'";

/// A COPY: its server process and when the statement began.
type Copy = (i32, String);

/// What was seen of other movers' COPYs.
#[derive(Default)]
pub(crate) struct Silent {
    looked: Option<Instant>,
    /// Bytes, and since when it has been these.
    copies: HashMap<Copy, (i64, Instant)>,
}

impl Silent {
    /// Looks at other movers of the database, and ends the sessions of those that have been silent for long. To be called again and again, however often.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn end(&mut self, connection: &mut PgConnection, shard: &str) -> Result<(), MoveError> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        // A transaction sees other sessions as they were at its first look.
        let looking = || failed(shard, "look at other movers");
        sqlx::query("select pg_stat_clear_snapshot()").execute(&mut *connection).await.map_err(looking())?;
        let found: Vec<(i32, String, i64)> =
            sqlx::query_as(COPIES).bind(APPLICATION).fetch_all(&mut *connection).await.map_err(looking())?;
        let mut copies = HashMap::new();
        for (pid, began, bytes) in found {
            let copy = (pid, began);
            let known = self.copies.get(&copy).filter(|(before, _)| *before == bytes);
            let since = known.map_or_else(Instant::now, |(_, since)| *since);
            if since.elapsed() >= SILENCE {
                // Nothing happens where that statement has come to its end meanwhile.
                sqlx::query(
                    "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and query_start::text = $2",
                )
                .bind(copy.0)
                .bind(&copy.1)
                .execute(&mut *connection)
                .await
                .map_err(failed(shard, "end the session of a mover that has fallen silent"))?;
            }
            copies.insert(copy, (bytes, since));
        }
        self.copies = copies;
        Ok(())
    }
}
