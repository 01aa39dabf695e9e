//! The answer of a gateway's `/rooms`: which rooms are the busiest, for a person who looks for what makes the load.

use serde::{Deserialize, Serialize};

/// The busiest rooms of one gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomsAnswer {
    /// Rooms that somebody on this gateway follows.
    pub followed: u64,
    /// Of those the busiest: by messages a second, then by connections, then by id.
    pub rooms: Vec<RoomLoad>,
}

/// What goes on in one room. Who is in it and what is said there is not told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomLoad {
    /// The room's id, as clients know it.
    pub room: String,
    /// Slot of the room, which leads to its shard.
    pub slot: u32,
    /// Connections of this gateway that follow it.
    pub connections: u64,
    /// Seq of the newest message that this gateway knows of.
    pub last_seq: u64,
    /// Messages a second, of all senders in the cluster, over the second that the gateway looked for.
    pub messages_per_second: f64,
}
