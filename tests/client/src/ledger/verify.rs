//! The judgement over a ledger's records.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use uuid::Uuid;

use super::{
    records::{ClientId, Entry, Records, SendRecord, Source},
    report::{Counts, Verdict},
};

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    /// An acknowledged message that a member never received.
    Lost,
    /// A message that one connection delivered twice, or a resumed connection brought although the client had it.
    Duplicated,
    /// A message that came after one with a higher seq on the same connection.
    Reordered,
    /// A connection skipped a seq.
    Gap,
    /// One message id with two places, or one place with two message ids.
    Renumbered,
    /// Text or sender differ from what was sent.
    Altered,
    /// A message that nobody of this test sent.
    Unknown,
    /// A message got a lower seq than one that had been acknowledged before it was sent.
    Overtaken,
    /// A message of a room that the connection does not follow, or that the client is no member of.
    Stray,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// Where, for a person.
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.detail)
    }
}

/// Checks every promise over the records: each acknowledged message reached every member exactly once, in seq order,
/// without gaps, unchanged, under one number everywhere, and never before a message acknowledged earlier.
/// A message without acknowledgement may be there or not, but at most once.
#[must_use]
pub fn verify(records: &Records) -> Verdict {
    let mut judge = Judge { records, faults: Vec::new(), counts: Counts::default(), places: Places::default() };
    let seen: Vec<Seen> = (0..records.clients.len()).map(|index| judge.read_log(ClientId(index))).collect();
    judge.check_sends(&seen);
    judge.check_real_time_order();
    let faults = judge.faults;
    Verdict { counts: judge.counts, faults }
}

/// What a client had at the end.
#[derive(Default)]
struct Seen {
    by_room: HashMap<Uuid, HashSet<u64>>,
    /// First seq that is not owed, for rooms that the client followed; and the last one that is, for rooms it left.
    owed: HashMap<Uuid, Owed>,
}

#[derive(Clone, Copy)]
struct Owed {
    after: u64,
    until: Option<u64>,
}

/// Message ids and their places, from acknowledgements and receipts alike.
#[derive(Default)]
struct Places {
    of: HashMap<Uuid, (Uuid, u64)>,
    at: HashMap<(Uuid, u64), Uuid>,
}

struct Judge<'a> {
    records: &'a Records,
    faults: Vec<Fault>,
    counts: Counts,
    places: Places,
}

impl Judge<'_> {
    fn fault(&mut self, kind: FaultKind, detail: String) {
        self.faults.push(Fault { kind, detail });
    }

    fn read_log(&mut self, client: ClientId) -> Seen {
        let records = self.records;
        let about = &records.clients[client.0];
        self.counts.clients += 1;
        self.counts.connections += about.gateways.len() as u64;
        self.counts.repeats += about.repeats;
        let mut seen = Seen::default();
        let mut expected: HashMap<(u32, Uuid), u64> = HashMap::new();
        let mut on_connection: HashSet<(u32, Uuid, u64)> = HashSet::new();
        for entry in &about.log {
            let (Entry::Opened { room, .. } | Entry::Received { room, .. } | Entry::Left { room }) = *entry;
            if records.strangers.contains(&(client, room)) {
                self.fault(FaultKind::Stray, format!("client {} is no member of room {room}: {entry:?}", about.name));
                continue;
            }
            match *entry {
                Entry::Opened { connection, room, after } => {
                    expected.insert((connection, room), after + 1);
                    let owed = seen.owed.entry(room).or_insert(Owed { after, until: None });
                    owed.until = None;
                }
                Entry::Left { room } => {
                    let last = seen.by_room.get(&room).and_then(|s| s.iter().max().copied()).unwrap_or(0);
                    if let Some(owed) = seen.owed.get_mut(&room) {
                        owed.until = Some(last);
                    }
                    expected.retain(|(_, other), _| *other != room);
                }
                Entry::Received { source, room, seq, message_id, sender, body } => {
                    let name = &about.name;
                    self.check_place(name, message_id, room, seq);
                    self.check_content(name, message_id, sender, body);
                    let new = seen.by_room.entry(room).or_default().insert(seq);
                    match source {
                        Source::History => self.counts.from_history += u64::from(new),
                        Source::Live { connection } => {
                            let again = !on_connection.insert((connection, room, seq));
                            self.check_step(client, (connection, room, seq), again, &mut expected);
                            self.counts.overlapped += u64::from(!new && !again);
                        }
                    }
                    self.counts.received += u64::from(new);
                }
            }
        }
        seen
    }

    /// Live events of one connection must go up by one.
    fn check_step(
        &mut self,
        client: ClientId,
        (connection, room, seq): (u32, Uuid, u64),
        again: bool,
        expected: &mut HashMap<(u32, Uuid), u64>,
    ) {
        let name = &self.records.clients[client.0].name;
        let place = format!("client {name}, connection {connection}, room {room}, seq {seq}");
        let Some(next) = expected.get_mut(&(connection, room)) else {
            return self.fault(FaultKind::Stray, place);
        };
        let wanted = *next;
        *next = wanted.max(seq + 1);
        if again {
            self.fault(FaultKind::Duplicated, place);
        } else if seq > wanted {
            self.fault(FaultKind::Gap, format!("{place}, expected {wanted}"));
        } else if seq < wanted {
            // Below the start of the connection it is one the client said it had; above it, it is late.
            let had = !self.was_owed(client, connection, room, seq);
            let kind = if had { FaultKind::Duplicated } else { FaultKind::Reordered };
            self.fault(kind, format!("{place}, expected {wanted}"));
        }
    }

    fn was_owed(&self, client: ClientId, wanted: u32, wanted_room: Uuid, seq: u64) -> bool {
        self.records.clients[client.0].log.iter().any(|entry| {
            matches!(*entry, Entry::Opened { connection, room, after }
                if connection == wanted && room == wanted_room && after < seq)
        })
    }

    fn check_place(&mut self, name: &str, id: Uuid, room: Uuid, seq: u64) {
        let by_id = *self.places.of.entry(id).or_insert((room, seq));
        if by_id != (room, seq) {
            let (other_room, other) = by_id;
            let detail = format!("message {id} is {room}/{seq} for {name} and {other_room}/{other} elsewhere");
            self.fault(FaultKind::Renumbered, detail);
            return;
        }
        let by_place = *self.places.at.entry((room, seq)).or_insert(id);
        if by_place != id {
            self.fault(
                FaultKind::Renumbered,
                format!("{room}/{seq} is message {id} for {name} and {by_place} elsewhere"),
            );
        }
    }

    fn check_content(&mut self, name: &str, id: Uuid, sender: Uuid, body: u64) {
        let Some(send) = self.records.sends.get(&id) else {
            return self.fault(FaultKind::Unknown, format!("client {name} received message {id}"));
        };
        let author = self.records.clients[send.client.0].user;
        if send.body != body || author != sender {
            self.fault(FaultKind::Altered, format!("message {id} as client {name} received it"));
        }
    }

    fn check_sends(&mut self, seen: &[Seen]) {
        let records = self.records;
        let members = Self::members(records, seen);
        for (id, send) in &records.sends {
            self.counts.sent += 1;
            for ack in &send.acks {
                self.check_place(&records.clients[send.client.0].name, *id, send.room, ack.seq);
            }
            let Some(ack) = send.acks.first() else {
                self.counts.unacked += 1;
                self.counts.unacked_but_there += u64::from(self.places.of.contains_key(id));
                continue;
            };
            self.counts.acked += 1;
            self.counts.repeated_answers += send.acks.iter().filter(|ack| ack.duplicate).count() as u64;
            for client in members.get(&send.room).into_iter().flatten() {
                self.check_arrival(*client, &seen[client.0], *id, send, ack.seq);
            }
        }
        self.counts.rooms = members.len() as u64;
    }

    fn check_arrival(&mut self, client: ClientId, seen: &Seen, id: Uuid, send: &SendRecord, seq: u64) {
        let declared = self.records.members.contains(&(client, send.room));
        let owed = match seen.owed.get(&send.room) {
            Some(owed) if declared => Owed { after: 0, ..*owed },
            Some(owed) => *owed,
            None => Owed { after: 0, until: None },
        };
        if seq <= owed.after || owed.until.is_some_and(|until| seq > until) {
            return;
        }
        self.counts.owed += 1;
        if !seen.by_room.get(&send.room).is_some_and(|seqs| seqs.contains(&seq)) {
            let name = &self.records.clients[client.0].name;
            self.fault(FaultKind::Lost, format!("message {id}, {}/{seq}, never reached client {name}", send.room));
        }
    }

    fn members(records: &Records, seen: &[Seen]) -> HashMap<Uuid, Vec<ClientId>> {
        let mut members: HashMap<Uuid, HashSet<ClientId>> = HashMap::new();
        for (client, room) in &records.members {
            members.entry(*room).or_default().insert(*client);
        }
        for (index, seen) in seen.iter().enumerate() {
            for room in seen.owed.keys() {
                members.entry(*room).or_default().insert(ClientId(index));
            }
        }
        members.into_iter().map(|(room, clients)| (room, clients.into_iter().collect())).collect()
    }

    /// A message that was acknowledged before another one was sent has the lower seq.
    fn check_real_time_order(&mut self) {
        let mut rooms: HashMap<Uuid, BTreeMap<u64, (&Uuid, &SendRecord)>> = HashMap::new();
        for (id, send) in &self.records.sends {
            if let Some(ack) = send.acks.first() {
                rooms.entry(send.room).or_default().insert(ack.seq, (id, send));
            }
        }
        for (room, by_seq) in rooms {
            let mut earliest_ack_above = u64::MAX;
            for (seq, (id, send)) in by_seq.into_iter().rev() {
                if earliest_ack_above < send.began {
                    let detail =
                        format!("message {id}, {room}/{seq}, was sent after a higher seq had been acknowledged");
                    self.fault(FaultKind::Overtaken, detail);
                }
                let acked = send.acks.iter().map(|ack| ack.at).min().unwrap_or(u64::MAX);
                earliest_ack_above = earliest_ack_above.min(acked);
            }
        }
    }
}
