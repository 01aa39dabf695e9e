//! What writers were answered, and whether a database still says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sqlx::PgConnection;
use uuid::Uuid;

/// An entry that was acknowledged.
pub(crate) struct Sent {
    pub(crate) room: Uuid,
    pub(crate) seq: i64,
    pub(crate) id: Uuid,
}

/// One writer's answers, in their order where there is one.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) rooms: BTreeSet<Uuid>,
    pub(crate) sent: Vec<Sent>,
    /// Own texts as they were changed last; none: deleted.
    pub(crate) texts: BTreeMap<(Uuid, i64), Option<String>>,
    /// By room, target and emoji.
    pub(crate) reactions: BTreeSet<(Uuid, i64, String)>,
    pub(crate) marks: BTreeMap<(Uuid, Uuid), i64>,
    pub(crate) members: BTreeMap<(Uuid, Uuid), bool>,
    /// First byte of the token that is good now; none: ended.
    pub(crate) sessions: BTreeMap<(Uuid, Uuid), Option<u8>>,
    pub(crate) users: BTreeMap<Uuid, String>,
    pub(crate) lists: BTreeMap<(Uuid, Uuid), (bool, i64)>,
    pub(crate) calls: u64,
    pub(crate) unavailable: u64,
    pub(crate) longest: Duration,
}

/// What the ledgers say and the database does not, or the other way round; a sentence each.
pub(crate) async fn complaints(database: &mut PgConnection, slot: i32, ledgers: &[Ledger]) -> Vec<String> {
    let mut complaints = Vec::new();
    entries(database, slot, ledgers, &mut complaints).await;
    changes(database, slot, ledgers, &mut complaints).await;
    people(database, slot, ledgers, &mut complaints).await;
    complaints
}

/// Asserts that there are none, and says how much was counted.
pub(crate) async fn assert_whole(database: &mut PgConnection, slot: i32, ledgers: &[Ledger]) {
    let found = complaints(database, slot, ledgers).await;
    assert!(found.is_empty(), "{} complaints:\n{}", found.len(), found[..found.len().min(20)].join("\n"));
    let calls: u64 = ledgers.iter().map(|ledger| ledger.calls).sum();
    let sent: usize = ledgers.iter().map(|ledger| ledger.sent.len()).sum();
    let unavailable: u64 = ledgers.iter().map(|ledger| ledger.unavailable).sum();
    let longest = ledgers.iter().map(|ledger| ledger.longest).max();
    println!("{calls} calls answered, {sent} of them entries, longest {longest:?}, {unavailable} refused and repeated");
    assert!(sent > 0, "nothing was written");
}

/// I2 to I5: nothing lost, nothing twice, no gap, and everybody's own order.
async fn entries(database: &mut PgConnection, slot: i32, ledgers: &[Ledger], complaints: &mut Vec<String>) {
    let rows: Vec<(Uuid, i64, Uuid)> =
        sqlx::query_as("select room_id, seq, message_id from chat.messages where slot = $1 order by room_id, seq")
            .bind(slot)
            .fetch_all(&mut *database)
            .await
            .unwrap();
    let mut stored: BTreeMap<Uuid, BTreeMap<i64, Uuid>> = BTreeMap::new();
    for (room, seq, id) in rows {
        stored.entry(room).or_default().insert(seq, id);
    }
    let last: Vec<(Uuid, i64)> = sqlx::query_as("select room_id, last_seq from chat.rooms where slot = $1")
        .bind(slot)
        .fetch_all(&mut *database)
        .await
        .unwrap();
    let last: BTreeMap<Uuid, i64> = last.into_iter().collect();
    for room in ledgers.iter().flat_map(|ledger| &ledger.rooms) {
        let Some(last_seq) = last.get(room) else {
            complaints.push(format!("room {room} is lost"));
            continue;
        };
        let nothing = BTreeMap::new();
        let entries = stored.get(room).unwrap_or(&nothing);
        if !entries.keys().copied().eq(1..=*last_seq) {
            complaints.push(format!("room {room} has {} entries, and not 1 to {last_seq}", entries.len()));
        }
        let ids: BTreeSet<&Uuid> = entries.values().collect();
        if ids.len() != entries.len() {
            complaints.push(format!("room {room} has an id twice"));
        }
        let acknowledged = ledgers.iter().flat_map(|ledger| &ledger.sent).filter(|sent| sent.room == *room).count();
        if acknowledged != entries.len() {
            complaints.push(format!("room {room} has {} entries, {acknowledged} were acknowledged", entries.len()));
        }
    }
    for ledger in ledgers {
        let mut newest: BTreeMap<Uuid, i64> = BTreeMap::new();
        for Sent { room, seq, id } in &ledger.sent {
            if stored.get(room).and_then(|entries| entries.get(seq)) != Some(id) {
                complaints.push(format!("entry {id} is not at {room} {seq}"));
            }
            if newest.insert(*room, *seq).is_some_and(|before| before >= *seq) {
                complaints.push(format!("entry {id} at {room} {seq} was reordered"));
            }
        }
    }
}

async fn changes(database: &mut PgConnection, slot: i32, ledgers: &[Ledger], complaints: &mut Vec<String>) {
    let bodies: Vec<(Uuid, i64, String, bool)> =
        sqlx::query_as("select room_id, seq, body, deleted from chat.messages where slot = $1 and kind = 'text'")
            .bind(slot)
            .fetch_all(&mut *database)
            .await
            .unwrap();
    let bodies: BTreeMap<(Uuid, i64), Option<String>> =
        bodies.into_iter().map(|(room, seq, body, deleted)| ((room, seq), (!deleted).then_some(body))).collect();
    for (place, body) in ledgers.iter().flat_map(|ledger| &ledger.texts) {
        if bodies.get(place) != Some(body) {
            complaints.push(format!("text {place:?} is {:?} and not {body:?}", bodies.get(place)));
        }
    }
    let stored: Vec<(Uuid, i64, String)> =
        sqlx::query_as("select room_id, target, emoji from chat.reactions where slot = $1")
            .bind(slot)
            .fetch_all(&mut *database)
            .await
            .unwrap();
    let stored: BTreeSet<(Uuid, i64, String)> = stored.into_iter().collect();
    let expected: BTreeSet<_> = ledgers.iter().flat_map(|ledger| ledger.reactions.iter().cloned()).collect();
    complaints.extend(stored.symmetric_difference(&expected).map(|reaction| format!("reaction {reaction:?}")));
}

async fn people(database: &mut PgConnection, slot: i32, ledgers: &[Ledger], complaints: &mut Vec<String>) {
    let members: Vec<(Uuid, Uuid, i64)> =
        sqlx::query_as("select room_id, user_id, read_seq from chat.members where slot = $1")
            .bind(slot)
            .fetch_all(&mut *database)
            .await
            .unwrap();
    let members: BTreeMap<(Uuid, Uuid), i64> =
        members.into_iter().map(|(room, user, read)| ((room, user), read)).collect();
    let sessions: Vec<(Uuid, Uuid, Vec<u8>)> =
        sqlx::query_as("select user_id, session_id, token_hash from chat.sessions where slot = $1")
            .bind(slot)
            .fetch_all(&mut *database)
            .await
            .unwrap();
    let sessions: BTreeMap<(Uuid, Uuid), u8> =
        sessions.into_iter().map(|(user, session, hash)| ((user, session), hash[0])).collect();
    let users: Vec<(Uuid, String)> = sqlx::query_as("select user_id, password_hash from chat.users where slot = $1")
        .bind(slot)
        .fetch_all(&mut *database)
        .await
        .unwrap();
    let users: BTreeMap<Uuid, String> = users.into_iter().collect();
    let lists: Vec<(Uuid, Uuid, bool, i64)> =
        sqlx::query_as("select user_id, room_id, joined, version from chat.user_rooms where slot = $1")
            .bind(slot)
            .fetch_all(&mut *database)
            .await
            .unwrap();
    let lists: BTreeMap<(Uuid, Uuid), (bool, i64)> =
        lists.into_iter().map(|(user, room, joined, version)| ((user, room), (joined, version))).collect();
    for ledger in ledgers {
        for (key, mark) in &ledger.marks {
            if members.get(key) != Some(mark) {
                complaints.push(format!("mark {key:?} is {:?} and not {mark}", members.get(key)));
            }
        }
        for (key, present) in &ledger.members {
            if members.contains_key(key) != *present {
                complaints.push(format!("member {key:?} is not as answered"));
            }
        }
        for (key, token) in &ledger.sessions {
            if sessions.get(key) != token.as_ref() {
                complaints.push(format!("session {key:?} is {:?} and not {token:?}", sessions.get(key)));
            }
        }
        for (user, hash) in &ledger.users {
            if users.get(user) != Some(hash) {
                complaints.push(format!("account {user} is lost"));
            }
        }
        for (key, row) in &ledger.lists {
            if lists.get(key) != Some(row) {
                complaints.push(format!("list {key:?} is {:?} and not {row:?}", lists.get(key)));
            }
        }
    }
}
