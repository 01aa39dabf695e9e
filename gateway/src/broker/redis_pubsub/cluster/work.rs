//! Changes of bindings, sorted into commands.

use std::collections::BTreeMap;

use super::partitions::Partitions;
use crate::broker::bindings::Change;

/// What one node has to do, by partition; unsubscriptions come first.
#[derive(Default)]
pub(super) struct Work(BTreeMap<(usize, bool), Vec<(String, Change)>>);

/// One command: channels of one partition to subscribe to, or to unsubscribe from.
pub(super) struct Batch {
    pub(super) channels: Vec<String>,
    pub(super) changes: Vec<Change>,
}

impl Work {
    /// Adds a change of a partition.
    pub(super) fn add(&mut self, partition: usize, change: Change, partitions: &Partitions) {
        let (Change::Bind(key) | Change::Unbind(key)) = change;
        let is_bind = matches!(change, Change::Bind(_));
        self.0.entry((partition, is_bind)).or_default().push((partitions.channel(key), change));
    }

    /// Commands of at most `limit` channels, with their partitions.
    pub(super) fn batches(self, limit: usize) -> impl Iterator<Item = (usize, Batch)> {
        self.0.into_iter().flat_map(move |((partition, _), all)| {
            let batches: Vec<_> = all
                .chunks(limit)
                .map(|some| {
                    let (channels, changes) = some.iter().cloned().unzip();
                    (partition, Batch { channels, changes })
                })
                .collect();
            batches
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{broker::Key, model::RoomId};

    #[test]
    fn a_command_is_of_one_kind_and_one_partition_and_not_too_long() {
        let partitions = Partitions::new("test/demo");
        let mut work = Work::default();
        let mut added = 0;
        for n in 0..5_000 {
            let key = Key::Room(RoomId(Uuid::from_u128(n)));
            let partition = Partitions::of(key) % 3;
            let change = if n % 10 == 0 { Change::Unbind(key) } else { Change::Bind(key) };
            work.add(partition, change, &partitions);
            added += 1;
        }
        let batches: Vec<_> = work.batches(512).collect();
        assert_eq!(batches.iter().map(|(_, batch)| batch.changes.len()).sum::<usize>(), added);
        for (_, batch) in &batches {
            assert!(batch.channels.len() <= 512);
            assert_eq!(batch.channels.len(), batch.changes.len());
            let binds = batch.changes.iter().filter(|change| matches!(change, Change::Bind(_))).count();
            assert!(binds == 0 || binds == batch.changes.len());
        }
        assert_eq!(batches.len(), 3 * (1 + 3));
    }
}
