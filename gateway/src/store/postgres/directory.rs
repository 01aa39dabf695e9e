//! Which shard owns which slot: a cache of what the shards say. It may be old; the shards refuse what is wrong.

use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;

/// The cache. Shards are named by their index in the list of shards.
pub(super) struct Directory {
    entries: RwLock<Vec<Option<Entry>>>,
    changes: watch::Sender<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    shard: usize,
    epoch: i64,
}

impl Directory {
    /// Knows nothing of `slots` slots.
    pub(super) fn new(slots: u32) -> Self {
        Self { entries: RwLock::new(vec![None; slots as usize]), changes: watch::Sender::new(0) }
    }

    /// The shard of a slot, as far as is known.
    pub(super) fn shard_of(&self, slot: i32) -> Option<usize> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(usize::try_from(slot).ok()?)?.map(|entry| entry.shard)
    }

    /// Takes in that `shard` owns each of these slots since the epoch beside it. Older news than what is known is ignored;
    /// a slot that the shard no longer names keeps its entry, since the shard's refusal will name the new owner.
    pub(super) fn learn(&self, shard: usize, owned: impl IntoIterator<Item = (i32, i64)>) {
        let mut changed = false;
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        for (slot, epoch) in owned {
            let Some(entry) = usize::try_from(slot).ok().and_then(|slot| entries.get_mut(slot)) else { continue };
            if entry.is_none_or(|known| known.epoch < epoch) {
                *entry = Some(Entry { shard, epoch });
                changed = true;
            }
        }
        drop(entries);
        if changed {
            self.changes.send_modify(|n| *n += 1);
        }
    }

    /// Forgets every slot of a shard that is not there any more.
    pub(super) fn forget(&self, shard: usize) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        for entry in entries.iter_mut() {
            entry.take_if(|known| known.shard == shard);
        }
    }

    /// Tells of every change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_epochs_win_in_any_order() {
        let directory = Directory::new(4);
        assert_eq!(directory.shard_of(1), None);
        directory.learn(1, [(1, 7)]);
        directory.learn(0, [(0, 1), (1, 6), (9, 1), (-1, 1)]);
        assert_eq!((directory.shard_of(0), directory.shard_of(1)), (Some(0), Some(1)));
        directory.learn(0, [(1, 8)]);
        assert_eq!(directory.shard_of(1), Some(0));
        assert_eq!(*directory.changes().borrow(), 3);
    }

    #[test]
    fn a_shard_that_is_gone_is_forgotten_and_no_other() {
        let directory = Directory::new(4);
        directory.learn(0, [(0, 5), (1, 5)]);
        directory.learn(1, [(2, 5)]);
        directory.forget(0);
        assert_eq!([0, 1, 2].map(|slot| directory.shard_of(slot)), [None, None, Some(1)]);
        directory.learn(1, [(0, 2)]);
        assert_eq!(directory.shard_of(0), Some(1), "whatever its epoch was before");
    }
}
