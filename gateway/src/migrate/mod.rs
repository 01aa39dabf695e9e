//! `chat-gateway migrate`: brings every shard to this program's schema, gives gateways their role, and gives slots that no
//! shard owns to shards. Idempotent; ends before new gateways start. Progress goes to the log, one line a step.

mod login;
mod shard;

use std::time::Duration;

use chat_gateway_config::{ConfigError, GatewayConfig};
use chat_shards::{AccessError, DistributeError, Identity, IdentityError};
use sqlx::PgConnection;

use crate::store::postgres::AUTHENTICATION_FAILED;

/// How long a shard may take to answer before the migration gives up; a new database's volume may still be formatting.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a migration came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The shards in the order of the configuration.
    pub shards: Vec<ShardReport>,
}

/// One shard after a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardReport {
    /// Its name.
    pub name: String,
    /// Slots that this run gave to it.
    pub given: usize,
    /// Slots that it knew before: owned, in transit, or moved away.
    pub known: usize,
}

/// Why a migration did not come to its end. Running it again is always safe.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The configuration is wrong.
    #[error("invalid configuration")]
    Config(#[from] ConfigError),
    /// A URI file cannot be read or parsed.
    #[error("failed to read the URI of shard {shard} from {path}: {cause}")]
    Uri {
        /// The shard.
        shard: String,
        /// The file.
        path: String,
        /// Why, without its contents.
        cause: String,
    },
    /// The shard did not answer in time.
    #[error("shard {shard} did not answer within {} s: {cause}", PATIENCE.as_secs())]
    Unreachable {
        /// The shard.
        shard: String,
        /// Reason word of the last try.
        reason: &'static str,
        /// What the last try said.
        cause: String,
    },
    /// The shard refuses the user or the password. Told at once: waiting would not mend it.
    #[error("shard {shard} refuses the credentials of the migration: {cause}")]
    Denied {
        /// The shard.
        shard: String,
        /// What it said.
        cause: String,
    },
    /// A migration failed.
    #[error("failed to migrate the schema of shard {shard}")]
    Schema {
        /// The shard.
        shard: String,
        /// The migrator's error.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// The database is not the configured shard.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The gateways' role could not be set up.
    #[error("failed to give gateways access to shard {shard}")]
    Access {
        /// The shard.
        shard: String,
        /// Why.
        #[source]
        source: AccessError,
    },
    /// Slots have no owner.
    #[error(transparent)]
    Distribute(#[from] DistributeError),
    /// The database failed.
    #[error("shard {shard} failed")]
    Sql {
        /// The shard.
        shard: String,
        /// The driver's error.
        #[source]
        source: sqlx::Error,
    },
}

impl MigrateError {
    /// One word for it, of those in `docs/reference/gateway.md`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { reason, .. } => reason,
            Self::Denied { .. } => AUTHENTICATION_FAILED,
            Self::Uri { .. } => "InvalidUri",
            Self::Config(_)
            | Self::Schema { .. }
            | Self::Identity(_)
            | Self::Access { .. }
            | Self::Distribute(_)
            | Self::Sql { .. } => "MigrationFailed",
        }
    }
}

/// How to connect with the URI in a shard's file. No error quotes its contents.
///
/// # Errors
/// [`MigrateError::Uri`].
pub(crate) async fn uri_file(
    shard: &str,
    path: &std::path::Path,
) -> Result<sqlx::postgres::PgConnectOptions, MigrateError> {
    Ok(login::read(shard, path).await?.options)
}

/// Migrates every shard, then gives out slots.
///
/// # Errors
/// The first thing that stands in the way; nothing is given out unless every shard answered and is what it should be.
pub async fn run(config: &GatewayConfig) -> Result<Report, MigrateError> {
    config.validate()?;
    let mut shards: Vec<_> = config.database.shards.iter().collect();
    // In the order of names, so that two runs with shards listed differently take the locks in one order.
    shards.sort_by(|a, b| a.name.cmp(&b.name));
    let mut open = Vec::with_capacity(shards.len());
    for shard in shards {
        let identity =
            Identity { cluster: config.cluster.clone(), shard: shard.name.clone(), slots: config.database.slots };
        open.push((shard.name.clone(), shard::prepare(shard, &identity).await?));
    }
    let mut given = distribute(config.database.slots, &mut open).await?;
    let order = |name: &str| config.database.shards.iter().position(|s| s.name == name);
    given.sort_by_key(|report| order(&report.name));
    Ok(Report { shards: given })
}

/// Gives out what nobody owns. Every shard's connection holds its migration lock, so this is alone.
async fn distribute(slots: u32, open: &mut [(String, PgConnection)]) -> Result<Vec<ShardReport>, MigrateError> {
    let mut known = Vec::with_capacity(open.len());
    for (shard, connection) in open.iter_mut() {
        known.push(chat_shards::census(connection).await.map_err(|source| sql(shard, source))?);
    }
    let plan = chat_shards::plan(slots, &known)?;
    // Two passes: "distributed" is only true once every shard has its share.
    for complete in [false, true] {
        for ((shard, connection), share) in open.iter_mut().zip(&plan) {
            chat_shards::write_plan(connection, share, complete).await.map_err(|source| sql(shard, source))?;
        }
    }
    let report = |((name, _), (share, census)): (&(String, PgConnection), (&Vec<i32>, &chat_shards::Census))| {
        tracing::info!(shard = %name, given = share.len(), known = census.known.len(), "slots are settled");
        ShardReport { name: name.clone(), given: share.len(), known: census.known.len() }
    };
    Ok(open.iter().zip(plan.iter().zip(&known)).map(report).collect())
}

fn sql(shard: &str, source: sqlx::Error) -> MigrateError {
    MigrateError::Sql { shard: shard.to_owned(), source }
}
