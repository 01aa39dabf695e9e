//! Stage 1: a text frame becomes a request that keeps to the protocol and to the cluster's limits.

use chat_gateway_config::Limits;

use crate::protocol::{ErrorCode, Incoming, Refusal, Request, WireError, limits, parse};

/// Counts frames in a row that are no JSON.
#[derive(Debug, Default)]
pub struct Reader {
    bad: u32,
}

/// What a text frame is.
#[derive(Debug)]
pub enum Frame {
    /// A request.
    Request(Incoming),
    /// Something to answer with an error.
    Refused(Refusal),
    /// No JSON once too often.
    Hopeless,
}

impl Reader {
    /// Reads a frame.
    pub fn read(&mut self, text: &str) -> Frame {
        match parse(text) {
            Ok(incoming) => {
                self.bad = 0;
                Frame::Request(incoming)
            }
            Err(refusal) => {
                self.bad = if refusal.error.code == ErrorCode::BadJson { self.bad + 1 } else { 0 };
                if self.bad >= limits::BAD_FRAMES { Frame::Hopeless } else { Frame::Refused(refusal) }
            }
        }
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
