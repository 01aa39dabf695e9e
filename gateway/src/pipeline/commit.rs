//! Stage 6: one transaction of the store makes the entry durable and gives it its seq.

use super::{Outcome, idempotency::RecentSends};
use crate::{
    connection::session::Session,
    delivery::Counted,
    model::{Content, MessageId, RoomId},
    protocol::{Answer, WireError},
    services::Services,
    store::{NewMessage, Sent},
};

/// An entry of this session's user.
pub(super) fn new_message(session: &Session, room: RoomId, message_id: MessageId, content: Content) -> NewMessage {
    NewMessage { room, message_id, sender: session.user.id, content }
}

/// Commits it.
pub(super) async fn commit(services: &Services, recent: &RecentSends, new: NewMessage) -> Result<Outcome, WireError> {
    let Sent { message, duplicate, events } = services.store.send(new).await?;
    recent.remember(&message).await;
    if !duplicate {
        services.books.count(message.room, Counted { committed: 1, ..Counted::default() });
    }
    let answer = Answer::Sent {
        room: message.room,
        message_id: message.message_id,
        seq: message.seq,
        at: message.at,
        duplicate,
    };
    Ok(Outcome { answer, events, entry: None })
}
