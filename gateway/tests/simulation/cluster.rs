//! The gateways of a course, their rooms and people.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use chat_gateway::{
    broker::MemoryExchange,
    codec::Codec,
    model::{RoomId, RoomKind, Seq, SessionId, User, UserId},
    presence::MemoryPresence,
    store::{NewRoom, NewUser, SessionStore as _, Store as _, memory::MemoryStore, sessions::NewSession},
};
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use tokio::io::{DuplexStream, duplex};
use uuid::Uuid;

use crate::{
    board::Board,
    broker::SimBroker,
    chronicle::Chronicle,
    device::Plan,
    line::Line,
    store::SimStore,
    world::{self, Gateway, Parts},
};

pub(crate) const GATEWAYS: usize = 3;
const PEOPLE: usize = 6;
const DEVICES: usize = 8;
const ROOMS: usize = 6;
/// What each device puts into logs.
const ENTRIES: usize = 250;

/// Bytes between client and gateway, as in the other tests.
const PIPE: usize = 16 * 1024;

/// Lives of a sign-in, far over what a course takes.
const SIGN_IN: Duration = Duration::from_secs(1_000_000);

pub(crate) struct Cluster {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) chronicle: Arc<Chronicle>,
    pub(crate) board: Board,
    /// The room that everybody stays in, so that everybody always has something to write to.
    pub(crate) home: RoomId,
    exchange: MemoryExchange,
    presence: Arc<MemoryPresence>,
    people: Vec<User>,
    rooms: HashMap<RoomId, Vec<User>>,
    gateways: Mutex<Vec<Option<Running>>>,
    pub(crate) crashes: AtomicUsize,
    pub(crate) cuts: AtomicUsize,
}

/// A gateway from its start to its crash.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) line: Arc<Line>,
    pub(crate) broker: Arc<SimBroker>,
}

impl Cluster {
    pub(crate) async fn start(dice: &mut StdRng) -> Self {
        let store = Arc::new(MemoryStore::new());
        let people: Vec<User> = (0..PEOPLE).map(|nth| world::user(&format!("person{nth}"))).collect();
        for user in &people {
            store.create_user(NewUser { user: user.clone(), password_hash: String::new() }).await.unwrap();
        }
        let mut rooms = HashMap::new();
        let chronicle = Arc::new(Chronicle::default());
        let home = RoomId(Uuid::from_u128(dice.random()));
        for nth in 0..ROOMS {
            let size = if nth == 0 { PEOPLE } else { dice.random_range(2..=PEOPLE) };
            let members: Vec<User> = people.sample(dice, size).cloned().collect();
            let id = if nth == 0 { home } else { RoomId(Uuid::from_u128(dice.random())) };
            let (creator, others) = members.split_first().unwrap();
            let (kind, title) = (RoomKind::Group, String::new());
            let new = NewRoom { id, kind, title, creator: creator.id, members: others.to_vec() };
            let made = store.create_room(new, None).await.unwrap();
            chronicle.note(&made.events, 0);
            for event in &made.events {
                store.apply_membership(&event.event).await.unwrap();
            }
            store.finish_outbox(&made.events.iter().map(|event| event.key).collect::<Vec<_>>()).await.unwrap();
            rooms.insert(id, members);
        }
        let cluster = Self {
            store,
            chronicle,
            board: Board::default(),
            home,
            exchange: MemoryExchange::new(),
            presence: Arc::default(),
            people,
            rooms,
            gateways: Mutex::new((0..GATEWAYS).map(|_| None).collect()),
            crashes: AtomicUsize::new(0),
            cuts: AtomicUsize::new(0),
        };
        for nth in 0..GATEWAYS {
            cluster.restart(nth, dice.random());
        }
        cluster
    }

    /// Who writes what where, one plan for each device; some people have two.
    pub(crate) fn devices(&self, dice: &mut StdRng) -> Vec<Plan> {
        let plan = |nth: usize| {
            let user = self.people[nth % PEOPLE].clone();
            let mut rooms: Vec<RoomId> =
                self.rooms.iter().filter(|(_, members)| members.contains(&user)).map(|(id, _)| *id).collect();
            rooms.sort();
            Plan { name: format!("device{nth}"), user, rooms, entries: ENTRIES, seed: dice.random() }
        };
        (0..DEVICES).map(plan).collect()
    }

    /// A gateway where there was one before, or none.
    pub(crate) fn restart(&self, nth: usize, seed: u64) {
        let line = Arc::new(Line::new(seed));
        let (broker, deliveries) = SimBroker::join(&self.exchange, &line);
        let chronicle = Arc::clone(&self.chronicle);
        let store = SimStore { inner: Arc::clone(&self.store), line: Arc::clone(&line), chronicle };
        let parts = Parts {
            store: Arc::new(store),
            broker: Arc::clone(&broker) as _,
            presence: Arc::clone(&self.presence) as _,
        };
        let gateway = Arc::new(Gateway::start(nth, parts, deliveries, world::config(world::limits())));
        self.lock()[nth] = Some(Running { gateway, line, broker });
    }

    /// Ends a gateway without a word.
    pub(crate) fn crash(&self, nth: usize) {
        if let Some(running) = self.lock()[nth].take() {
            running.line.dead.cancel();
            running.gateway.stop.cancel();
            self.crashes.fetch_add(1, SeqCst);
        }
    }

    pub(crate) fn running(&self, nth: usize) -> Option<Running> {
        self.lock()[nth].clone()
    }

    /// A pipe to one of the gateways, if one runs.
    pub(crate) fn connect(&self, dice: &mut StdRng, codec: Codec) -> Option<(DuplexStream, Arc<Line>)> {
        let Running { gateway, line, .. } = self.any(dice)?;
        let (near, far) = duplex(PIPE);
        gateway.serve(far, codec);
        Some((near, line))
    }

    fn any(&self, dice: &mut StdRng) -> Option<Running> {
        let running: Vec<Running> = self.lock().iter().flatten().cloned().collect();
        running.choose(dice).cloned()
    }

    /// One of the people.
    pub(crate) fn person(&self, dice: &mut StdRng) -> &User {
        self.people.choose(dice).unwrap()
    }

    /// Signs somebody in.
    pub(crate) async fn sign_in(&self, user: UserId, dice: &mut StdRng) -> SessionId {
        let id = SessionId(Uuid::from_u128(dice.random()));
        let (token_hash, user_agent) = ([0; 32], String::new());
        self.store
            .create_session(NewSession { user, id, token_hash, idle: SIGN_IN, life: SIGN_IN, user_agent })
            .await
            .unwrap();
        id
    }

    /// Ends a sign-in, and has one of the gateways tell the others, if one runs.
    pub(crate) async fn sign_out(&self, user: UserId, session: SessionId, dice: &mut StdRng) {
        assert!(self.store.end_session(user, session).await.unwrap(), "it went on until now");
        if let Some(Running { gateway, .. }) = self.any(dice) {
            gateway.hub.sessions_ended(user).await;
        }
    }

    /// Ends all faults; returns how many crashes and cuts there were.
    pub(crate) async fn heal(&self) -> (usize, usize) {
        for nth in 0..GATEWAYS {
            match self.running(nth) {
                Some(Running { line, broker, .. }) => {
                    line.store_cut.store(false, SeqCst);
                    broker.cut(false);
                }
                None => self.restart(nth, 0),
            }
        }
        // What was under way has arrived, and what was left in the outbox, perhaps claimed by a gateway that died then, is swept.
        tokio::time::sleep(Duration::from_secs(15)).await;
        // That somebody was added is nowhere but in the news of it and in the store: who lost the news finds out with the broker's return.
        for running in (0..GATEWAYS).filter_map(|nth| self.running(nth)) {
            running.broker.cut(false);
        }
        (self.crashes.load(SeqCst), self.cuts.load(SeqCst))
    }

    pub(crate) async fn positions(&self) -> HashMap<RoomId, Seq> {
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        self.store.positions(&rooms).await.unwrap().into_iter().map(|place| (place.room, place.last_seq)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Running>>> {
        self.gateways.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
