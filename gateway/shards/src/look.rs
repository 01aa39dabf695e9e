//! A look at a database before anything is changed there, and what must not be migrated.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Identity, IdentityError, SCHEMA_VERSION,
    distribute::{Census, Holding, census},
    identity::compare,
};

/// The schema that first had `chat.peers`.
const PEERS_SINCE: i32 = 15;

/// What a database is, before it is migrated.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Name of the shard that it is to be.
    pub shard: String,
    /// Which database of which server: the same for two URIs that lead to one.
    pub place: (String, i64),
    /// Version of its schema; 0 before its first migration.
    pub version: i32,
    /// Its random id; none before its first migration.
    pub id: Option<Uuid>,
    /// Slots that it has rows of.
    pub census: Census,
    /// Ids of the shards that it was migrated with last.
    pub peers: Vec<(String, Uuid)>,
}

/// Looks at a database, and changes nothing.
///
/// # Errors
/// It is another shard's or cluster's, for another number of slots, or has a foreign schema of our name; the database's.
pub async fn look(connection: &mut PgConnection, wanted: &Identity) -> Result<Sight, IdentityError> {
    let shard = wanted.shard.clone();
    let sql = |source| IdentityError::Sql { shard: shard.clone(), source };
    let (started, oid, foreign, migrated, settled): (String, i64, bool, bool, bool) = sqlx::query_as(
        "select pg_postmaster_start_time()::text, (select oid::bigint from pg_database where datname = current_database()), \
         exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'chat') \
         or exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'chat') \
         or exists (select from pg_type t join pg_namespace n on n.oid = t.typnamespace where n.nspname = 'chat'), \
         to_regclass('chat.migrations') is not null, to_regclass('chat.settings') is not null",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(sql)?;
    // The list of migrations is made before anything else of ours.
    if foreign && !migrated {
        return Err(IdentityError::OtherSchema { shard });
    }
    let mut sight = Sight {
        shard: shard.clone(),
        place: (started, oid),
        version: 0,
        id: None,
        census: Census { shard: shard.clone(), ..Census::default() },
        peers: Vec::new(),
    };
    if !settled {
        return Ok(sight);
    }
    let version: Option<i32> = sqlx::query_scalar("select max(version)::integer from chat.migrations where success")
        .fetch_one(&mut *connection)
        .await
        .map_err(sql)?;
    sight.version = version.unwrap_or(0);
    let found: Option<(String, String, i32, Uuid)> =
        sqlx::query_as("select cluster, shard, slots, shard_id from chat.settings")
            .fetch_optional(&mut *connection)
            .await
            .map_err(sql)?;
    let Some((cluster, name, slots, id)) = found else { return Ok(sight) };
    compare(wanted, (cluster, name, slots))?;
    sight.id = Some(id);
    sight.census = census(connection).await.map_err(sql)?;
    if sight.version >= PEERS_SINCE {
        sight.peers =
            sqlx::query_as("select shard, shard_id from chat.peers").fetch_all(connection).await.map_err(sql)?;
    }
    Ok(sight)
}

/// Whether these databases are the shards of one cluster, as far as each alone cannot say.
///
/// # Errors
/// Two are one database, a shard is another database than the others know and owns slots, or one that the others do not know is of a newer version.
pub fn are_one_cluster(shards: &[Sight]) -> Result<(), IdentityError> {
    for (nth, shard) in shards.iter().enumerate() {
        if let Some(other) = shards[..nth].iter().find(|other| other.place == shard.place) {
            return Err(IdentityError::SameDatabase { shard: shard.shard.clone(), other: other.shard.clone() });
        }
        let known_as = |by: &Sight| by.peers.iter().find(|(name, _)| *name == shard.shard).map(|(_, id)| *id);
        // One that comes back empty takes nothing from anybody; whether its slots are somewhere else is the plan's to see.
        let holds = shard.census.slots.values().any(|holding| !matches!(holding, Holding::Gone { .. }));
        let differs = |by: &&Sight| known_as(by).is_some_and(|id| Some(id) != shard.id);
        if let Some(by) = shards.iter().find(differs).filter(|_| holds) {
            return Err(IdentityError::OtherDatabase { shard: shard.shard.clone(), by: by.shard.clone() });
        }
        // A migration that was interrupted leaves shards of both versions, too; but then they know each other.
        let older = |other: &&Sight| (1..=SCHEMA_VERSION).contains(&other.version) && known_as(other).is_none();
        if shard.version > SCHEMA_VERSION
            && let Some(other) = shards.iter().find(older)
        {
            return Err(IdentityError::NewerSchema {
                shard: shard.shard.clone(),
                version: shard.version,
                other: other.shard.clone(),
                other_version: other.version,
            });
        }
    }
    Ok(())
}

/// Notes on one shard which databases all shards are.
///
/// # Errors
/// The database's.
pub async fn write_peers(connection: &mut PgConnection, all: &[(String, Uuid)]) -> Result<(), sqlx::Error> {
    let (names, ids): (Vec<&str>, Vec<Uuid>) = all.iter().map(|(name, id)| (name.as_str(), *id)).unzip();
    sqlx::query(
        "with given as (select * from unnest($1::text[], $2::uuid[]) as g (shard, shard_id)), \
         gone as (delete from chat.peers p where p.shard not in (select shard from given)) \
         insert into chat.peers (shard, shard_id) select shard, shard_id from given \
         on conflict (shard) do update set shard_id = excluded.shard_id where chat.peers.shard_id <> excluded.shard_id",
    )
    .bind(names)
    .bind(ids)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(shard: &str, id: u128, slots: std::ops::Range<i32>, peers: &[(&str, u128)]) -> Sight {
        Sight {
            shard: shard.into(),
            place: (shard.into(), 1),
            version: SCHEMA_VERSION,
            id: Some(Uuid::from_u128(id)),
            census: Census {
                shard: shard.into(),
                slots: slots.map(|slot| (slot, Holding::Owned { epoch: 1 })).collect(),
                distributed: true,
            },
            peers: peers.iter().map(|(name, id)| ((*name).into(), Uuid::from_u128(*id))).collect(),
        }
    }

    #[test]
    fn two_names_of_one_database_are_found_before_it_has_an_identity() {
        let mut twin = sight("b", 0, 0..0, &[]);
        twin.place = ("a".into(), 1);
        twin.id = None;
        let refused = are_one_cluster(&[sight("a", 1, 0..0, &[]), twin]);
        assert!(matches!(&refused, Err(IdentityError::SameDatabase { shard, other }) if shard == "b" && other == "a"));
    }

    #[test]
    fn another_database_under_a_known_name_is_refused_when_it_owns_slots() {
        let a = sight("a", 1, 0..4, &[("a", 1), ("b", 2)]);
        assert!(are_one_cluster(&[a.clone(), sight("b", 2, 4..8, &[("a", 1), ("b", 2)])]).is_ok());
        // It owns what the true one owns: nothing else tells them apart.
        let foreign = sight("b", 3, 4..8, &[("a", 9), ("b", 3)]);
        let refused = are_one_cluster(&[a.clone(), foreign]);
        assert!(matches!(&refused, Err(IdentityError::OtherDatabase { .. })), "{refused:?}");
        // An empty one in the place of one that was removed, or is lost.
        let mut empty = sight("b", 3, 0..0, &[]);
        assert!(are_one_cluster(&[a.clone(), empty.clone()]).is_ok());
        empty.id = None;
        assert!(are_one_cluster(&[a, empty]).is_ok());
    }

    #[test]
    fn a_newer_schema_among_others_needs_their_word() {
        let mut newer = sight("b", 2, 4..8, &[]);
        newer.version = SCHEMA_VERSION + 1;
        let refused = are_one_cluster(&[sight("a", 1, 0..4, &[]), newer.clone()]);
        let found = matches!(&refused, Err(IdentityError::NewerSchema { shard, version, other, .. })
            if shard == "b" && *version == SCHEMA_VERSION + 1 && other == "a");
        assert!(found, "{refused:?}");
        // A migration of the newer version that was interrupted.
        assert!(are_one_cluster(&[sight("a", 1, 0..4, &[("b", 2)]), newer.clone()]).is_ok());
        // All of them newer, but for one that is new.
        let mut new = sight("c", 0, 0..0, &[]);
        (new.version, new.id) = (0, None);
        let mut other = sight("a", 1, 0..4, &[]);
        other.version = SCHEMA_VERSION + 1;
        assert!(are_one_cluster(&[other, newer, new]).is_ok());
    }
}
