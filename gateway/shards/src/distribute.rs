//! Giving slots that nobody owns to shards: the pure plan, and reading and writing of one shard.

use std::collections::BTreeMap;

use sqlx::PgConnection;

/// What one shard says of slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// The shard's name.
    pub shard: String,
    /// Slots it has any row of.
    pub slots: BTreeMap<i32, Holding>,
    /// Whether the cluster's first distribution was completed while this shard was part of it.
    pub distributed: bool,
}

/// What a shard has of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// It accepts writes, or will when a fence ends.
    Owned {
        /// Since which epoch.
        epoch: i64,
    },
    /// It is about to accept writes, perhaps as the only one: the source may have given the slot up already.
    Arriving,
    /// It did once.
    Gone {
        /// Name of the shard that has had it since.
        to: String,
    },
}

/// Slots to give, parallel to the shards that were asked.
pub type Plan = Vec<Vec<i32>>;

/// Why slots cannot be given out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DistributeError {
    /// The owner of slots is not there. Giving them out again would hide its data.
    #[error(
        "{count} slots (first: {first}{}) are owned by none of the configured shards; was a shard removed from the configuration \
         before its slots were moved away? put it back", last.as_ref().map(|shard| format!(", last seen on shard {shard}")).unwrap_or_default()
    )]
    Missing {
        /// How many slots have no owner.
        count: usize,
        /// The lowest of them.
        first: i32,
        /// The shard that the lowest one went to, where another one remembers.
        last: Option<String>,
    },
    /// Two shards accept writes of one slot.
    #[error(
        "slot {slot} is owned by shard {one} (epoch {one_epoch}) and by shard {other} (epoch {other_epoch}); was one of them restored from a \
         backup, or added again with old data? leave out the one with the lower epoch, or give it an empty database"
    )]
    Twice {
        /// The lowest slot of which it is so.
        slot: i32,
        /// A shard that has it.
        one: String,
        /// Its epoch there.
        one_epoch: i64,
        /// Another shard that has it.
        other: String,
        /// Its epoch there.
        other_epoch: i64,
    },
}

/// Plans contiguous even shares for slots that no shard holds. Slots that are held stay where they are.
///
/// # Errors
/// Slots are missing although all had been given out before, or a slot has two owners.
pub fn plan(slots: u32, shards: &[Census]) -> Result<Plan, DistributeError> {
    one_owner_each(shards)?;
    let slots = i32::try_from(slots).unwrap_or(i32::MAX);
    // A shard where it was is no shard where it is.
    let held = |slot: &i32| {
        shards.iter().any(|s| matches!(s.slots.get(slot), Some(Holding::Owned { .. } | Holding::Arriving)))
    };
    let went_to = |slot: &i32| {
        shards.iter().find_map(|s| match s.slots.get(slot) {
            Some(Holding::Gone { to }) => Some(to.clone()),
            _ => None,
        })
    };
    let missing: Vec<i32> = (0..slots).filter(|slot| !held(slot)).collect();
    let mut shares = vec![Vec::new(); shards.len()];
    let Some(&first) = missing.first() else { return Ok(shares) };
    if shards.iter().any(|s| s.distributed) || missing.iter().any(|slot| went_to(slot).is_some()) {
        return Err(DistributeError::Missing { count: missing.len(), first, last: went_to(&first) });
    }
    for slot in missing {
        let share = i64::from(slot) * shards.len() as i64 / i64::from(slots);
        shares[usize::try_from(share).unwrap_or_default()].push(slot);
    }
    Ok(shares)
}

fn one_owner_each(shards: &[Census]) -> Result<(), DistributeError> {
    let mut owners: BTreeMap<i32, (&str, i64)> = BTreeMap::new();
    for shard in shards {
        for (&slot, holding) in &shard.slots {
            let Holding::Owned { epoch } = *holding else { continue };
            if let Some((one, one_epoch)) = owners.insert(slot, (&shard.shard, epoch)) {
                let (one, other) = (one.to_owned(), shard.shard.clone());
                return Err(DistributeError::Twice { slot, one, one_epoch, other, other_epoch: epoch });
            }
        }
    }
    Ok(())
}

/// Asks one shard.
///
/// # Errors
/// The database's.
pub async fn census(connection: &mut PgConnection) -> Result<Census, sqlx::Error> {
    let (shard, distributed): (String, bool) =
        sqlx::query_as("select shard, distributed from chat.settings").fetch_one(&mut *connection).await?;
    let rows: Vec<(i32, String, i64, Option<String>)> =
        sqlx::query_as("select slot, state, epoch, peer from chat.slot_ownership").fetch_all(connection).await?;
    let holding = |(slot, state, epoch, peer): (i32, String, i64, Option<String>)| {
        let holding = match state.as_str() {
            "moved" => Holding::Gone { to: peer.unwrap_or_default() },
            "importing" => Holding::Arriving,
            _ => Holding::Owned { epoch },
        };
        (slot, holding)
    };
    Ok(Census { shard, slots: rows.into_iter().map(holding).collect(), distributed })
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

    fn shard(owned: std::ops::Range<i32>, distributed: bool) -> Census {
        let slots = owned.map(|slot| (slot, Holding::Owned { epoch: 1 })).collect();
        Census { shard: "s".into(), slots, distributed }
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
        assert_eq!(plan(8, &[shard(0..4, true)]), Err(DistributeError::Missing { count: 4, first: 4, last: None }));
    }

    #[test]
    fn a_tombstone_is_no_owner_and_an_arrival_is_one() {
        let mut old = shard(0..4, true);
        old.slots.insert(2, Holding::Gone { to: "away".into() });
        let missing = DistributeError::Missing { count: 1, first: 2, last: Some("away".into()) };
        assert!(missing.to_string().contains("last seen on shard away"), "{missing}");
        assert_eq!(plan(4, &[old.clone(), shard(0..0, true)]), Err(missing.clone()));
        // Also if nobody says that everything was given out: somebody has had it.
        old.distributed = false;
        assert_eq!(plan(4, std::slice::from_ref(&old)), Err(missing));
        let mut arriving = shard(0..0, false);
        arriving.slots.insert(2, Holding::Arriving);
        assert_eq!(plan(4, &[old, arriving]).unwrap(), vec![Vec::<i32>::new(); 2]);
    }

    #[test]
    fn two_owners_of_a_slot_are_named() {
        let mut other = shard(3..8, false);
        other.shard = "t".into();
        other.slots.insert(3, Holding::Owned { epoch: 9 });
        let twice =
            DistributeError::Twice { slot: 3, one: "s".into(), one_epoch: 1, other: "t".into(), other_epoch: 9 };
        assert_eq!(plan(8, &[shard(0..4, true), other]), Err(twice));
    }
}
