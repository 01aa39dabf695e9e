//! What the spec asks of the shards.

use std::collections::BTreeMap;

use chat_crds::{ChatClusterSpec, chat_cluster::DEFAULT_SHARD_WEIGHT};
use chat_shard_protocol::slot_of;
use uuid::Uuid;

use crate::hash::Hasher;

/// Hexadecimal digits of a hash that people read.
const DIGITS: usize = 12;

/// Which shards there are to be, and their shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Number of slots of the ChatCluster.
    pub slots: u32,
    /// Shards of the spec, by name.
    pub shards: BTreeMap<String, WishedShard>,
    /// Slots that are to be at one shard, since a room of theirs has it to itself.
    pub pinned: BTreeMap<u32, String>,
    /// Names all of this.
    pub target: String,
}

/// A shard of the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WishedShard {
    /// Its share in proportion to the others; 0: nothing.
    pub weight: u32,
    /// It is for some rooms only.
    pub dedicated: bool,
}

impl Wish {
    /// Of a spec. Of two shards that want the same room the first one has it; see [`Wish::contested`].
    #[must_use]
    pub fn of(spec: &ChatClusterSpec) -> Self {
        let slots = u32::try_from(spec.effective_slots()).unwrap_or_default();
        let (mut shards, mut pinned) = (BTreeMap::new(), BTreeMap::new());
        for shard in spec.database.shards() {
            let weight = u32::try_from(shard.weight.unwrap_or(DEFAULT_SHARD_WEIGHT)).unwrap_or_default();
            let rooms = shard.rooms.iter().flatten();
            for slot in rooms.filter_map(|room| slot_of_text(room, slots)) {
                pinned.entry(slot).or_insert_with(|| shard.name.clone());
            }
            shards.insert(shard.name.clone(), WishedShard { weight, dedicated: shard.rooms.is_some() });
        }
        let mut hash = Hasher::new();
        for (name, shard) in &shards {
            hash = hash.text(name).text(&format!("{}{}", shard.weight, shard.dedicated));
        }
        for (slot, shard) in &pinned {
            hash = hash.text(&slot.to_string()).text(shard);
        }
        let target = short(hash);
        Self { slots, shards, pinned, target }
    }

    /// A slot that rooms of two shards want, which a person has to decide on: the slot, and the two.
    #[must_use]
    pub fn contested(spec: &ChatClusterSpec) -> Option<(u32, String, String)> {
        let slots = u32::try_from(spec.effective_slots()).unwrap_or_default();
        let mut seen: BTreeMap<u32, &str> = BTreeMap::new();
        for shard in spec.database.shards() {
            for slot in shard.rooms.iter().flatten().filter_map(|room| slot_of_text(room, slots)) {
                if let Some(other) = seen.insert(slot, &shard.name).filter(|other| *other != shard.name) {
                    return Some((slot, other.to_owned(), shard.name.clone()));
                }
            }
        }
        None
    }
}

fn slot_of_text(room: &str, slots: u32) -> Option<u32> {
    Uuid::parse_str(room).ok().and_then(|room| u32::try_from(slot_of(room, slots)).ok())
}

/// A hash that people read and type.
pub(super) fn short(hash: Hasher) -> String {
    let mut text = hash.finish();
    text.truncate(DIGITS);
    text
}
