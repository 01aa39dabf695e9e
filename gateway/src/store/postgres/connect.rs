//! From a Secret's file to connections.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::postgres_uri;

/// Connections of one gateway to one shard. A statement is one transaction of a few milliseconds, so ten of them carry
/// thousands of messages a second, and ten gateways still fit PostgreSQL's default of 100.
const MAX_CONNECTIONS: u32 = 10;
/// How long a request may wait for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// The server ends a statement after this long; shorter than [`super::route::ATTEMPT`], so that a late statement is ended
/// by the side that knows it, not by hanging up.
pub(super) const STATEMENT_TIMEOUT_MS: i64 = 2_500;

/// Why there are no connection options.
#[derive(Debug, thiserror::Error)]
pub(super) enum UriError {
    #[error("failed to read the URI file {path}")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// The parser's own message may quote the URI, password included, so it is not kept.
    #[error("the URI file {path} holds no valid postgresql:// URI")]
    Parse { path: String },
}

/// Reads the file anew: a password that was changed there works at the next connection.
pub(super) async fn options(path: &Path) -> Result<PgConnectOptions, UriError> {
    parse(path, &read(path).await?)
}

/// The URI that is in use by what stands in the file now.
pub(super) async fn read(path: &Path) -> Result<String, UriError> {
    Ok(postgres_uri::first(&text(path).await?).to_owned())
}

/// All URIs that stand in the file now; the first is in use.
pub(super) async fn read_all(path: &Path) -> Result<Vec<String>, UriError> {
    Ok(postgres_uri::each(&text(path).await?).into_iter().map(str::to_owned).collect())
}

async fn text(path: &Path) -> Result<String, UriError> {
    let read = tokio::fs::read_to_string(path).await;
    read.map_err(|source| UriError::Read { path: path.display().to_string(), source })
}

/// How to connect, by what stood in the file.
pub(super) fn parse(path: &Path, uri: &str) -> Result<PgConnectOptions, UriError> {
    let options = postgres_uri::parse(uri).ok_or_else(|| UriError::Parse { path: path.display().to_string() })?;
    let limit = format!("{STATEMENT_TIMEOUT_MS}ms");
    Ok(options
        .application_name("chat-gateway")
        .options([
            ("statement_timeout", limit.as_str()),
            ("lock_timeout", limit.as_str()),
            // The guards refuse anything else, whatever the database's default is.
            ("default_transaction_isolation", "read committed"),
        ])
        .disable_statement_logging())
}

/// A pool that connects when first used.
pub(super) fn pool(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(Duration::from_secs(300))
        // A check before each use would double the round trips; a dead connection fails and is retried with the same ids.
        .test_before_acquire(false)
        .connect_lazy_with(options)
}
