//! The plain data of a ledger.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// A client within one ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub(crate) usize);

/// Everything that was recorded.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Every message that a client began to send, by message id.
    pub sends: HashMap<Uuid, SendRecord>,
    /// What each client saw, by [`ClientId`].
    pub clients: Vec<ClientRecords>,
    /// Members from the first message on.
    pub members: HashSet<(ClientId, Uuid)>,
    /// Who is in no way to hear of which room.
    pub strangers: HashSet<(ClientId, Uuid)>,
    clock: u64,
}

impl Records {
    /// A logical clock over all clients: what happened before has the smaller number.
    pub(crate) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

/// A message that a client began to send.
#[derive(Clone, Debug)]
pub struct SendRecord {
    /// The sender.
    pub client: ClientId,
    /// The room.
    pub room: Uuid,
    /// Digest of the text.
    pub body: u64,
    /// Logical time just before the first transmission.
    pub began: u64,
    /// Every acknowledgement, several when the send was repeated.
    pub acks: Vec<AckRecord>,
}

/// An acknowledgement as the sender saw it.
#[derive(Clone, Copy, Debug)]
pub struct AckRecord {
    /// The message's place in the room.
    pub seq: u64,
    /// Whether the gateway called it a repeat.
    pub duplicate: bool,
    /// Logical time of its arrival.
    pub at: u64,
}

/// What one client saw, in the order in which it saw it.
#[derive(Clone, Debug)]
pub struct ClientRecords {
    /// For the report.
    pub name: String,
    /// The user behind it.
    pub user: Uuid,
    /// The log.
    pub log: Vec<Entry>,
    /// Gateways it was connected to, one entry a connection.
    pub gateways: Vec<String>,
    /// Requests that it had to transmit again.
    pub repeats: u64,
}

impl ClientRecords {
    pub(crate) fn new(name: &str, user: Uuid) -> Self {
        Self { name: name.to_owned(), user, log: Vec::new(), gateways: Vec::new(), repeats: 0 }
    }
}

/// One line of a client's log.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// A connection follows a room from the message after `after` on.
    Opened {
        /// Number of the connection.
        connection: u32,
        /// The room.
        room: Uuid,
        /// Last seq that is not to come on this connection.
        after: u64,
    },
    /// A message arrived.
    Received {
        /// How.
        source: Source,
        /// The room.
        room: Uuid,
        /// Its place in the room.
        seq: u64,
        /// Its id.
        message_id: Uuid,
        /// User id of its sender.
        sender: Uuid,
        /// Digest of the text.
        body: u64,
    },
    /// The client is no longer a member.
    Left {
        /// The room.
        room: Uuid,
    },
}

/// How a message arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// As an event of a connection.
    Live {
        /// Number of the connection.
        connection: u32,
    },
    /// The client asked for it, after a resume that could not recover.
    History,
}

pub(crate) fn digest(body: &str) -> u64 {
    xxh3_64(body.as_bytes())
}
