//! What all stores must agree on about entries that change texts.

use sha2::{Digest as _, Sha256};

use super::{NewMessage, StoreError};
use crate::model::{Content, EntryKind, Message, Role, RoomKind};

/// Said to who may not change a text.
pub(super) const SENDER_ONLY: &str = "only its sender changes a message; in a group, owner and admins delete any";

/// Said to who reacts to one message again and again.
pub(super) const REACTIONS: &str = "a member reacts to one message in at most 20 ways";

/// Whether an entry is the one that a repeat sends again. `first_body` is what [`digest`] made of its first body, once that is gone.
pub(super) fn is_repeat(first: &Message, first_body: Option<&[u8]>, new: &NewMessage) -> bool {
    let body = new.content.body();
    first.sender == new.sender
        && first.kind == new.content.kind()
        && first.target == new.content.target()
        && first.reply_to == new.content.reply_to()
        && first_body.map_or_else(|| first.body == body, |kept| kept == digest(body))
}

/// What is kept of a body that is gone.
pub(super) fn digest(body: &str) -> [u8; 32] {
    Sha256::digest(body).into()
}

/// Whether a member may do this to the text that `content` names.
pub(super) fn check(content: &Content, text: Option<&Message>, actor: &Actor) -> Result<(), StoreError> {
    let text = text.filter(|text| text.kind == EntryKind::Text && !text.deleted);
    let text = text.ok_or(StoreError::MessageNotFound("target"))?;
    let moderates = actor.room == RoomKind::Group && actor.role != Role::Member;
    match content {
        Content::Edit { .. } if text.sender != actor.user => Err(StoreError::Forbidden(SENDER_ONLY)),
        Content::Delete { .. } if text.sender != actor.user && !moderates => Err(StoreError::Forbidden(SENDER_ONLY)),
        _ => Ok(()),
    }
}

/// Who changes a text, and where.
pub(super) struct Actor {
    pub(super) user: crate::model::UserId,
    pub(super) role: Role,
    pub(super) room: RoomKind,
}
