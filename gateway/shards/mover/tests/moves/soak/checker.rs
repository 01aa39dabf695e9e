//! Every acknowledgement, and whether the shards still say the same.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use sqlx::PgConnection;
use uuid::Uuid;

use super::shards::Shards;

/// What was acknowledged: each room's slot, and its messages' ids in their order.
#[derive(Default)]
pub(crate) struct Acknowledged {
    rooms: Mutex<BTreeMap<Uuid, (i32, Vec<u128>)>>,
    wrong: Mutex<Vec<String>>,
}

impl Acknowledged {
    pub(crate) fn room(&self, room: Uuid, slot: i32) {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).insert(room, (slot, Vec::new()));
    }

    /// Notes an answer; a number that was given out twice is wrong whatever the database says later.
    pub(crate) fn note(&self, room: Uuid, seq: i64, id: Uuid) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, ids)) = rooms.get_mut(&room) else { return };
        let at = usize::try_from(seq - 1).unwrap_or(0);
        if ids.len() <= at {
            ids.resize(at + 1, 0);
        }
        if ids[at] != 0 && ids[at] != id.as_u128() {
            let text = format!("room {room}: {seq} was given out twice");
            self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
        ids[at] = id.as_u128();
    }
}

/// A sentence for everything that is lost, too much, twice, or at another place than it was acknowledged at; for every slot that has no owner, or
/// more than one.
pub(crate) async fn complaints(shards: &Shards, acknowledged: &Acknowledged) -> Vec<String> {
    let mut databases = Vec::new();
    let mut owners: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for index in 0..shards.count() {
        let mut admin = shards.admin(index).await;
        let owned: Vec<i32> =
            sqlx::query_scalar("select slot from chat.slot_ownership where state in ('owned', 'migrating', 'fenced')")
                .fetch_all(&mut admin)
                .await
                .expect("the slots of a shard");
        owned.into_iter().for_each(|slot| owners.entry(slot).or_default().push(index));
        databases.push(admin);
    }
    let mut complaints = acknowledged.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for slot in 0..i32::try_from(shards.config.database.slots).unwrap_or(i32::MAX) {
        let owners = owners.get(&slot).map(Vec::as_slice).unwrap_or_default();
        if owners.len() != 1 {
            complaints.push(format!("slot {slot} is owned by {owners:?}"));
        }
    }
    let rooms: Vec<(Uuid, i32)> = {
        let rooms = acknowledged.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.iter().map(|(room, (slot, _))| (*room, *slot)).collect()
    };
    for (room, slot) in rooms {
        if let Some(owner) = owners.get(&slot).and_then(|owners| owners.first()) {
            complaints.extend(of_room(&mut databases[*owner], acknowledged, slot, room).await);
        }
    }
    complaints
}

/// The same of one room.
pub(crate) async fn of_room(
    database: &mut PgConnection,
    acknowledged: &Acknowledged,
    slot: i32,
    room: Uuid,
) -> Vec<String> {
    let stored: Vec<(i64, Uuid)> =
        sqlx::query_as("select seq, message_id from chat.messages where slot = $1 and room_id = $2 order by seq")
            .bind(slot)
            .bind(room)
            .fetch_all(&mut *database)
            .await
            .expect("a room's messages");
    let last: Option<i64> = sqlx::query_scalar("select last_seq from chat.rooms where slot = $1 and room_id = $2")
        .bind(slot)
        .bind(room)
        .fetch_optional(&mut *database)
        .await
        .expect("a room");
    let rooms = acknowledged.rooms.lock().unwrap_or_else(PoisonError::into_inner);
    let ids = rooms.get(&room).map(|(_, ids)| ids.as_slice()).unwrap_or_default();
    let mut complaints = Vec::new();
    if last != i64::try_from(ids.len()).ok() {
        complaints.push(format!("room {room} ends at {last:?}, {} were acknowledged", ids.len()));
    }
    if stored.len() != ids.len() {
        complaints.push(format!("room {room} has {} entries, {} were acknowledged", stored.len(), ids.len()));
    }
    for (nth, ((seq, id), acknowledged)) in stored.iter().zip(ids).enumerate() {
        if *seq != nth as i64 + 1 || id.as_u128() != *acknowledged {
            complaints.push(format!("room {room}: {id} at {seq} is not what was acknowledged at {}", nth + 1));
            break;
        }
    }
    complaints
}

/// A room with this many messages at least, its slot, and who has it.
pub(crate) async fn a_room(shards: &Shards, acknowledged: &Acknowledged, least: usize) -> Option<(Uuid, i32, usize)> {
    let (room, slot) = {
        let rooms = acknowledged.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let found = rooms.iter().find(|(_, (_, ids))| ids.len() >= least);
        found.map(|(room, (slot, _))| (*room, *slot))?
    };
    for index in 0..shards.count() {
        let sql = "select exists (select from chat.slot_ownership where slot = $1 and state = 'owned')";
        let is_owner: bool =
            sqlx::query_scalar(sql).bind(slot).fetch_one(&mut shards.admin(index).await).await.expect("a slot");
        if is_owner {
            return Some((room, slot, index));
        }
    }
    None
}
