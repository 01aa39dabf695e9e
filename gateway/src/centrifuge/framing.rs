//! Several commands in a frame, one reply in a frame: JSON values one after the other, or Protobuf messages behind their lengths.

use prost::Message as _;
use tokio_tungstenite::tungstenite::Bytes;

use super::messages::{Command, Reply};
use crate::codec::{Frame, Unreadable};

/// The commands of a text frame. The protocol puts each on a line of its own; any white space between them will do.
pub(super) fn json_commands(text: &str) -> Result<Vec<Command>, Unreadable> {
    serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().map_err(|_| Unreadable)
}

/// The commands of a binary frame.
pub(super) fn protobuf_commands(mut bytes: Bytes) -> Result<Vec<Command>, Unreadable> {
    let mut commands = Vec::new();
    while !bytes.is_empty() {
        commands.push(Command::decode_length_delimited(&mut bytes).map_err(|_| Unreadable)?);
    }
    Ok(commands)
}

/// A reply as a text frame.
pub(crate) fn write_json(reply: &Reply) -> Frame {
    // Names and numbers, and data that this gateway wrote as JSON itself: serialisation cannot fail.
    serde_json::to_string(reply).unwrap_or_default().into()
}

/// A reply as a binary frame.
pub(crate) fn write_protobuf(reply: &Reply) -> Frame {
    Frame::Binary(reply.encode_length_delimited_to_vec().into())
}
