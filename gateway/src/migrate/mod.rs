//! `chat-gateway migrate`: brings every shard to this program's schema, gives gateways their role, and gives slots that no
//! shard owns to shards. Idempotent; ends before new gateways start. Progress goes to the log, one line a step.

mod login;
mod shard;

use std::{path::Path, time::Duration};

use chat_gateway_config::{ConfigError, GatewayConfig};
use chat_shards::{AccessError, DistributeError, Identity, IdentityError};
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::{sleep, timeout};

use self::shard::Opened;
use crate::store::postgres::{AUTHENTICATION_FAILED, INVALID_SETTINGS, TLS_FAILED};

/// How long a shard may take to answer before the migration gives up; a new database's volume may still be formatting.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between looks at shards that do not seem to fit each other: longer than the hand-over of a slot takes.
const AGAIN: Duration = Duration::from_secs(1);

/// Bound of a try whether one of several URIs is let in.
const VISIT: Duration = Duration::from_secs(5);

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
    /// One side does not trust the other's certificate. Told at once: waiting would not mend it.
    #[error("shard {shard} cannot be reached by a connection that both sides trust: {cause}")]
    Untrusted {
        /// The shard.
        shard: String,
        /// Who refuses whom.
        cause: String,
    },
    /// A pooler is before the shard. Told at once.
    #[error(
        "the URI of the owner of shard {shard} leads through a pooler: {cause}; the migration and moves of slots keep locks for as long as a \
         connection stands: name the server itself under the key `migrationUri` of the shard's Secret"
    )]
    Pooled {
        /// The shard.
        shard: String,
        /// By what it is seen.
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
            Self::Untrusted { .. } => TLS_FAILED,
            Self::Pooled { .. } => INVALID_SETTINGS,
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

/// How to connect with what is in a shard's file. Of several URIs it is the first that is let in, or the last one. No error quotes its contents.
///
/// # Errors
/// [`MigrateError::Uri`].
pub(crate) async fn uri_file(shard: &str, path: &Path) -> Result<PgConnectOptions, MigrateError> {
    let (first, further) = login::read(shard, path).await?;
    let mut options = first.options;
    for next in further {
        let visit = async { PgConnection::connect_with(&options).await?.close().await };
        if timeout(VISIT, visit).await.is_ok_and(|outcome| outcome.is_ok()) {
            break;
        }
        options = next.options;
    }
    Ok(options)
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
        open.push(Opened::open(shard, identity).await?);
    }
    // Nothing is changed on any of them before all of them are what they should be.
    judge(config.database.slots, &mut open).await?;
    for shard in &mut open {
        shard.prepare().await?;
    }
    let mut given = distribute(config.database.slots, &mut open).await?;
    let order = |name: &str| config.database.shards.iter().position(|s| s.name == name);
    given.sort_by_key(|report| order(&report.name));
    Ok(Report { shards: given })
}

/// Whether the shards fit each other. They were looked at one after the other, and a slot that moved meanwhile seems to have two owners, or none:
/// what is still so at a second and a third look is.
async fn judge(slots: u32, open: &mut [Opened]) -> Result<(), MigrateError> {
    for again in [true, true, false] {
        let sights: Vec<_> = open.iter().map(|shard| shard.sight.clone()).collect();
        chat_shards::are_one_cluster(&sights)?;
        let censuses: Vec<_> = sights.into_iter().map(|sight| sight.census).collect();
        match chat_shards::plan(slots, &censuses) {
            Ok(_) => return Ok(()),
            Err(error) if !again => return Err(error.into()),
            Err(_) => {}
        }
        sleep(AGAIN).await;
        for shard in open.iter_mut() {
            shard.look().await?;
        }
    }
    Ok(())
}

/// Gives out what nobody owns, and notes on each shard which databases all are. Every shard's connection holds its migration lock, so this is alone.
async fn distribute(slots: u32, open: &mut [Opened]) -> Result<Vec<ShardReport>, MigrateError> {
    // Moves go on meanwhile.
    for shard in open.iter_mut() {
        shard.look().await?;
    }
    judge(slots, open).await?;
    let known: Vec<_> = open.iter().map(|shard| shard.sight.census.clone()).collect();
    let plan = chat_shards::plan(slots, &known)?;
    // Two passes: "distributed" is only true once every shard has its share.
    for complete in [false, true] {
        for (shard, share) in open.iter_mut().zip(&plan) {
            let written = chat_shards::write_plan(&mut shard.connection, share, complete).await;
            written.map_err(|source| sql(&shard.identity.shard, source))?;
        }
    }
    let all: Vec<_> = open.iter().filter_map(|shard| Some((shard.identity.shard.clone(), shard.sight.id?))).collect();
    for shard in open.iter_mut() {
        let written = chat_shards::write_peers(&mut shard.connection, &all).await;
        written.map_err(|source| sql(&shard.identity.shard, source))?;
    }
    let report = |((shard, share), census): ((&Opened, &Vec<i32>), &chat_shards::Census)| {
        let (name, known) = (shard.identity.shard.clone(), census.slots.len());
        tracing::info!(shard = name, given = share.len(), known, "slots are settled");
        ShardReport { name, given: share.len(), known }
    };
    Ok(open.iter().zip(&plan).zip(&known).map(report).collect())
}

fn sql(shard: &str, source: sqlx::Error) -> MigrateError {
    MigrateError::Sql { shard: shard.to_owned(), source }
}
