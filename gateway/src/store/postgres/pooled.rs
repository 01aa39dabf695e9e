//! Whether connections lead through a pooler, such as PgBouncer with `pool_mode = transaction`, and whether that keeps what gateways rely on. A pooler
//! that does not would fail some statements and let others run for ever, at some time or other: it is told when the first connection is made.

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

use super::{
    connect::STATEMENT_TIMEOUT_MS,
    failure::{self, Cause, INVALID_SETTINGS},
};

/// What the server says of the connection: milliseconds after which it ends a statement, and who said so.
const ASK: &str = "select setting::bigint, source from pg_settings where name = 'statement_timeout'";
/// Who said so when it was the connection itself.
const ITSELF: &str = "client";

/// Why a connection is of no use to gateways, if it is not.
pub(super) async fn check(connection: &mut PgConnection, options: &PgConnectOptions) -> Result<(), Failed> {
    let (limit, source) = ask(connection).await?;
    if source == ITSELF {
        return Ok(());
    }
    if !(1..=STATEMENT_TIMEOUT_MS).contains(&limit) {
        let message = format!(
            "the URI leads through a pooler, which does not hand on what a connection asks for, and statement_timeout is {limit} ms there: \
             alter role … set statement_timeout = '{STATEMENT_TIMEOUT_MS}ms' for the URI's user, and have the pooler connect anew; or name the server itself in the URI"
        );
        return Err(Cause::new(INVALID_SETTINGS, message).into());
    }
    // The same statement, prepared under the same name on another connection: where the pooler does not tell the two apart, the server does not.
    let mut second = PgConnection::connect_with(options).await?;
    ask(&mut second).await?;
    drop(second.close().await);
    Ok(())
}

async fn ask(connection: &mut PgConnection) -> Result<(i64, String), sqlx::Error> {
    sqlx::query_as(ASK).fetch_one(connection).await
}

/// A connection that is of no use, or one that failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// Of no use.
    Unfit(Cause),
    /// It failed.
    Sql(sqlx::Error),
}

impl From<Cause> for Failed {
    fn from(cause: Cause) -> Self {
        Self::Unfit(cause)
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Failed {
    /// Why, for people.
    pub(super) fn message(self) -> String {
        match self {
            Self::Unfit(cause) => cause.message,
            Self::Sql(error) => failure::cause(&error).map_or_else(|| error.to_string(), |cause| cause.message),
        }
    }
}
