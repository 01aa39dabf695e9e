//! Which shard of which cluster a database is.

use sqlx::PgConnection;

/// What a database must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `namespace/name` of the cluster.
    pub cluster: String,
    /// The shard's name.
    pub shard: String,
    /// Number of slots of the cluster.
    pub slots: u32,
}

/// Why a database is not the configured one.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It belongs to another cluster.
    #[error(
        "the database of shard {shard} belongs to cluster {found}, not to {expected}; give this cluster a database of its own"
    )]
    OtherCluster {
        /// Configured shard.
        shard: String,
        /// Cluster stored in the database.
        found: String,
        /// Configured cluster.
        expected: String,
    },
    /// It is another shard of the same cluster: two shards point to one database, or their URIs were exchanged.
    #[error("the database of shard {shard} is already shard {found}; two shards must not share a database")]
    OtherShard {
        /// Configured shard.
        shard: String,
        /// Shard stored in the database.
        found: String,
    },
    /// The number of slots was changed.
    #[error(
        "shard {shard} was made for {found} slots, the configuration says {expected}; the number of slots never changes"
    )]
    OtherSlots {
        /// Configured shard.
        shard: String,
        /// Slots stored in the database.
        found: i32,
        /// Configured slots.
        expected: u32,
    },
    /// Two shards that have no identity yet are one database.
    #[error(
        "shards {other} and {shard} are one database; two shards must not share a database, so give each one of its own"
    )]
    SameDatabase {
        /// A configured shard.
        shard: String,
        /// Another one.
        other: String,
    },
    /// Something else has a schema of our name.
    #[error(
        "the database of shard {shard} has a schema \"chat\" that is not of this program; give the shard a database of its own, or rename that schema"
    )]
    OtherSchema {
        /// Configured shard.
        shard: String,
    },
    /// Another shard knows another database by this shard's name, and this one owns slots all the same.
    #[error(
        "shard {by} was migrated last with another database as shard {shard} than the one that is given now, which owns slots; one of the two \
         URIs names the wrong database"
    )]
    OtherDatabase {
        /// Configured shard.
        shard: String,
        /// The shard that remembers another one.
        by: String,
    },
    /// A newer program has migrated this shard, and not the others, which do not know it.
    #[error(
        "shard {shard} has schema version {version} of a newer chat-gateway, and shard {other} has version {other_version}; does the URI name a \
         database of another installation? if not, run the migration of the newer version to its end first"
    )]
    NewerSchema {
        /// Configured shard.
        shard: String,
        /// Its version.
        version: i32,
        /// A shard that is not newer than this program.
        other: String,
        /// The version of that one.
        other_version: i32,
    },
    /// The database failed.
    #[error("failed to read the identity of shard {shard}")]
    Sql {
        /// Configured shard.
        shard: String,
        /// The driver's error.
        #[source]
        source: sqlx::Error,
    },
}

/// Writes the identity into a database that has none, and compares it with the one that is there.
///
/// # Errors
/// The database is another shard's or cluster's, or was made for another number of slots.
pub async fn claim_identity(connection: &mut PgConnection, wanted: &Identity) -> Result<(), IdentityError> {
    let shard = wanted.shard.clone();
    let found = read(connection, wanted).await.map_err(|source| IdentityError::Sql { shard, source })?;
    compare(wanted, found)
}

/// Compares what a database says of itself: cluster, shard and slots.
pub(crate) fn compare(wanted: &Identity, (cluster, name, slots): (String, String, i32)) -> Result<(), IdentityError> {
    let shard = wanted.shard.clone();
    if cluster != wanted.cluster {
        return Err(IdentityError::OtherCluster { shard, found: cluster, expected: wanted.cluster.clone() });
    }
    if name != shard {
        return Err(IdentityError::OtherShard { shard, found: name });
    }
    if i64::from(slots) != i64::from(wanted.slots) {
        return Err(IdentityError::OtherSlots { shard, found: slots, expected: wanted.slots });
    }
    Ok(())
}

async fn read(connection: &mut PgConnection, wanted: &Identity) -> Result<(String, String, i32), sqlx::Error> {
    sqlx::query("insert into chat.settings (cluster, shard, slots) values ($1, $2, $3) on conflict do nothing")
        .bind(&wanted.cluster)
        .bind(&wanted.shard)
        .bind(i32::try_from(wanted.slots).unwrap_or(i32::MAX))
        .execute(&mut *connection)
        .await?;
    sqlx::query_as("select cluster, shard, slots from chat.settings").fetch_one(connection).await
}
