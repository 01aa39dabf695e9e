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
    let found = read(connection, wanted).await.map_err(|source| IdentityError::Sql { shard: shard.clone(), source })?;
    let (cluster, name, slots) = found;
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
