//! What a device may want of a room.

use chat_gateway::model::{RoomId, Seq};
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};
use uuid::Uuid;

/// An entry, by its message id; one that changes another aims at one up to `newest`.
pub(crate) fn entry(dice: &mut StdRng, room: RoomId, newest: Seq) -> (Uuid, Value) {
    let id = uuid::Builder::from_random_bytes(dice.random()).with_version(uuid::Version::SortRand).into_uuid();
    let target = dice.random_range(1..=newest.max(1));
    let emoji = *["👍", "🎉", ":ok:"].choose(dice).unwrap();
    let mut request = match dice.random_range(0..20) {
        0..3 => json!({ "type": "edit", "target": target, "body": format!("edited as {id}") }),
        3 => json!({ "type": "delete", "target": target }),
        4..7 => json!({ "type": "react", "target": target, "emoji": emoji }),
        7 => json!({ "type": "unreact", "target": target, "emoji": emoji }),
        _ => json!({ "type": "send", "body": format!("said as {id}") }),
    };
    request["room"] = json!(room);
    request["message_id"] = json!(id);
    (id, request)
}

/// That somebody else comes or goes, `me` leaves, or somebody gets another role. Most of them come, since fewer may remove.
pub(crate) fn change_of_members(dice: &mut StdRng, room: RoomId, me: &str, other: &str) -> Value {
    let mut request = match dice.random_range(0..10) {
        0..5 => json!({ "type": "add_member", "member": other }),
        5..7 => json!({ "type": "remove_member", "member": other }),
        7 => json!({ "type": "remove_member", "member": me }),
        8 => json!({ "type": "set_role", "member": other, "role": "owner" }),
        _ => json!({ "type": "set_role", "member": other, "role": "admin" }),
    };
    request["room"] = json!(room);
    request
}
