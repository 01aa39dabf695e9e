//! What the clients of one test sent and saw, and the check that nothing acknowledged was lost, duplicated or reordered.
//!
//! Recording and judging are apart: [`Records`] is plain data, [`verify`] a pure function over it, so that a test can
//! delete, repeat or swap one record and see the judgement turn red.

mod records;
mod report;
mod verify;

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

pub use records::{AckRecord, ClientId, ClientRecords, Entry, Records, SendRecord, Source};
pub use report::{Counts, Verdict};
pub use verify::{Fault, FaultKind, verify};

use crate::wire::Message;

/// The shared log of one test's clients. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Records>>);

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that `client` is a member of `room` from its first message on, whether or not the gateway ever tells it so.
    pub fn expect_member(&self, client: ClientId, room: Uuid) {
        self.lock().members.insert((client, room));
    }

    /// Says that `client` is no member of `room`: whatever it hears of a message there is a leak, also when it was told to follow the room.
    pub fn expect_stranger(&self, client: ClientId, room: Uuid) {
        self.lock().strangers.insert((client, room));
    }

    /// Says that `client` has stopped for good: what came after the newest that it has is not owed to it. Call it when nothing can arrive there any more.
    pub fn went(&self, client: ClientId) {
        let mut records = self.lock();
        let rooms: HashSet<Uuid> = records.clients[client.0]
            .log
            .iter()
            .filter_map(|entry| if let Entry::Opened { room, .. } = entry { Some(*room) } else { None })
            .collect();
        records.clients[client.0].log.extend(rooms.into_iter().map(|room| Entry::Left { room }));
    }

    /// Judges everything so far. Call it when nothing is under way any more.
    #[must_use]
    pub fn verify(&self) -> Verdict {
        verify(&self.lock())
    }

    /// A copy of the records.
    #[must_use]
    pub fn records(&self) -> Records {
        self.lock().clone()
    }

    pub(crate) fn add_client(&self, name: &str, user: Uuid) -> ClientId {
        let mut records = self.lock();
        records.clients.push(ClientRecords::new(name, user));
        ClientId(records.clients.len() - 1)
    }

    pub(crate) fn began(&self, client: ClientId, room: Uuid, message_id: Uuid, body: &str) {
        let mut records = self.lock();
        let began = records.tick();
        let send = SendRecord { client, room, body: records::digest(body), began, acks: Vec::new() };
        records.sends.entry(message_id).or_insert(send);
    }

    pub(crate) fn acked(&self, message_id: Uuid, seq: u64, duplicate: bool) {
        let mut records = self.lock();
        let at = records.tick();
        if let Some(send) = records.sends.get_mut(&message_id) {
            send.acks.push(AckRecord { seq, duplicate, at });
        }
    }

    pub(crate) fn repeated(&self, client: ClientId) {
        self.lock().clients[client.0].repeats += 1;
    }

    pub(crate) fn connected(&self, client: ClientId, gateway: &str) {
        self.lock().clients[client.0].gateways.push(gateway.to_owned());
    }

    pub(crate) fn opened(&self, client: ClientId, connection: u32, room: Uuid, after: u64) {
        self.lock().clients[client.0].log.push(Entry::Opened { connection, room, after });
    }

    pub(crate) fn left(&self, client: ClientId, room: Uuid) {
        self.lock().clients[client.0].log.push(Entry::Left { room });
    }

    pub(crate) fn received(&self, client: ClientId, source: Source, message: &Message) {
        let entry = Entry::Received {
            source,
            room: message.room,
            seq: message.seq,
            message_id: message.message_id,
            sender: message.sender,
            body: records::digest(&message.body),
        };
        self.lock().clients[client.0].log.push(entry);
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
