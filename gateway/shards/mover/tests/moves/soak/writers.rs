//! Writers: each sends a text, again and again with the same id until it is acknowledged, and then the next one.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use chat_gateway::{
    model::{Content, MessageId, RoomId, RoomKind, User, UserId},
    store::{NewMessage, NewRoom, NewUser, OutboxKey, Store as _, StoreError, postgres::PostgresStore},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::checker::Acknowledged;

/// Texts under way at once.
const WRITERS: usize = 256;
/// Longer without an answer than this is a slot that nobody opens again.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two texts of a writer once there are enough, so that moves still meet some.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    count: AtomicU64,
    unavailable: AtomicU64,
    longest: Mutex<Duration>,
    relayed: Mutex<Vec<OutboxKey>>,
}

pub(crate) struct Writers {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    /// One room in each slot, and writers in all of them.
    pub(crate) async fn start(
        store: &Arc<PostgresStore>,
        slots: u32,
        enough: u64,
        acknowledged: &Arc<Acknowledged>,
    ) -> Self {
        let ann = person();
        let new = NewUser { user: ann.clone(), password_hash: String::new() };
        store.create_user(new).await.expect("sign up");
        let mut rooms = Vec::new();
        for slot in 0..i32::try_from(slots).expect("slots") {
            let id = room_in(slot, slots);
            let title = "soak".to_owned();
            let room = NewRoom { id, kind: RoomKind::Group, title, creator: ann.id, members: Vec::new() };
            store.create_room(room, None).await.expect("create a room");
            acknowledged.room(id.0, slot);
            rooms.push(id);
        }
        let (shared, rooms) = (Arc::new(Shared::default()), Arc::new(rooms));
        let mut tasks = Vec::new();
        let sender = ann.id;
        for nth in 0..WRITERS {
            let (shared, store, rooms, acknowledged) =
                (shared.clone(), store.clone(), rooms.clone(), acknowledged.clone());
            tasks.push(tokio::spawn(async move {
                let mut at = nth;
                while !shared.stop.load(Ordering::Relaxed) {
                    at += 1 + nth % 7;
                    shared.text(&store, rooms[at % rooms.len()], sender, &acknowledged).await;
                    if shared.count.load(Ordering::Relaxed) > enough {
                        sleep(PAUSE).await;
                    }
                }
            }));
        }
        let relay = (shared.clone(), store.clone());
        tasks.push(tokio::spawn(async move { relay.0.relay(&relay.1).await }));
        Self { shared, tasks }
    }

    pub(crate) fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// After every text that was begun has its answer: how many, how many answers were "later", and the longest wait.
    pub(crate) async fn stop(self) -> (u64, u64, Duration) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a writer");
        }
        let longest = *self.shared.longest.lock().unwrap_or_else(PoisonError::into_inner);
        (self.shared.count.load(Ordering::Relaxed), self.shared.unavailable.load(Ordering::Relaxed), longest)
    }
}

impl Shared {
    async fn text(&self, store: &PostgresStore, room: RoomId, sender: UserId, acknowledged: &Acknowledged) {
        let id = Uuid::now_v7();
        let new = NewMessage { room, message_id: MessageId(id), sender, content: Content::text("a short text") };
        let started = Instant::now();
        let sent = loop {
            match store.send(new.clone()).await {
                Ok(sent) => break sent,
                Err(StoreError::Unavailable { cause, .. }) => {
                    self.unavailable.fetch_add(1, Ordering::Relaxed);
                    assert!(started.elapsed() < PATIENCE, "a text goes without an answer: {cause}");
                    sleep(Duration::from_millis(20)).await;
                }
                Err(other) => panic!("{other}"),
            }
        };
        let mut longest = self.longest.lock().unwrap_or_else(PoisonError::into_inner);
        *longest = started.elapsed().max(*longest);
        drop(longest);
        acknowledged.note(room.0, sent.message.seq, id);
        self.relayed.lock().unwrap_or_else(PoisonError::into_inner).extend(sent.events.iter().map(|event| event.key));
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Marks events as relayed, as gateways do.
    async fn relay(&self, store: &PostgresStore) {
        while !self.stop.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(50)).await;
            let keys = std::mem::take(&mut *self.relayed.lock().unwrap_or_else(PoisonError::into_inner));
            for some in keys.chunks(2_000) {
                // What is not marked stays, and moves with its slot.
                drop(store.finish_outbox(some).await);
            }
        }
    }
}

fn person() -> User {
    let id = UserId(Uuid::now_v7());
    let name = format!("u{}", id.0.simple());
    User { id, display_name: name.clone(), name }
}

fn room_in(slot: i32, slots: u32) -> RoomId {
    let ids = std::iter::repeat_with(Uuid::now_v7);
    RoomId(ids.into_iter().find(|id| chat_shards::slot_of(*id, slots) == slot).expect("endless"))
}
