//! What a device wrote and what it was told: all that the oracle has of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use chat_gateway::model::{RoomId, Seq, User};
use serde_json::Value;
use uuid::Uuid;

/// By message id.
#[derive(Default)]
pub(crate) struct Story {
    pub(crate) name: String,
    pub(crate) user: Option<User>,
    /// Requests with an answer, and the seq that was acknowledged.
    pub(crate) acknowledged: HashMap<Uuid, (Value, Seq)>,
    /// Requests that were sent once and refused for good. A refusal is not kept: sent again, a request may find what it lacked.
    pub(crate) refused: HashMap<Uuid, Value>,
    /// Requests that were sent more than once and refused at least once.
    pub(crate) unsure: HashSet<Uuid>,
    /// Everything that came.
    pub(crate) received: BTreeMap<RoomId, Vec<Stretch>>,
    /// Requests that were sent more than once, and answers that said so.
    pub(crate) repeats: usize,
    pub(crate) duplicates: usize,
    /// How often it signed out under its own feet.
    pub(crate) sign_outs: usize,
}

/// Entries of a room that came one after the other, without a gap.
pub(crate) struct Stretch {
    /// The seq before the first.
    pub(crate) after: Seq,
    pub(crate) entries: Vec<Uuid>,
}

impl Story {
    /// From here on entries of a room come after this seq.
    pub(crate) fn begin(&mut self, room: RoomId, after: Seq) {
        self.received.entry(room).or_default().push(Stretch { after, entries: Vec::new() });
    }

    /// An entry came.
    pub(crate) fn receive(&mut self, room: RoomId, message: Uuid) {
        self.received.get_mut(&room).and_then(|stretches| stretches.last_mut()).unwrap().entries.push(message);
    }
}
