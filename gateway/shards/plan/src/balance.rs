//! The search: first everything off the shards that are to go, then from those that have too much to those that have too little.
//!
//! It looks at loads only, never at how they came about, so that it ends where it would begin anew. Every move brings the shards
//! nearer to their shares in sum, so it ends at all.

use std::{cmp::Reverse, collections::BTreeSet};

use crate::{Rules, Shard, Slot};

/// Loads are compared with shares of the whole by products with the sum of the weights: no fractions.
type Scaled = i128;

struct Balance<'a> {
    slots: &'a [Slot],
    rules: Rules,
    owners: Vec<usize>,
    /// Slots that may leave a shard, by load; of each shard.
    movable: Vec<BTreeSet<(u64, usize)>>,
    loads: Vec<Scaled>,
    weights: Vec<Scaled>,
    whole: Scaled,
    weight: Scaled,
}

/// The shards that own the slots afterwards, parallel to the slots.
pub(crate) fn balanced(shards: &[Shard], slots: &[Slot], rules: Rules) -> Vec<usize> {
    let mut balance = Balance::new(shards, slots, rules);
    balance.empty(shards);
    if balance.is_off() {
        while let Some((slot, to)) = balance.best() {
            balance.give(slot, to);
        }
    }
    balance.owners
}

impl<'a> Balance<'a> {
    fn new(shards: &[Shard], slots: &'a [Slot], rules: Rules) -> Self {
        let mut movable = vec![BTreeSet::new(); shards.len()];
        let mut loads = vec![0; shards.len()];
        for (at, slot) in slots.iter().enumerate() {
            loads[slot.shard] += Scaled::from(slot.load);
            if !slot.rests {
                movable[slot.shard].insert((slot.load, at));
            }
        }
        let weights: Vec<Scaled> =
            shards.iter().map(|shard| if shard.draining { 0 } else { shard.weight.max(1).into() }).collect();
        Self {
            slots,
            rules,
            owners: slots.iter().map(|slot| slot.shard).collect(),
            movable,
            whole: loads.iter().sum(),
            weight: weights.iter().sum(),
            loads,
            weights,
        }
    }

    /// What a shard has above its share, times the sum of the weights.
    fn above(&self, shard: usize) -> Scaled {
        self.loads[shard] * self.weight - self.whole * self.weights[shard]
    }

    /// Shards that stay.
    fn staying(&self) -> impl Iterator<Item = usize> + use<> {
        let stays: Vec<usize> = (0..self.weights.len()).filter(|shard| self.weights[*shard] > 0).collect();
        stays.into_iter()
    }

    /// Whether a shard is further from its share than is tolerated.
    fn is_off(&self) -> bool {
        let tolerance = Scaled::from(self.rules.tolerance_percent);
        self.staying().any(|shard| self.above(shard).abs() * 100 > self.whole * self.weights[shard] * tolerance)
    }

    /// Gives everything away that shards have which are to go, the largest first, to whoever misses most then.
    fn empty(&mut self, shards: &[Shard]) {
        let leaves = |owner: usize| shards.get(owner).is_some_and(|shard| shard.draining);
        let mut leaving: Vec<usize> = (0..self.slots.len()).filter(|slot| leaves(self.owners[*slot])).collect();
        leaving.sort_by_key(|slot| (Reverse(self.slots[*slot].load), *slot));
        for slot in leaving {
            // By the weight: of two that miss as much, the larger one is nearer to its share.
            let neediest = self.staying().min_by_key(|shard| (self.above(*shard), Reverse(self.weights[*shard])));
            if let Some(to) = neediest {
                self.give(slot, to);
            }
        }
    }

    /// The move that brings most: from the shard that has most above its share to the one that misses most, or from and to the next
    /// ones, where no slot fits.
    fn best(&self) -> Option<(usize, usize)> {
        let mut givers: Vec<usize> = self.staying().filter(|shard| self.above(*shard) > 0).collect();
        let mut takers: Vec<usize> = self.staying().filter(|shard| self.above(*shard) < 0).collect();
        givers.sort_by_key(|shard| (Reverse(self.above(*shard)), *shard));
        takers.sort_by_key(|shard| (self.above(*shard), *shard));
        givers.iter().find_map(|from| takers.iter().find_map(|to| Some((self.fitting(*from, *to)?, *to))))
    }

    /// The largest slot that is a gain as a whole, else the smallest one of those that are not, if enough of it is a gain.
    fn fitting(&self, from: usize, to: usize) -> Option<usize> {
        let (above, missing) = (self.above(from), -self.above(to));
        let room = u64::try_from(above.min(missing) / self.weight).unwrap_or(u64::MAX);
        let slots = self.movable.get(from)?;
        // What costs nothing brings nothing.
        if let Some((_, slot)) = slots.range(..=(room, usize::MAX)).next_back().filter(|(load, _)| *load > 0) {
            return Some(*slot);
        }
        let (load, slot) = slots.range((room.saturating_add(1), 0)..).next()?;
        let load = Scaled::from(*load) * self.weight;
        let before = above + missing;
        let after = (above - load).abs() + (missing - load).abs();
        ((before - after) * 100 >= load * 2 * Scaled::from(self.rules.least_gain_percent)).then_some(*slot)
    }

    fn give(&mut self, slot: usize, to: usize) {
        let (from, load) = (self.owners[slot], self.slots[slot].load);
        self.loads[from] -= Scaled::from(load);
        self.loads[to] += Scaled::from(load);
        if self.movable[from].remove(&(load, slot)) || !self.slots[slot].rests {
            self.movable[to].insert((load, slot));
        }
        self.owners[slot] = to;
    }
}
