//! The checker itself is checked: a clean ledger is green, and each single manipulation of its records turns it red.

use uuid::Uuid;

use super::{
    AckRecord, Entry, FaultKind, Records, SendRecord, Source,
    records::{ClientId, ClientRecords, digest},
    verify,
};

const MESSAGES: u64 = 10;

fn id(n: u64) -> Uuid {
    Uuid::from_u64_pair(1, n)
}

fn room() -> Uuid {
    Uuid::from_u64_pair(2, 0)
}

fn received(connection: u32, seq: u64) -> Entry {
    Entry::Received {
        source: Source::Live { connection },
        room: room(),
        seq,
        message_id: id(seq),
        sender: Uuid::from_u64_pair(3, 0),
        body: digest(&seq.to_string()),
    }
}

/// Two clients; the first sends ten messages one after the other; the second reconnects after the fifth.
fn clean() -> Records {
    let mut records = Records::default();
    for n in 0..2 {
        records.clients.push(ClientRecords::new(&format!("client-{n}"), Uuid::from_u64_pair(3, n)));
        records.members.insert((ClientId(n as usize), room()));
        records.clients[n as usize].log.push(Entry::Opened { connection: 0, room: room(), after: 0 });
    }
    for seq in 1..=MESSAGES {
        let began = records.tick();
        let at = records.tick();
        let acks = vec![AckRecord { seq, duplicate: false, at }];
        let send = SendRecord { client: ClientId(0), room: room(), body: digest(&seq.to_string()), began, acks };
        records.sends.insert(id(seq), send);
        records.clients[0].log.push(received(0, seq));
        if seq == 6 {
            records.clients[1].log.push(Entry::Opened { connection: 1, room: room(), after: 5 });
        }
        records.clients[1].log.push(received(u32::from(seq > 5), seq));
    }
    records
}

fn kinds(records: &Records) -> Vec<FaultKind> {
    let mut kinds: Vec<_> = verify(records).faults.into_iter().map(|fault| fault.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn log_position(records: &Records, client: usize, wanted: u64) -> usize {
    let is_wanted = |entry: &Entry| matches!(entry, Entry::Received { seq, .. } if *seq == wanted);
    records.clients[client].log.iter().position(is_wanted).expect("the message is in the log")
}

#[test]
fn clean_records_are_green() {
    let verdict = verify(&clean());
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.counts.acked, verdict.counts.owed, verdict.counts.received), (10, 20, 20));
    verdict.assert_clean(MESSAGES);
}

#[test]
fn deleting_any_receipt_is_seen() {
    for client in 0..2 {
        for seq in 1..=MESSAGES {
            let mut records = clean();
            let at = log_position(&records, client, seq);
            records.clients[client].log.remove(at);
            assert!(kinds(&records).contains(&FaultKind::Lost), "client {client} seq {seq}");
        }
    }
}

#[test]
fn repeating_any_receipt_is_seen() {
    for client in 0..2 {
        for seq in 1..=MESSAGES {
            let mut records = clean();
            let at = log_position(&records, client, seq);
            let entry = records.clients[client].log[at];
            records.clients[client].log.push(entry);
            assert_eq!(kinds(&records), [FaultKind::Duplicated], "client {client} seq {seq}");
        }
    }
}

#[test]
fn swapping_neighbours_is_seen() {
    let mut records = clean();
    let at = log_position(&records, 0, 4);
    records.clients[0].log.swap(at, at + 1);
    assert_eq!(kinds(&records), [FaultKind::Reordered, FaultKind::Gap]);
}

#[test]
fn a_resume_that_repeats_what_the_client_has_is_seen() {
    let mut records = clean();
    let at = log_position(&records, 1, 6);
    records.clients[1].log.insert(at, received(1, 5));
    assert_eq!(kinds(&records), [FaultKind::Duplicated]);
}

#[test]
fn overlapping_sockets_are_no_fault() {
    let mut records = clean();
    // The old socket brings one more message after the new one has said where it starts.
    let at = log_position(&records, 1, 6);
    records.clients[1].log.insert(at, received(0, 6));
    let verdict = verify(&records);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(verdict.counts.overlapped, 1);
}

#[test]
fn a_message_with_two_numbers_is_seen() {
    let mut records = clean();
    let send = records.sends.get_mut(&id(3)).expect("sent");
    send.acks.push(AckRecord { seq: 11, duplicate: true, at: 99 });
    assert!(kinds(&records).contains(&FaultKind::Renumbered));

    let mut records = clean();
    let at = log_position(&records, 1, 4);
    if let Entry::Received { message_id, .. } = &mut records.clients[1].log[at] {
        *message_id = id(5);
    }
    assert!(kinds(&records).contains(&FaultKind::Renumbered));
}

#[test]
fn a_changed_text_or_sender_is_seen() {
    for change_body in [true, false] {
        let mut records = clean();
        let at = log_position(&records, 1, 4);
        if let Entry::Received { body, sender, .. } = &mut records.clients[1].log[at] {
            if change_body { *body += 1 } else { *sender = Uuid::nil() }
        }
        assert_eq!(kinds(&records), [FaultKind::Altered]);
    }
}

#[test]
fn a_message_from_nowhere_is_seen() {
    let mut records = clean();
    records.clients[1].log.push(received(1, 11));
    assert_eq!(kinds(&records), [FaultKind::Unknown]);
}

#[test]
fn overtaking_an_acknowledged_message_is_seen() {
    let mut records = clean();
    // Message 2 is sent after everything else was acknowledged, and yet has seq 2.
    let late = records.tick();
    let send = records.sends.get_mut(&id(2)).expect("sent");
    send.began = late;
    send.acks[0].at = late + 1;
    assert_eq!(kinds(&records), [FaultKind::Overtaken]);
}

#[test]
fn a_member_that_was_never_told_of_the_room_is_owed_everything() {
    let mut records = clean();
    records.clients[1].log.clear();
    assert_eq!(verify(&records).count(FaultKind::Lost), 10);
}

#[test]
fn an_unacknowledged_message_may_be_there_or_not_but_not_twice() {
    let mut records = clean();
    records.sends.get_mut(&id(10)).expect("sent").acks.clear();
    let verdict = verify(&records);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.counts.unacked, verdict.counts.unacked_but_there), (1, 1));
    for client in &mut records.clients {
        client.log.pop();
    }
    assert!(verify(&records).is_clean());
    records.clients[0].log.push(received(0, 10));
    records.clients[0].log.push(received(0, 10));
    assert_eq!(kinds(&records), [FaultKind::Duplicated]);
}

#[test]
fn nothing_is_owed_after_leaving() {
    let mut records = clean();
    let at = log_position(&records, 1, 8);
    records.clients[1].log.truncate(at);
    records.clients[1].log.push(Entry::Left { room: room() });
    let verdict = verify(&records);
    assert!(verdict.is_clean(), "{verdict}");
    records.clients[1].log.push(received(1, 8));
    assert_eq!(kinds(&records), [FaultKind::Stray]);
}

#[test]
fn whatever_a_stranger_hears_of_a_room_is_seen() {
    let mut records = clean();
    records.clients.push(ClientRecords::new("stranger", Uuid::from_u64_pair(3, 2)));
    records.strangers.insert((ClientId(2), room()));
    assert!(verify(&records).is_clean(), "it hears nothing and is owed nothing");
    // A client follows a room of which it gets a message unasked.
    records.clients[2].log.push(Entry::Opened { connection: 0, room: room(), after: 6 });
    records.clients[2].log.push(received(0, 7));
    let verdict = verify(&records);
    assert_eq!((verdict.count(FaultKind::Stray), verdict.faults.len()), (2, 2), "{verdict}");
}
