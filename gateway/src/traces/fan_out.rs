//! The trace of one message on its way to the connections of one gateway.

use uuid::Uuid;

use super::span::{Kind, Open, Value};

/// Connections of one gateway whose writes are spans of their own: a room of ten thousand must not make a trace that nobody can look at.
const WRITES: u32 = 16;

/// A traced message that is given to those who follow its room here.
#[derive(Debug)]
pub struct FanOut {
    span: Open,
    queued: u32,
}

impl FanOut {
    pub(super) fn new(span: Open) -> Self {
        Self { span, queued: 0 }
    }

    /// The write to one more connection, for its queue: it ends when the frame is in the socket.
    pub(crate) fn write(&mut self, session: Uuid) -> Option<Box<Open>> {
        if self.queued >= WRITES {
            return None;
        }
        let span = self.span.child("write", Kind::Internal)?;
        Some(Box::new(span.with("session.id", Value::Id(session))))
    }

    /// It waits for a connection's writer.
    pub(crate) fn queued(&mut self) {
        self.queued += 1;
    }

    /// All that follow have it in their queues, or get it later from the store.
    pub(crate) fn end(mut self) {
        self.span.add("chat.fan_out.connections", Value::Number(self.queued.into()));
        self.span.end();
    }
}
