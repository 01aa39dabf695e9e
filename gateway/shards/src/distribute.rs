//! Giving slots that nobody owns to shards: the pure plan, and reading and writing of one shard.

use std::collections::HashSet;

use sqlx::PgConnection;

/// What one shard says of slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// The shard's name.
    pub shard: String,
    /// Slots it has any row of: owned, in transit, or a tombstone that tells where the slot went.
    pub known: HashSet<i32>,
    /// Whether the cluster's first distribution was completed while this shard was part of it.
    pub distributed: bool,
}

/// Slots to give, parallel to the shards that were asked.
pub type Plan = Vec<Vec<i32>>;

/// Why slots cannot be given out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{count} slots (first: {first}) are owned by none of the configured shards; was a shard removed from the configuration \
     before its slots were moved away? put it back"
)]
pub struct DistributeError {
    /// How many slots have no owner.
    pub count: usize,
    /// The lowest of them.
    pub first: i32,
}

/// Plans contiguous even shares for slots that no shard knows. Slots known anywhere stay where they are.
///
/// # Errors
/// Slots are missing although all had been given out before: giving them again would hide the data of their owner.
pub fn plan(slots: u32, shards: &[Census]) -> Result<Plan, DistributeError> {
    let slots = i32::try_from(slots).unwrap_or(i32::MAX);
    let missing: Vec<i32> = (0..slots).filter(|slot| !shards.iter().any(|s| s.known.contains(slot))).collect();
    let mut shares = vec![Vec::new(); shards.len()];
    let Some(&first) = missing.first() else { return Ok(shares) };
    if shards.iter().any(|s| s.distributed) {
        return Err(DistributeError { count: missing.len(), first });
    }
    for slot in missing {
        let share = i64::from(slot) * shards.len() as i64 / i64::from(slots);
        shares[usize::try_from(share).unwrap_or_default()].push(slot);
    }
    Ok(shares)
}

/// Asks one shard.
///
/// # Errors
/// The database's.
pub async fn census(connection: &mut PgConnection) -> Result<Census, sqlx::Error> {
    let (shard, distributed): (String, bool) =
        sqlx::query_as("select shard, distributed from chat.settings").fetch_one(&mut *connection).await?;
    let known: Vec<i32> = sqlx::query_scalar("select slot from chat.slot_ownership").fetch_all(connection).await?;
    Ok(Census { shard, known: known.into_iter().collect(), distributed })
}

/// Writes one shard's share of the plan; `complete` then marks the distribution as done on it. Idempotent.
///
/// # Errors
/// The database's.
pub async fn write_plan(connection: &mut PgConnection, share: &[i32], complete: bool) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into chat.slot_ownership (slot, shard, epoch, state) \
         select s, (select shard from chat.settings), 1, 'owned' from unnest($1::integer[]) as s on conflict do nothing",
    )
    .bind(share)
    .execute(&mut *connection)
    .await?;
    if complete {
        sqlx::query("update chat.settings set distributed = true where not distributed").execute(connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(known: std::ops::Range<i32>, distributed: bool) -> Census {
        Census { shard: "s".into(), known: known.collect(), distributed }
    }

    #[test]
    fn first_distribution_is_even_and_contiguous() {
        let plan = plan(1024, &[shard(0..0, false), shard(0..0, false)]).unwrap();
        assert_eq!(plan[0], (0..512).collect::<Vec<_>>());
        assert_eq!(plan[1], (512..1024).collect::<Vec<_>>());
        let plan = super::plan(10, &[shard(0..0, false), shard(0..0, false), shard(0..0, false)]).unwrap();
        assert_eq!(plan.iter().map(Vec::len).collect::<Vec<_>>(), [4, 3, 3]);
    }

    #[test]
    fn resumes_after_a_crash_half_way() {
        let plan = plan(8, &[shard(0..4, false), shard(0..0, false)]).unwrap();
        assert_eq!(plan, [vec![], vec![4, 5, 6, 7]]);
    }

    #[test]
    fn owned_slots_stay_when_a_shard_is_added() {
        assert_eq!(plan(8, &[shard(0..8, true), shard(0..0, false)]).unwrap(), vec![Vec::<i32>::new(); 2]);
    }

    #[test]
    fn refuses_to_give_away_the_slots_of_a_removed_shard() {
        assert_eq!(plan(8, &[shard(0..4, true)]), Err(DistributeError { count: 4, first: 4 }));
    }
}
