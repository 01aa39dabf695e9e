//! What a gateway must know about removals from rooms before it hands anything on.
//!
//! A room counts its changes of members. The version of its newest removal stands beside every entry when it is stored and whenever it is
//! read: whoever is known to have been a member at that version, or at a later one, may have the entry. Of anybody else it must be asked
//! first. So no word about a removal has to arrive for it to count.

use crate::model::{Message, RoomId, Seq, UserId};

/// Entries of a room for whoever follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// In ascending seq, without gaps.
    pub messages: Vec<Message>,
    /// The room's member version at its newest removal, read at the same moment; 0 when nobody was ever removed.
    pub removal: i64,
}

/// Where a room stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The room.
    pub room: RoomId,
    /// Seq of its newest entry.
    pub last_seq: Seq,
    /// As in [`Replay`].
    pub removal: i64,
}

/// Who of some users is a member of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The room's member version at which they are; 0 when there is no such room.
    pub version: i64,
    /// Those of the users who are members, in any order.
    pub members: Vec<UserId>,
}

/// A removal, or a departure by one's own wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Removal {
    /// From this room.
    pub room: RoomId,
    /// Of this user.
    pub user: UserId,
    /// The room's member version that it made: who is a member at a later one has come back.
    pub version: i64,
}
