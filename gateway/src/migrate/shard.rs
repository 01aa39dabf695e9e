//! One shard's migration, from the first connection to the gateways' rights.

use std::time::Duration;

use chat_gateway_config::Shard;
use chat_shards::{Identity, MIGRATION_LOCK};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep, timeout};

use super::{MigrateError, PATIENCE, login, sql};
use crate::store::postgres::{AUTHENTICATION_FAILED, Cause, cause};

/// Between tries, and between progress lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Connects, takes the migration lock for as long as the connection lives, migrates, checks the identity, grants.
pub(super) async fn prepare(shard: &Shard, identity: &Identity) -> Result<PgConnection, MigrateError> {
    let gateway = login::read(&shard.name, &shard.uri_file).await?;
    let options = match &shard.migration_uri_file {
        Some(path) => login::read(&shard.name, path).await?.options,
        None => gateway.options.clone(),
    };
    let mut connection = connect(&shard.name, &options).await?;
    // Before anything is changed, since a database of another cluster may not even get a new schema version; and before the
    // lock, since a database that two shards share is locked already, by this very run.
    check_foreign(&mut connection, identity).await?;
    tracing::info!(shard = %shard.name, "connected, waiting for other migrations to end");
    sqlx::query("select pg_advisory_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut connection)
        .await
        .map_err(|source| sql(&shard.name, source))?;
    let version = chat_shards::migrate(&mut connection)
        .await
        .map_err(|source| MigrateError::Schema { shard: shard.name.clone(), source })?;
    if version > i64::from(chat_shards::SCHEMA_VERSION) {
        let own = chat_shards::SCHEMA_VERSION;
        tracing::info!(shard = %shard.name, version, own, "schema is of a newer gateway, and is left as it is");
    } else {
        tracing::info!(shard = %shard.name, version, "schema is current");
    }
    chat_shards::claim_identity(&mut connection, identity).await?;
    chat_shards::grant_access(&mut connection, &gateway.login)
        .await
        .map_err(|source| MigrateError::Access { shard: shard.name.clone(), source })?;
    tracing::info!(shard = %shard.name, user = %gateway.login.user, "gateways have access");
    Ok(connection)
}

/// Compares the identity of a database that has one already.
async fn check_foreign(connection: &mut PgConnection, identity: &Identity) -> Result<(), MigrateError> {
    let exists: bool = sqlx::query_scalar("select to_regclass('chat.settings') is not null")
        .fetch_one(&mut *connection)
        .await
        .map_err(|source| sql(&identity.shard, source))?;
    if exists {
        chat_shards::claim_identity(connection, identity).await?;
    }
    Ok(())
}

async fn connect(shard: &str, options: &PgConnectOptions) -> Result<PgConnection, MigrateError> {
    let options = options.clone().application_name("chat-gateway migrate").disable_statement_logging();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let Cause { reason, message: cause } =
            match timeout(Duration::from_secs(10), PgConnection::connect_with(&options)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => cause(&error).unwrap_or_else(|| Cause::new("ConnectionRefused", error.to_string())),
                Err(_) => Cause::new("Timeout", "no answer within 10 s"),
            };
        if reason == AUTHENTICATION_FAILED {
            return Err(MigrateError::Denied { shard: shard.to_owned(), cause });
        }
        if Instant::now() >= deadline {
            return Err(MigrateError::Unreachable { shard: shard.to_owned(), reason, cause });
        }
        let left = (deadline - Instant::now()).as_secs();
        tracing::info!(shard, %cause, seconds_left = left, "waiting for the shard to answer");
        sleep(PAUSE).await;
    }
}
