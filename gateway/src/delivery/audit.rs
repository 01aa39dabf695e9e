//! Looks whether the store has what was acknowledged: a failover to a replica that was behind loses what the primary had committed, and
//! nobody else would notice before somebody misses a message.

use std::{sync::Arc, time::Duration};

use chat_gateway_config::delivery::Breach;
use tokio::time::{MissedTickBehavior, interval};

use super::Books;
use crate::store::Store;

/// How often: the store is asked for the positions of some hundred rooms, by their keys.
const EVERY: Duration = Duration::from_secs(5);

/// Audits until it is stopped.
pub(crate) async fn run(store: Arc<dyn Store>, books: Arc<Books>) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        audit(&*store, &books).await;
    }
}

/// Compares once. Rooms that the store does not tell of, since their shard is away, are left out.
async fn audit(store: &dyn Store, books: &Books) {
    let promised = books.promises.take();
    if promised.is_empty() {
        return;
    }
    let rooms: Vec<_> = promised.keys().copied().collect();
    match store.positions(&rooms).await {
        Ok(places) => {
            for place in places {
                if let Some(seq) = promised.get(&place.room).filter(|seq| **seq > place.last_seq) {
                    books.violated(Breach::Unstored, place.room, *seq);
                }
            }
        }
        Err(error) => tracing::debug!(%error, "what was acknowledged could not be compared with the store"),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        model::{Content, MessageId, RoomId, RoomKind, User, UserId},
        store::{NewMessage, NewRoom, NewUser, memory::MemoryStore},
    };

    #[tokio::test]
    async fn what_was_acknowledged_and_is_not_there_is_a_violation() {
        let (store, books) = (MemoryStore::new(), Books::new(16));
        let id = UserId(Uuid::from_u128(1));
        let user = User { id, name: "ann".into(), display_name: "Ann".into() };
        store.create_user(NewUser { user, password_hash: String::new() }).await.unwrap();
        let [full, short] = [2, 3].map(|number| RoomId(Uuid::from_u128(number)));
        for room in [full, short] {
            let new = NewRoom { id: room, kind: RoomKind::Group, title: "t".into(), creator: id, members: Vec::new() };
            store.create_room(new, None).await.unwrap();
            let message_id = MessageId(Uuid::from_u128(9));
            let sent = store.send(NewMessage { room, message_id, sender: id, content: Content::text("x") }).await;
            books.accepted(room, sent.unwrap().message.seq);
        }
        audit(&store, &books).await;
        assert_eq!(books.violations(), 0);
        books.accepted(full, 1);
        books.accepted(short, 2);
        // Of a room that the store says nothing of, nothing is known.
        books.accepted(RoomId(Uuid::from_u128(4)), 7);
        audit(&store, &books).await;
        let last = books.stats().last_violation.unwrap();
        assert_eq!((books.violations(), last.breach, last.room, last.seq), (1, Breach::Unstored, short.to_string(), 2));
        audit(&store, &books).await;
        assert_eq!(books.violations(), 1, "it is told once");
    }
}
