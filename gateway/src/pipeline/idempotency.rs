//! Stage 5: a message id is one message. The store decides; answers of the last minutes are remembered here, so that the repeats of
//! a reconnecting crowd cost it nothing.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use jiff::Timestamp;
use moka::future::Cache;

use crate::{
    model::{EntryKind, Message, MessageId, RoomId, Seq, UserId},
    protocol::{Answer, WireError},
    store::{NewMessage, StoreError},
};

/// Answers remembered: about 200 bytes each.
const ANSWERS: u64 = 16_384;

/// How long: a client that comes back later asks the store.
const LIFE: Duration = Duration::from_secs(120);

/// The answers to the last sends.
pub(crate) struct RecentSends(Cache<(RoomId, MessageId), First>);

/// What the first send came to, without its body.
#[derive(Clone, Copy, Debug)]
struct First {
    sender: UserId,
    content: u64,
    seq: Seq,
    at: Timestamp,
}

impl RecentSends {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(ANSWERS).time_to_live(LIFE).build())
    }

    /// Remembers a committed message.
    pub(super) async fn remember(&self, message: &Message) {
        let content = hash(message.kind, message.target, message.reply_to, &message.body);
        let first = First { sender: message.sender, content, seq: message.seq, at: message.at };
        self.0.insert((message.room, message.message_id), first).await;
    }
}

/// The first answer, if this is a repeat that is remembered.
///
/// # Errors
/// `conflict` when the id was used for another message.
pub(super) async fn repeated(recent: &RecentSends, new: &NewMessage) -> Result<Option<Answer>, WireError> {
    let Some(first) = recent.0.get(&(new.room, new.message_id)).await else { return Ok(None) };
    let content = &new.content;
    let content = hash(content.kind(), content.target(), content.reply_to(), content.body());
    if first.sender != new.sender || first.content != content {
        return Err(StoreError::MessageIdReused.into());
    }
    Ok(Some(Answer::Sent { room: new.room, message_id: new.message_id, seq: first.seq, at: first.at, duplicate: true }))
}

/// What two entries of one id must agree on. Mentions are left out: who is no member any more is left out of them.
fn hash(kind: EntryKind, target: Option<Seq>, reply_to: Option<Seq>, body: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, target, reply_to, body).hash(&mut hasher);
    hasher.finish()
}
