//! The file: its settings and its schema.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::OpenError;
use crate::store::StoreError;

/// Steps from an empty file to the newest schema; the number of those done stands in `user_version`. Steps are only ever added.
const STEPS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
];

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 64;

/// What a connection keeps of the file, in KiB; SQLite's default is 2,000.
const CACHE_KIB: i32 = 1_024;

/// Opens a file for writing, with the newest schema.
pub(super) fn open(file: &Path) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Open { path: file.to_owned(), source };
    let mut connection = Connection::open(file).map_err(failed)?;
    settle(&connection).map_err(failed)?;
    // Readers go on during a write, and a commit is one append to the log.
    connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
    connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
    let done: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    if done > known {
        return Err(OpenError::Newer { path: file.to_owned(), found: done, known });
    }
    for (number, step) in (1..).zip(STEPS).skip(done as usize) {
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(step).map_err(failed)?;
        transaction.pragma_update(None, "user_version", number).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(connection)
}

/// Opens a file that [`open`] has made ready, for reading only.
pub(super) fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    settle(&connection)?;
    Ok(connection)
}

fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise a prepared statement is planned anew whenever it is given other values.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // The system keeps the file's pages anyway, and once for all connections.
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // In a container there may be no folder that files could be put into for a moment.
    connection.pragma_update(None, "temp_store", "memory")
}

/// Writes something that changes nothing, to learn whether writing works.
pub(super) fn touch(connection: &Connection) -> Result<(), StoreError> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(connection.pragma_update(None, "user_version", version)?)
}
