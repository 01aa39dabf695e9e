//! Stage 1: a frame becomes requests that keep to the protocol and to the cluster's limits.

use chat_gateway_config::Limits;

use crate::{
    codec::{Codec, Frame, Read},
    protocol::{ErrorCode, Request, WireError, limits},
};

/// Reads a connection's frames, and counts those in a row that are no JSON.
#[derive(Debug)]
pub struct Reader {
    codec: Codec,
    bad: u32,
}

impl Reader {
    /// A reader of frames in this codec.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self { codec, bad: 0 }
    }

    /// Reads a frame; `None` when there is no use in reading on.
    pub fn read(&mut self, frame: &Frame) -> Option<Vec<Read>> {
        let reads = self.codec.read(frame).ok()?;
        let bad = |read: &Read| matches!(read, Read::Refused { error, .. } if error.code == ErrorCode::BadJson);
        self.bad = if reads.iter().any(bad) { self.bad + 1 } else { 0 };
        (self.bad < limits::BAD_FRAMES).then_some(reads)
    }
}

/// Checks what depends on the cluster's limits.
pub(super) fn check(limits: &Limits, request: &Request) -> Result<(), WireError> {
    match request {
        Request::Send { content, .. } if content.body().len() > limits.message_bytes as usize => Err(WireError {
            field: Some("body"),
            ..WireError::new(ErrorCode::TooLarge, format!("a body has at most {} bytes", limits.message_bytes))
        }),
        _ => Ok(()),
    }
}
