//! Writers that send, change and mark, one call after the other, and note every answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chat_gateway::{
    model::{Content, MessageId, RequestId, RoomId, SessionId, User, UserId},
    store::{
        NewMessage, NewUser, SessionStore as _, Store, StoreError, StoredEvent,
        postgres::PostgresStore,
        sessions::{NewSession, Refresh},
    },
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use uuid::Uuid;

use crate::{
    fixtures::{group_as, person, sign_up_as},
    ledger::{Ledger, Sent},
    world::{SLOT, World},
};

/// How long a call may go without an answer: longer than any crash of these tests.
const PATIENCE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Writers at work.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Ledger>>,
    sweeper: JoinHandle<()>,
    fixtures: Ledger,
}

impl Traffic {
    /// So many writers in the slot, who share a room and have one each.
    pub(crate) async fn start(store: &Arc<PostgresStore>, writers: usize) -> Self {
        let mut people = Vec::new();
        for _ in 0..writers {
            people.push(sign_up_as(&**store, World::user_in(SLOT)).await);
        }
        let shared = group_as(&**store, World::room_in(SLOT), &people).await;
        let mut fixtures = Ledger::default();
        fixtures.rooms.insert(shared.0);
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for (nth, me) in people.into_iter().enumerate() {
            let own = group_as(&**store, World::room_in(SLOT), std::slice::from_ref(&me)).await;
            fixtures.rooms.insert(own.0);
            fixtures.users.insert(me.id.0, format!("hash of {}", me.id));
            let writer = Writer {
                store: store.clone(),
                stop: stop.clone(),
                me,
                rooms: [shared, own],
                dice: nth as u64 + 1,
                ledger: Ledger::default(),
                session: None,
                guest: (person(World::user_in(SLOT)), false),
                version: 0,
            };
            tasks.push(tokio::spawn(writer.write()));
        }
        let sweeper = tokio::spawn(sweep(store.clone(), stop.clone()));
        Self { stop, writers: tasks, sweeper, fixtures }
    }

    /// Ends it after the calls under way, each of which is answered.
    pub(crate) async fn stop(self) -> Vec<Ledger> {
        self.stop.store(true, Ordering::SeqCst);
        let mut ledgers = vec![self.fixtures];
        for writer in self.writers {
            ledgers.push(writer.await.unwrap());
        }
        self.sweeper.await.unwrap();
        ledgers
    }
}

/// Relays what nobody waited for, as every gateway does.
async fn sweep(store: Arc<PostgresStore>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        let claimed = store.claim_outbox(Duration::from_millis(200), 50).await.unwrap_or_default();
        // Every second one is forgotten; the others come back in 10 s.
        let keys: Vec<_> = claimed.iter().step_by(2).map(|event| event.key).collect();
        drop(store.finish_outbox(&keys).await);
        sleep(Duration::from_millis(50)).await;
    }
}

/// Calls again, with the same ids, until there is an answer.
async fn answered<T, F, Fut>(ledger: &mut Ledger, call: F) -> T
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, StoreError>>,
{
    let started = Instant::now();
    loop {
        match call().await {
            Ok(answer) => {
                ledger.calls += 1;
                ledger.longest = ledger.longest.max(started.elapsed());
                return answer;
            }
            Err(StoreError::Unavailable { cause, .. }) => {
                ledger.unavailable += 1;
                assert!(started.elapsed() < PATIENCE, "no answer: {cause}");
            }
            Err(other) => panic!("{other}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

struct Writer {
    store: Arc<PostgresStore>,
    stop: Arc<AtomicBool>,
    me: User,
    rooms: [RoomId; 2],
    dice: u64,
    ledger: Ledger,
    session: Option<(SessionId, u8)>,
    /// Somebody whom this writer adds to the own room and removes again.
    guest: (User, bool),
    version: i64,
}

impl Writer {
    async fn write(mut self) -> Ledger {
        while !self.stop.load(Ordering::SeqCst) {
            // Writers that leave the machine no time measure nothing but that.
            sleep(Duration::from_millis(5 + self.roll(20))).await;
            match self.roll(20) {
                0..=9 => self.text().await,
                10..=11 => self.edit().await,
                12 => self.delete().await,
                13..=14 => self.react().await,
                15 => self.mark().await,
                16 => self.guest().await,
                17 => self.session().await,
                18 => self.list().await,
                _ => self.account().await,
            }
        }
        self.ledger
    }

    /// A number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        // Numbers of Knuth's MMIX; the high bits are the good ones.
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }

    async fn entry(&mut self, room: RoomId, content: Content) -> i64 {
        let new = NewMessage { room, message_id: MessageId(Uuid::now_v7()), sender: self.me.id, content };
        let store = self.store.clone();
        let sent = answered(&mut self.ledger, || store.send(new.clone())).await;
        self.ledger.sent.push(Sent { room: room.0, seq: sent.message.seq, id: new.message_id.0 });
        if self.roll(2) == 0 {
            let keys: Vec<_> = sent.events.iter().map(|event| event.key).collect();
            answered(&mut self.ledger, || store.finish_outbox(&keys)).await;
        }
        sent.message.seq
    }

    async fn text(&mut self) {
        let room = self.rooms[usize::try_from(self.roll(2)).unwrap()];
        let body = format!("{} of {}", self.ledger.sent.len(), self.me.name);
        let seq = self.entry(room, Content::text(&body)).await;
        self.ledger.texts.insert((room.0, seq), Some(body));
    }

    /// One of the own texts that are not deleted.
    fn own_text(&mut self) -> Option<(RoomId, i64)> {
        let alive = self.ledger.texts.iter().filter(|(_, body)| body.is_some());
        let alive: Vec<(Uuid, i64)> = alive.map(|(place, _)| *place).collect();
        let nth = self.roll(alive.len().max(1) as u64);
        alive.get(usize::try_from(nth).unwrap()).map(|(room, seq)| (RoomId(*room), *seq))
    }

    async fn edit(&mut self) {
        let Some((room, target)) = self.own_text() else { return };
        let body = format!("edit {}", self.ledger.sent.len());
        self.entry(room, Content::Edit { target, body: body.clone() }).await;
        self.ledger.texts.insert((room.0, target), Some(body));
    }

    async fn delete(&mut self) {
        let Some((room, target)) = self.own_text() else { return };
        self.entry(room, Content::Delete { target }).await;
        self.ledger.texts.insert((room.0, target), None);
        self.ledger.reactions.retain(|(of, seq, _)| (*of, *seq) != (room.0, target));
    }

    async fn react(&mut self) {
        let Some((room, target)) = self.own_text() else { return };
        let emoji = ["👍", "é", "z"][usize::try_from(self.roll(3)).unwrap()].to_owned();
        let key = (room.0, target, emoji.clone());
        if self.ledger.reactions.remove(&key) {
            self.entry(room, Content::Unreact { target, emoji }).await;
        } else {
            self.entry(room, Content::React { target, emoji }).await;
            self.ledger.reactions.insert(key);
        }
    }

    async fn mark(&mut self) {
        let Some(last) = self.ledger.sent.last().map(|sent| (sent.room, sent.seq)) else { return };
        let (store, me) = (self.store.clone(), self.me.id);
        answered(&mut self.ledger, || store.mark(RoomId(last.0), me, None, Some(last.1))).await;
        let mark = self.ledger.marks.entry((last.0, me.0)).or_default();
        *mark = last.1.max(*mark);
    }

    async fn guest(&mut self) {
        let (store, room, me) = (self.store.clone(), self.rooms[1], self.me.id);
        let (guest, present) = self.guest.clone();
        let request = Some(RequestId(Uuid::now_v7()));
        if present {
            answered(&mut self.ledger, || store.remove_member(room, me, guest.id, request)).await;
        } else {
            answered(&mut self.ledger, || store.add_member(room, me, guest.clone(), request)).await;
        }
        self.guest.1 = !present;
        self.ledger.members.insert((room.0, guest.id.0), !present);
    }

    async fn session(&mut self) {
        let (store, me) = (self.store.clone(), self.me.id);
        match self.session.take() {
            Some((id, uses)) if uses < 4 => {
                let refresh = Refresh {
                    user: me,
                    session: id,
                    presented: [uses; 32],
                    next: [uses + 1; 32],
                    salt: [uses; 32],
                    idle: DAY,
                    user_agent: "again".to_owned(),
                };
                answered(&mut self.ledger, || store.refresh_session(refresh.clone())).await;
                self.session = Some((id, uses + 1));
                self.ledger.sessions.insert((me.0, id.0), Some(uses + 1));
            }
            Some((id, _)) => {
                answered(&mut self.ledger, || store.end_session(me, id)).await;
                self.ledger.sessions.insert((me.0, id.0), None);
            }
            None => {
                let new = NewSession {
                    user: me,
                    id: SessionId(Uuid::now_v7()),
                    token_hash: [1; 32],
                    idle: DAY,
                    life: 2 * DAY,
                    user_agent: "first".to_owned(),
                };
                answered(&mut self.ledger, || store.create_session(new.clone())).await;
                self.session = Some((new.id, 1));
                self.ledger.sessions.insert((me.0, new.id.0), Some(1));
            }
        }
    }

    /// The list of rooms of the own account, as relays keep it.
    async fn list(&mut self) {
        self.version += 1;
        let (store, room, user, version) = (self.store.clone(), self.rooms[1], self.me.id, self.version + 100);
        let joined = version % 2 == 0;
        let event = if joined {
            StoredEvent::Joined { room, user, name: self.me.name.clone(), version }
        } else {
            StoredEvent::Left { room, user, version }
        };
        answered(&mut self.ledger, || store.apply_membership(&event)).await;
        self.ledger.lists.insert((user.0, room.0), (joined, version));
    }

    async fn account(&mut self) {
        let id: UserId = World::user_in(SLOT);
        let hash = format!("hash of {id}");
        let new = NewUser { user: person(id), password_hash: hash.clone() };
        let store = self.store.clone();
        answered(&mut self.ledger, || store.create_user(new.clone())).await;
        self.ledger.users.insert(id.0, hash);
    }
}
