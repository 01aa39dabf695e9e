//! How rooms and users spread over a cluster.
//!
//! A command can subscribe to several channels only if these lie in one slot. So keys are divided into [`PARTITIONS`], each with a hash tag of
//! its own, and every channel of a partition has that tag: `{<namespace>/<name>/<tag>}/room:<id>`. A failover then costs each gateway at most as
//! many commands as the node had partitions, and not one for each of its channels.

use xxhash_rust::xxh3::xxh3_64;

use super::slot::{SLOTS, slot};
use crate::broker::Key;

/// Enough that dozens of nodes get even shares, and few enough that a partition of a busy gateway has dozens of channels to share a command.
/// Gateways that disagree on this number would not hear each other.
pub(super) const PARTITIONS: usize = 256;

/// Names and slots of one ChatCluster's partitions.
pub(super) struct Partitions {
    cluster: String,
    tags: Vec<(String, u16)>,
}

impl Partitions {
    /// Finds tags whose slots lie evenly: one in each equal range of slots, since nodes own ranges.
    pub(super) fn new(cluster: &str) -> Self {
        let width = usize::from(SLOTS) / PARTITIONS;
        let mut tags = vec![None; PARTITIONS];
        let mut missing = PARTITIONS;
        for number in 0_u32.. {
            let tag = format!("{cluster}/{number}");
            let slot = slot(&tag);
            if let Some(empty @ None) = tags.get_mut(usize::from(slot) / width) {
                *empty = Some((tag, slot));
                missing -= 1;
            }
            if missing == 0 {
                break;
            }
        }
        Self { cluster: cluster.to_owned(), tags: tags.into_iter().flatten().collect() }
    }

    /// The partition of a key.
    pub(super) fn of(key: Key) -> usize {
        let id = match key {
            Key::Room(room) => room.0,
            Key::User(user) => user.0,
        };
        // Less than PARTITIONS, so it fits.
        usize::try_from(xxh3_64(id.as_bytes()) % PARTITIONS as u64).unwrap_or(0)
    }

    /// The slot of a partition.
    pub(super) fn slot(&self, partition: usize) -> u16 {
        self.tags[partition].1
    }

    /// The channel of a key.
    pub(super) fn channel(&self, key: Key) -> String {
        format!("{{{}}}/{key}", self.tags[Self::of(key)].0)
    }

    /// The key of a channel; `None` for somebody else's.
    pub(super) fn key(&self, channel: &str) -> Option<Key> {
        let (_, key) = channel.strip_prefix('{')?.strip_prefix(&self.cluster)?.strip_prefix('/')?.split_once("}/")?;
        Key::parse(key)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{RoomId, UserId};

    #[test]
    fn every_range_of_slots_has_one_partition() {
        let partitions = Partitions::new("prod/team-chat");
        for partition in 0..PARTITIONS {
            assert_eq!(usize::from(partitions.slot(partition)) / 64, partition);
            assert_eq!(slot(&partitions.tags[partition].0), partitions.slot(partition));
        }
    }

    #[test]
    fn a_key_survives_its_way_as_a_channel_and_stays_with_its_cluster() {
        let (ours, other) = (Partitions::new("test/demo"), Partitions::new("test/demo-2"));
        for n in 0..1_000 {
            for key in [Key::Room(RoomId(Uuid::from_u128(n))), Key::User(UserId(Uuid::from_u128(n)))] {
                assert_eq!(ours.key(&ours.channel(key)), Some(key));
                assert_eq!(ours.key(&other.channel(key)), None);
            }
        }
    }
}
