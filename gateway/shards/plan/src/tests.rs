//! Against bounds, against brute force, and that a second plan is empty.

use proptest::prelude::*;

use super::*;

fn shard(name: &str, weight: u32) -> Shard {
    Shard { name: name.to_owned(), weight, draining: false }
}

fn named(count: usize) -> Vec<Shard> {
    (0..count).map(|nth| shard(&format!("s{nth}"), 1)).collect()
}

fn even(slots: u32, owners: usize) -> Vec<Slot> {
    let owner = |slot: u32| slot as usize * owners / slots as usize;
    (0..slots).map(|slot| Slot { slot, shard: owner(slot), load: 1, rests: false }).collect()
}

/// The slots as they are after a plan.
fn carried_out(shards: &[Shard], slots: &[Slot], moves: &[Move]) -> Vec<Slot> {
    let mut slots = slots.to_vec();
    for moved in moves {
        let at = slots.iter_mut().find(|slot| slot.slot == moved.slot).unwrap();
        assert_eq!(shards[at.shard].name, moved.from);
        at.shard = shards.iter().position(|shard| shard.name == moved.to).unwrap();
    }
    slots
}

fn counts(shards: &[Shard], slots: &[Slot]) -> Vec<u64> {
    (0..shards.len()).map(|shard| slots.iter().filter(|slot| slot.shard == shard).map(|slot| slot.load).sum()).collect()
}

#[test]
fn shards_that_are_added_get_their_share_and_nothing_else_moves() {
    for (from, to, most) in [(2, 3, 342), (3, 4, 256), (4, 5, 205), (2, 4, 512)] {
        let (shards, slots) = (named(to), even(1_024, from));
        let moves = plan(&shards, &slots, Rules::default()).unwrap();
        assert!(moves.len() <= most, "{from} to {to}: {} moves", moves.len());
        let after = counts(&shards, &carried_out(&shards, &slots, &moves));
        assert!(after.iter().max().unwrap() - after.iter().min().unwrap() <= 1, "{after:?}");
        assert!(moves.iter().all(|one| one.to.strip_prefix('s').unwrap().parse::<usize>().unwrap() >= from));
    }
}

#[test]
fn a_shard_that_is_to_go_gives_everything_away_and_the_others_keep_theirs() {
    let (mut shards, slots) = (named(4), even(1_024, 4));
    shards[1].draining = true;
    let moves = plan(&shards, &slots, Rules::default()).unwrap();
    assert_eq!((moves.len(), moves.iter().all(|one| one.from == "s1")), (256, true));
    assert_eq!(counts(&shards, &carried_out(&shards, &slots, &moves)), [342, 0, 341, 341]);
    let mut resting = slots.clone();
    resting.iter_mut().for_each(|slot| slot.rests = true);
    assert_eq!(plan(&shards, &resting, Rules::default()).unwrap().len(), 256, "it goes all the same");
    shards.iter_mut().for_each(|shard| shard.draining = true);
    assert_eq!(plan(&shards, &slots, Rules::default()), Err(PlanError::NobodyStays));
}

#[test]
fn weights_are_kept_to_and_what_is_tolerable_is_left_alone() {
    let shards = [shard("small", 1), shard("large", 3)];
    let moves = plan(&shards, &even(1_024, 2), Rules::default()).unwrap();
    assert_eq!((moves.len(), moves[0].to.as_str()), (256, "large"));
    let mut slots = even(1_024, 2);
    slots[..40].iter_mut().for_each(|slot| slot.shard = 1);
    assert_eq!(plan(&named(2), &slots, Rules::default()).unwrap(), [], "8 percent");
    slots[..60].iter_mut().for_each(|slot| slot.shard = 1);
    assert_eq!(plan(&named(2), &slots, Rules::default()).unwrap().len(), 60, "12 percent");
    slots.iter_mut().for_each(|slot| slot.rests = true);
    assert_eq!(plan(&named(2), &slots, Rules::default()).unwrap(), [], "they have just moved");
}

/// A room that has become half of everything: its slot stays, and the others make room for it.
#[test]
fn a_hot_slot_is_not_thrown_to_and_fro() {
    let mut slots = even(64, 2);
    slots[0].load = 62;
    let moves = plan(&named(2), &slots, Rules::default()).unwrap();
    assert_eq!((moves.len(), moves.iter().all(|one| one.slot > 0 && one.to == "s1")), (30, true), "{moves:?}");
}

#[test]
fn a_slot_of_nobody_is_an_error() {
    let slots = [Slot { slot: 9, shard: 2, load: 1, rests: false }];
    assert_eq!(plan(&named(2), &slots, Rules::default()), Err(PlanError::Ownerless(9)));
}

#[test]
fn a_load_is_the_larger_share_of_bytes_and_writes() {
    let measure = |bytes, milli_writes| Measure { bytes, milli_writes };
    let [empty, big, busy, both] = loads(&[measure(0, 0), measure(500, 0), measure(0, 80), measure(500, 20)])[..]
    else {
        panic!()
    };
    assert!(empty > 0 && big > empty && busy > big && both == big, "{empty} {big} {busy} {both}");
    assert_eq!(loads(&[Measure::default(); 2])[0], loads(&[Measure::default(); 2])[1]);
}

/// What is above the shares, doubled, after the best of all assignments that are reached with no more load moved.
fn brute(shards: &[Shard], slots: &[Slot], moved: u64) -> i128 {
    let assignments = (0..shards.len().pow(slots.len() as u32)).map(|code| {
        let mut rest = code;
        slots
            .iter()
            .map(|_| {
                let owner = rest % shards.len();
                rest /= shards.len();
                owner
            })
            .collect::<Vec<_>>()
    });
    let cost = |owners: &Vec<usize>| -> u64 {
        slots.iter().zip(owners).filter(|(slot, owner)| slot.shard != **owner).map(|(slot, _)| slot.load).sum()
    };
    let lawful = |owners: &Vec<usize>| owners.iter().all(|owner| !shards[*owner].draining);
    assignments
        .filter(|owners| cost(owners) <= moved && lawful(owners))
        .map(|owners| {
            deviation(
                shards,
                &slots.iter().zip(owners).map(|(slot, shard)| Slot { shard, ..slot.clone() }).collect::<Vec<_>>(),
            )
        })
        .min()
        .unwrap()
}

/// The sum of all distances from the shares, times the sum of the weights.
fn deviation(shards: &[Shard], slots: &[Slot]) -> i128 {
    let weight = |shard: &Shard| if shard.draining { 0 } else { i128::from(shard.weight) };
    let whole: i128 = slots.iter().map(|slot| i128::from(slot.load)).sum();
    let weights: i128 = shards.iter().map(weight).sum();
    let loads = counts(shards, slots);
    shards.iter().zip(loads).map(|(shard, load)| (i128::from(load) * weights - whole * weight(shard)).abs()).sum()
}

fn worlds(
    slots: std::ops::Range<u32>,
    shards: std::ops::Range<usize>,
) -> impl Strategy<Value = (Vec<Shard>, Vec<Slot>)> {
    (slots, shards).prop_flat_map(|(slots, shards)| {
        let shard = (1_u32..6, proptest::bool::weighted(0.2));
        let slot = (0..shards, 1_u64..20);
        (prop::collection::vec(shard, shards), prop::collection::vec(slot, slots as usize)).prop_map(
            |(shards, slots)| {
                let mut shards: Vec<Shard> = (0..)
                    .zip(shards)
                    .map(|(nth, (weight, draining))| Shard { name: format!("s{nth}"), weight, draining })
                    .collect();
                shards[0].draining = false;
                let slots =
                    (0..).zip(slots).map(|(slot, (shard, load))| Slot { slot, shard, load, rests: false }).collect();
                (shards, slots)
            },
        )
    })
}

proptest! {
    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_plan((shards, slots) in worlds(1..200, 1..12)) {
        let moves = plan(&shards, &slots, Rules::default()).unwrap();
        let after = carried_out(&shards, &slots, &moves);
        prop_assert_eq!(plan(&shards, &after, Rules::default()).unwrap(), Vec::<Move>::new());
        prop_assert!(after.iter().all(|slot| !shards[slot.shard].draining));
        prop_assert!(deviation(&shards, &after) <= deviation(&shards, &slots));
    }

    /// With slots that can be divided well, no more is moved than is above the shares.
    #[test]
    fn no_more_moves_than_has_to((shards, slots) in worlds(300..400, 2..6)) {
        let share = |shard: &Shard| if shard.draining { 0.0 } else { f64::from(shard.weight) };
        let weights: f64 = shards.iter().map(share).sum();
        let whole: u64 = slots.iter().map(|slot| slot.load).sum();
        let bound: f64 = shards.iter().zip(counts(&shards, &slots))
            .map(|(shard, load)| (load as f64 - share(shard) * whole as f64 / weights).max(0.0)).sum();
        let moves = plan(&shards, &slots, Rules::default()).unwrap();
        let moved: u64 = moves.iter().map(|one| slots[one.slot as usize].load).sum();
        prop_assert!(moved as f64 <= bound * 1.05 + 20.0, "{} of {}", moved, bound);
    }

    /// No assignment that moves as little is nearer to the shares by more than one slot.
    #[test]
    fn few_slots_are_placed_about_as_well_as_they_can_be((shards, slots) in worlds(1..7, 2..4)) {
        let rules = Rules { tolerance_percent: 0, least_gain_percent: 50 };
        let moves = plan(&shards, &slots, rules).unwrap();
        let moved: u64 = moves.iter().map(|one| slots[one.slot as usize].load).sum();
        let weights: i128 = shards.iter().filter(|shard| !shard.draining).map(|shard| i128::from(shard.weight)).sum();
        let largest = i128::from(slots.iter().map(|slot| slot.load).max().unwrap_or_default());
        let ours = deviation(&shards, &carried_out(&shards, &slots, &moves));
        let best = brute(&shards, &slots, moved);
        prop_assert!(ours <= best + 2 * largest * weights, "{} and {}", ours, best);
    }
}
