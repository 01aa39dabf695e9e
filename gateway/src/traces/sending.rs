//! The trace of one message at the gateway that its sender is connected to.

use std::time::SystemTime;

use super::{
    context::Context,
    span::{Kind, Open, Value},
};
use crate::protocol::{Answer, WireError};

/// A message that is traced, from its frame on.
#[derive(Debug)]
pub struct Sending {
    pub(super) root: Open,
    /// Names the broker of this gateway, and its store, as OpenTelemetry does.
    pub(super) systems: Systems,
    /// Since when it waits for its turn.
    pub(super) waits: Option<Open>,
}

/// The systems that a message goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Systems {
    pub(super) broker: &'static str,
    pub(super) store: &'static str,
}

/// A stage of the pipeline that lasts, if its message is traced: no more than a pointer where it is not.
pub(crate) type Stage = Option<Box<Open>>;

impl Sending {
    /// The turn of the message has come.
    pub(crate) fn take_up(&mut self) {
        if let Some(waits) = self.waits.take() {
            waits.end();
        }
    }

    fn stage(&self, name: &'static str) -> Stage {
        self.root.child(name, Kind::Internal).map(Box::new)
    }

    fn commit(&self) -> Stage {
        let span = self.root.child("commit", Kind::Client)?;
        Some(Box::new(span.with("db.system.name", Value::Word(self.systems.store))))
    }

    /// What is on its way to the other gateways, until the broker has it.
    pub(crate) fn publish(&self) -> Stage {
        let span = self.root.child("publish", Kind::Producer)?;
        let span = span
            .with("messaging.system", Value::Word(self.systems.broker))
            .with("messaging.operation.name", Value::Word("publish"))
            .with("messaging.operation.type", Value::Word("send"));
        Some(Box::new(span))
    }

    /// Names it for the connections of this gateway.
    pub(crate) fn context(&self) -> Option<Context> {
        self.root.context()
    }

    /// What was answered.
    pub(crate) fn answered(&mut self, answer: &Answer) {
        if let Answer::Sent { seq, duplicate, .. } = answer {
            self.root.add("chat.message.seq", Value::Number(*seq));
            self.root.add("chat.message.duplicate", Value::Flag(*duplicate));
        }
    }

    /// It was refused.
    pub(crate) fn refused(self, error: &WireError) {
        self.root.fail(error.code.name());
    }

    /// This gateway has done with it what it does before others hear of it.
    pub(crate) fn end(self) {
        self.root.end();
    }
}

/// Begins a stage of a message that may be traced.
pub(crate) fn stage(sending: Option<&Sending>, name: &'static str) -> Stage {
    sending.and_then(|sending| sending.stage(name))
}

/// Begins the transaction of a message that may be traced.
pub(crate) fn commit(sending: Option<&Sending>) -> Stage {
    sending.and_then(Sending::commit)
}

/// Ends a stage with what it came to.
pub(crate) fn ended<T>(stage: Stage, outcome: Result<T, WireError>) -> Result<T, WireError> {
    if let Some(stage) = stage {
        match &outcome {
            Ok(_) => stage.end(),
            Err(error) => stage.fail(error.code.name()),
        }
    }
    outcome
}

/// Begins the trace of a message whose frame came at `heard` and has been read.
pub(super) fn begin(root: Open, systems: Systems, heard: SystemTime) -> Sending {
    let now = SystemTime::now();
    let root = root.since(heard);
    if let Some(frame) = root.child("frame", Kind::Internal) {
        frame.since(heard).end_at(now);
    }
    let waits = root.child("wait", Kind::Internal).map(|span| span.since(now));
    Sending { root, systems, waits }
}
