//! Events become pushes.

use super::{
    channel, codes,
    messages::{Payload, Publication, Push, Reply, Unsubscribe},
};
use crate::protocol::{ClientEvent, answer::MessageView, encode_event};

/// An entry of a room's log is a publication of its channel; the end of a membership ends the subscription; every other event is a
/// message beside the channels, which says what it is by its `type`.
pub(crate) fn push(event: &ClientEvent) -> Reply {
    let push = match event {
        ClientEvent::Message { message } => {
            Push { channel: channel::name(message.room()), publication: Some(publication(message)), ..Push::default() }
        }
        ClientEvent::RoomRemoved { room } => Push {
            channel: channel::name(*room),
            unsubscribe: Some(Unsubscribe { code: codes::NO_MEMBER, reason: "not a member any more".to_owned() }),
            ..Push::default()
        },
        other => Push { message: Some(Payload { data: encode_event(other).as_bytes().to_vec() }), ..Push::default() },
    };
    Reply { push: Some(push), ..Reply::default() }
}

/// A message as `chat.v1` has it, at its place in the room.
pub(super) fn publication(message: &MessageView) -> Publication {
    // Names and plain values: serialisation cannot fail.
    Publication { data: serde_json::to_vec(message).unwrap_or_default(), offset: channel::offset(message.seq()) }
}
