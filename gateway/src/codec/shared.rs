//! An event for many connections.

use std::{cell::OnceCell, sync::Arc};

use super::{Codec, Frame};
use crate::protocol::ClientEvent;

/// An event that is encoded when the first connection of a codec needs it, and once for all of that codec.
#[derive(Debug)]
pub struct Shared {
    event: ClientEvent,
    frames: [OnceCell<Frame>; Codec::COUNT],
    pointers: [OnceCell<Arc<Frame>>; Codec::COUNT],
}

impl Shared {
    /// An event that nobody has asked for yet.
    #[must_use]
    pub fn new(event: ClientEvent) -> Self {
        Self { event, frames: Default::default(), pointers: Default::default() }
    }

    /// The same as a pointer, for queues that keep many of them.
    pub fn pointer(&self, codec: Codec) -> Arc<Frame> {
        Arc::clone(self.pointers[codec.index()].get_or_init(|| Arc::new(self.frame(codec).clone())))
    }

    /// Its frame for connections of a codec.
    pub fn frame(&self, codec: Codec) -> &Frame {
        self.frames[codec.index()].get_or_init(|| codec.event(&self.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RoomId;

    #[test]
    fn all_connections_of_a_codec_share_one_frame() {
        let shared = Shared::new(ClientEvent::RoomRemoved { room: RoomId(uuid::Uuid::nil()) });
        for codec in [Codec::Chat, Codec::ChatCbor, Codec::CentrifugeJson, Codec::CentrifugeProtobuf] {
            let bytes = |frame: &Frame| match frame {
                Frame::Text(text) => text.as_bytes().as_ptr(),
                Frame::Binary(bytes) => bytes.as_ptr(),
            };
            assert_eq!(bytes(&shared.frame(codec).clone()), bytes(&shared.frame(codec).clone()));
        }
        assert_ne!(shared.frame(Codec::Chat), shared.frame(Codec::ChatCbor));
        assert_ne!(shared.frame(Codec::Chat), shared.frame(Codec::CentrifugeJson));
    }
}
