//! Rooms as channels, and positions in them.

use uuid::Uuid;

use super::messages::StreamPosition;
use crate::{
    model::{RoomId, Seq},
    protocol::WireError,
};

/// What the name of a room's channel begins with.
const PREFIX: &str = "room:";

/// Every room has one history for ever, so one epoch does for all. A position beyond a room's end is found out by its number.
pub(super) const EPOCH: &str = "log";

/// The channel of a room.
pub(super) fn name(room: RoomId) -> String {
    format!("{PREFIX}{room}")
}

/// The room of a channel.
///
/// # Errors
/// `bad_request` that names `channel`, for any other name: pushes carry the one name that [`name`] makes, so no other spelling would do.
pub(super) fn room(channel: &str) -> Result<RoomId, WireError> {
    channel
        .strip_prefix(PREFIX)
        .and_then(|id| Uuid::try_parse(id).ok())
        .map(RoomId)
        .filter(|room| name(*room) == channel)
        .ok_or_else(|| WireError::field("channel", "a channel is called room: and a room's id in lower case"))
}

/// The seq of a position; `None` when it is of another history. A position without an epoch is taken as of this one.
pub(super) fn seq(position: &StreamPosition) -> Option<Seq> {
    let ours = position.epoch.is_empty() || position.epoch == EPOCH;
    Seq::try_from(position.offset).ok().filter(|_| ours)
}

/// The offset of a seq.
pub(super) fn offset(seq: Seq) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}
