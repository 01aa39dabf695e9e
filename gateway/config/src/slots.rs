//! The answer of a gateway's `/slots`: what the shards themselves say of slots. The operator plans moves by it, and sees by it how far they are.

use serde::{Deserialize, Serialize};

/// What every shard says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotsAnswer {
    /// Number of slots of the cluster.
    pub slots: u32,
    /// Every shard that the gateway knows, in the order of names.
    pub shards: Vec<ShardSlots>,
}

/// What one shard says. All lists are empty where it did not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardSlots {
    /// The shard's name.
    pub name: String,
    /// Why it did not answer, as a sentence without credentials; none if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Which database it is: drawn at random when its schema was made. None where it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Slots that are written here, those in transit away from it included. Neighbours of the same epoch are one entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owned: Vec<OwnedSlots>,
    /// Slots that a mover is bringing here, or has yet to open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arriving: Vec<Transit>,
    /// Slots of `owned` that a mover is taking away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<Transit>,
    /// Moves that ended here, the oldest first: those whose leftovers are still at their source, and those since the time that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<MovedSlot>,
    /// Rows and bytes of each slot of `owned`, about, and of those that have moved away and of which rows are left here; only if asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<SlotSize>,
    /// Bytes of the write-ahead log that the slowest standby has yet to flush; none without standbys, or where they cannot be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<u64>,
}

/// Neighbouring slots that came to a shard in the same epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnedSlots {
    /// The first one.
    pub first: u32,
    /// The last one.
    pub last: u32,
    /// Their epoch.
    pub epoch: u64,
}

/// A slot on its way, as one of the two shards has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transit {
    /// The slot.
    pub slot: u32,
    /// `migrating`, `fenced` or `importing`.
    pub state: String,
    /// The other shard.
    pub peer: String,
    /// The move's id, a UUID.
    pub move_id: String,
    /// Rows copied so far, at the destination; 0 at the source.
    #[serde(default)]
    pub rows: u64,
    /// Bytes of them in the binary COPY format.
    #[serde(default)]
    pub bytes: u64,
    /// Changed keys that wait to be copied, at the source; 0 at the destination.
    #[serde(default)]
    pub backlog: u64,
}

/// A move that has come to its end, as its destination has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MovedSlot {
    /// The slot.
    pub slot: u32,
    /// The shard that it came from.
    pub from: String,
    /// The move's id, a UUID.
    pub move_id: String,
    /// Rows that were copied, and bytes of them.
    pub rows: u64,
    /// See `rows`.
    pub bytes: u64,
    /// How long writes waited at most, in milliseconds; none where the mover that knew it died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_ms: Option<u64>,
    /// When, in milliseconds of the Unix epoch, by the destination's clock.
    pub at_ms: i64,
    /// Whether what the source still had of it has been deleted.
    pub cleaned: bool,
}

/// What a slot takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotSize {
    /// The slot.
    pub slot: u32,
    /// Rows of all tables; of large tables a sample was counted.
    pub rows: u64,
    /// Bytes on disk, indexes included, as the slot's share of the rows of each table.
    pub bytes: u64,
}
