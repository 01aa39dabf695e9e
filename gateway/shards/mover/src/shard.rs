//! A mover's session on one shard.

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};

use crate::{error::MoveError, wire};

/// A connection to one shard, as the owner of its tables.
pub struct Shard {
    pub(crate) name: String,
    pub(crate) connection: PgConnection,
}

/// By which a mover is known in `pg_stat_activity`.
pub(crate) const APPLICATION: &str = "chat-gateway move";

/// Texts of rows are compared between two databases, so nothing that they look like may depend on a database's settings. Every
/// query of a mover is a range or a few keys of an index; plans over whole tables, or slots, would only come from missing statistics. A
/// mover that freezes must not keep its locks. Commits that the disk does not have are no base for the next step.
const SESSION: &str = "
    set timezone = 'UTC';
    set datestyle = 'ISO, YMD';
    set bytea_output = 'hex';
    set default_transaction_isolation = 'read committed';
    set enable_seqscan = off;
    set enable_hashjoin = off;
    set enable_mergejoin = off;
    set enable_bitmapscan = off;
    set enable_sort = off;
    set jit = off;
    set idle_in_transaction_session_timeout = '10s';
    select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') in ('off', 'local');
";

impl Shard {
    /// Connects, and makes sure that the database is the shard of this name.
    ///
    /// # Errors
    /// The database's, or that it is another shard.
    pub async fn connect(name: &str, options: &PgConnectOptions) -> Result<Self, MoveError> {
        let sql = |doing| move |source| MoveError::Sql { shard: name.to_owned(), doing, source };
        let options = wire::to(options.clone()).await.map_err(|error| sql("connect")(sqlx::Error::Io(error)))?;
        let options = options.application_name(APPLICATION).disable_statement_logging();
        let mut connection = PgConnection::connect_with(&options).await.map_err(sql("connect"))?;
        sqlx::raw_sql(SESSION).execute(&mut connection).await.map_err(sql("set up the session"))?;
        let found: String = sqlx::query_scalar("select shard from chat.settings")
            .fetch_one(&mut connection)
            .await
            .map_err(sql("read which shard it is"))?;
        if found != name {
            return Err(MoveError::OtherShard { expected: name.to_owned(), found });
        }
        Ok(Self { name: name.to_owned(), connection })
    }

    /// The shard's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Names the shard and what was tried in an error of the driver.
pub(crate) fn failed(shard: &str, doing: &'static str) -> impl FnOnce(sqlx::Error) -> MoveError + use<> {
    let shard = shard.to_owned();
    move |source| MoveError::Sql { shard, doing, source }
}
