//! The versioned migrations, embedded. Plain SQL, forward only.

use sqlx::{
    Connection, PgConnection, SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

/// Version of the newest migration; a gateway works with a schema of this version or a newer one.
pub const SCHEMA_VERSION: i32 = FILES[FILES.len() - 1].0;

/// First key of the advisory lock of a slot, `CHAT`; the second key is the slot. Writers hold it shared, a mover exclusive.
pub const SLOT_LOCK_CLASS: i32 = 1_128_808_788;

/// Advisory lock that one `migrate` holds on a shard from before its migrations to its end.
pub const MIGRATION_LOCK: i64 = 0x4348_4154_4d49_4752;

const FILES: &[(i32, &str, &str)] = &[
    (1, "tables", include_str!("../migrations/0001_tables.sql")),
    (2, "guards", include_str!("../migrations/0002_guards.sql")),
    (3, "rooms", include_str!("../migrations/0003_rooms.sql")),
    (4, "messages", include_str!("../migrations/0004_messages.sql")),
    (5, "users", include_str!("../migrations/0005_users.sql")),
    (6, "entries", include_str!("../migrations/0006_entries.sql")),
    (7, "membership", include_str!("../migrations/0007_membership.sql")),
    (8, "sessions", include_str!("../migrations/0008_sessions.sql")),
    (9, "batches", include_str!("../migrations/0009_batches.sql")),
    (10, "answers", include_str!("../migrations/0010_answers.sql")),
    (11, "requests", include_str!("../migrations/0011_requests.sql")),
    (12, "removals", include_str!("../migrations/0012_removals.sql")),
    (13, "store_texts", include_str!("../migrations/0013_store_texts.sql")),
    (14, "moves", include_str!("../migrations/0014_moves.sql")),
    (15, "slots", include_str!("../migrations/0015_slots.sql")),
    (16, "probe", include_str!("../migrations/0016_probe.sql")),
    (17, "guard", include_str!("../migrations/0017_guard.sql")),
    (18, "openings", include_str!("../migrations/0018_openings.sql")),
    (19, "leftovers", include_str!("../migrations/0019_leftovers.sql")),
];

/// Brings a database's schema to [`SCHEMA_VERSION`]; each migration is one transaction. A database that has newer
/// migrations is left as it is: an older program beside a newer one is a normal moment of a rollout. The version that the schema has then.
///
/// # Errors
/// A migration that failed, or one that was changed after it had been applied.
pub async fn migrate(connection: &mut PgConnection) -> Result<i64, MigrateError> {
    let migrations = FILES
        .iter()
        .map(|&(version, name, sql)| {
            Migration::new(version.into(), name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    let mut migrator = Migrator::with_migrations(migrations);
    migrator.create_schema("chat");
    migrator.dangerous_set_table_name("chat.migrations");
    migrator.set_ignore_missing(true);
    connection.ping().await?;
    migrator.run_direct(None, connection, false).await?;
    Ok(sqlx::query_scalar("select max(version) from chat.migrations").fetch_one(connection).await?)
}
