//! The second door: the Centrifuge client protocol, version 2, so that its existing clients reach the same rooms.
//!
//! Nothing here decides anything. A command becomes a [`Request`](crate::protocol::Request) of this gateway's own, an answer or event
//! becomes a reply, and everything between is the same for both doors. `docs/reference/centrifuge.md` says what becomes what.

mod channel;
mod codes;
mod command;
mod framing;
mod messages;
mod push;
mod reply;

pub(crate) use self::{
    codes::goodbye,
    command::{read_json, read_protobuf},
    framing::{write_json, write_protobuf},
    push::push,
    reply::reply,
};
