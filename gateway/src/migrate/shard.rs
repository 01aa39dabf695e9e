//! One shard's migration, from the first look to the gateways' rights.

use std::time::Duration;

use chat_gateway_config::Shard;
use chat_shards::{Identity, Login, MIGRATION_LOCK, Sight};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep, timeout};

use super::{
    MigrateError, PATIENCE,
    login::{self, UriFile},
    sql,
};
use crate::store::postgres::{AUTHENTICATION_FAILED, Cause, INVALID_SETTINGS, TLS_FAILED, cause};

/// Between tries, and between progress lines.
const PAUSE: Duration = Duration::from_secs(1);

/// A setting that only a connection to the server itself can have.
const DIRECT: &str = "chatcluster.direct";

/// A shard that has been looked at.
pub(super) struct Opened {
    pub(super) identity: Identity,
    /// How gateways sign in, and how else they are to be let in.
    gateways: Vec<Login>,
    /// By what the owner comes from now on, where its password is replaced.
    owner: Option<Login>,
    pub(super) connection: PgConnection,
    pub(super) sight: Sight,
}

impl Opened {
    /// Connects and looks, and changes nothing.
    pub(super) async fn open(shard: &Shard, identity: Identity) -> Result<Self, MigrateError> {
        let (gateway, further) = login::read(&shard.name, &shard.uri_file).await?;
        let gateways = std::iter::once(&gateway).chain(&further).map(|file| file.login.clone()).collect();
        let (owner, next) = match &shard.migration_uri_file {
            Some(path) => login::read(&shard.name, path).await?,
            None => (gateway, Vec::new()),
        };
        let mut connection = connect_as_any(&shard.name, &owner, &next).await?;
        refuse_pooler(&shard.name, &mut connection).await?;
        let sight = chat_shards::look(&mut connection, &identity).await?;
        let owner = next.last().map(|next| next.login.clone());
        Ok(Self { identity, gateways, owner, connection, sight })
    }

    /// Looks again.
    pub(super) async fn look(&mut self) -> Result<(), MigrateError> {
        self.sight = chat_shards::look(&mut self.connection, &self.identity).await?;
        Ok(())
    }

    /// Takes the migration lock for as long as the connection lives, migrates, checks the identity, grants.
    pub(super) async fn prepare(&mut self) -> Result<(), MigrateError> {
        let shard = self.identity.shard.clone();
        let connection = &mut self.connection;
        tracing::info!(shard, "connected, waiting for other migrations to end");
        sqlx::query("select pg_advisory_lock($1)")
            .bind(MIGRATION_LOCK)
            .execute(&mut *connection)
            .await
            .map_err(|source| sql(&shard, source))?;
        let version = chat_shards::migrate(connection)
            .await
            .map_err(|source| MigrateError::Schema { shard: shard.clone(), source })?;
        if version > i64::from(chat_shards::SCHEMA_VERSION) {
            let own = chat_shards::SCHEMA_VERSION;
            tracing::info!(shard, version, own, "schema is of a newer gateway, and is left as it is");
        } else {
            tracing::info!(shard, version, "schema is current");
        }
        chat_shards::claim_identity(connection, &self.identity).await?;
        chat_shards::grant_access(connection, &self.gateways)
            .await
            .map_err(|source| MigrateError::Access { shard: shard.clone(), source })?;
        let users: Vec<&str> = self.gateways.iter().map(|login| login.user.as_str()).collect();
        tracing::info!(shard, users = users.join(", "), "gateways have access");
        if let Some(owner) = &self.owner {
            chat_shards::set_password(connection, owner)
                .await
                .map_err(|source| MigrateError::Access { shard: shard.clone(), source })?;
            tracing::info!(shard, user = owner.user, "the owner has the password of the last line");
        }
        Ok(())
    }
}

/// Connects by the first URI that is let in: which one that is depends on how far a migration came before this one.
async fn connect_as_any(shard: &str, first: &UriFile, further: &[UriFile]) -> Result<PgConnection, MigrateError> {
    let mut connected = connect(shard, &first.options).await;
    for next in further {
        if !matches!(connected, Err(MigrateError::Denied { .. })) {
            break;
        }
        connected = connect(shard, &next.options).await;
    }
    connected
}

/// A pooler does not hand on what the connection asks for. What it does to locks would be seen much later, as two migrations at once.
async fn refuse_pooler(shard: &str, connection: &mut PgConnection) -> Result<(), MigrateError> {
    let asked = sqlx::query_scalar("select current_setting($1, true)").bind(DIRECT).fetch_one(connection).await;
    let told: Option<String> = asked.map_err(|source| match cause(&source) {
        Some(Cause { reason: INVALID_SETTINGS, message }) => {
            MigrateError::Pooled { shard: shard.to_owned(), cause: message }
        }
        _ => sql(shard, source),
    })?;
    if told.as_deref() == Some("yes") {
        return Ok(());
    }
    let cause = "what a connection asks for does not reach the server".to_owned();
    Err(MigrateError::Pooled { shard: shard.to_owned(), cause })
}

async fn connect(shard: &str, options: &PgConnectOptions) -> Result<PgConnection, MigrateError> {
    let options = options.clone().application_name("chat-gateway migrate").options([(DIRECT, "yes")]);
    let options = options.disable_statement_logging();
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
        if reason == TLS_FAILED {
            return Err(MigrateError::Untrusted { shard: shard.to_owned(), cause });
        }
        if reason == INVALID_SETTINGS {
            return Err(MigrateError::Pooled { shard: shard.to_owned(), cause });
        }
        if Instant::now() >= deadline {
            return Err(MigrateError::Unreachable { shard: shard.to_owned(), reason, cause });
        }
        let left = (deadline - Instant::now()).as_secs();
        tracing::info!(shard, %cause, seconds_left = left, "waiting for the shard to answer");
        sleep(PAUSE).await;
    }
}
