//! A room worker: one task that owns the rooms whose hash leads to it. It never waits for the store or for a client.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    bounds::Bounds,
    census::Followed,
    ephemera::Receipt,
    event::Event,
    follow::Following,
    room::{Fill, Room, Tally},
};
use crate::{
    codec::Shared,
    connection::{queue::Class, session::Session},
    delivery::Counted,
    model::{RoomId, UserId},
    protocol::{ClientEvent, event::TypingState},
    services::Services,
    store::{Place, Replay, Standing, removals::Removal},
    traces::FanOut,
};

/// Commands that wait for one worker; senders wait when it is full, which in turn stops reading from the broker.
const COMMANDS: usize = 4_096;

/// How often gaps, typing and receipts are looked after, while there are any.
const TICK: Duration = Duration::from_millis(25);

/// Something for a worker to do.
#[derive(Debug)]
pub(super) enum Command {
    /// A session follows a room, which stands there.
    Join { session: Arc<Session>, following: Following, place: Place },
    /// A session no longer follows a room.
    Leave { room: RoomId, session: Uuid },
    /// A suspended session turned out to be a member's, at this version of the room.
    Resume { room: RoomId, session: Uuid, member_version: i64 },
    /// Events of a room came; `own` when this gateway published them, `received` when they came out of the broker and traces want that known.
    Events { room: RoomId, own: bool, events: Vec<Event>, received: Option<SystemTime> },
    /// The store says that somebody was removed.
    Removed(Removal),
    /// Where the store has a room; `distrust` when the broker is known to have lost something.
    Position { place: Place, distrust: bool },
    /// The answer to a fill.
    Filled { room: RoomId, fill: Fill, found: Result<Replay, ()> },
    /// Which of those who were asked about are members.
    Told { room: RoomId, asked: Vec<UserId>, found: Result<Standing, ()> },
    /// Asks for the rooms with followers.
    List { answer: oneshot::Sender<Vec<Followed>> },
}

/// Leads to a worker.
#[derive(Clone)]
pub(super) struct WorkerHandle {
    commands: mpsc::Sender<Command>,
}

impl WorkerHandle {
    /// Gives the worker something to do, in order; waits while it has too much. Lost when the hub has stopped.
    pub(super) async fn tell(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }
}

/// Starts a worker.
pub(super) fn start(services: Arc<Services>, fills: Arc<Semaphore>, stop: CancellationToken) -> WorkerHandle {
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let handle = WorkerHandle { commands };
    let worker = Worker {
        services,
        fills,
        me: handle.commands.downgrade(),
        rooms: HashMap::new(),
        timed: HashSet::new(),
        tally: Tally::default(),
    };
    tokio::spawn(async move { stop.run_until_cancelled(worker.run(inbox)).await });
    handle
}

struct Worker {
    services: Arc<Services>,
    fills: Arc<Semaphore>,
    me: mpsc::WeakSender<Command>,
    rooms: HashMap<RoomId, Room>,
    timed: HashSet<RoomId>,
    tally: Tally,
}

impl Worker {
    fn bounds(&self) -> Bounds {
        Bounds::of(self.services.config.get().limits.message_bytes)
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                _ = tick.tick(), if !self.timed.is_empty() => self.tick(),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let now = Instant::now();
        let id = match command {
            Command::Join { session, following, place } => {
                let room = following.room;
                if !self.rooms.contains_key(&room) {
                    self.services.counters.rooms.fetch_add(1, Ordering::Relaxed);
                }
                let ahead = self.bounds().ahead;
                self.rooms.entry(room).or_insert_with(|| Room::new(ahead)).join(session, following, place);
                room
            }
            Command::Leave { room, session } => {
                self.leave(room, session);
                room
            }
            Command::Resume { room, session, member_version } => {
                self.with(room, |state, _| state.resume(session, member_version));
                room
            }
            Command::Removed(removal) => {
                self.with(removal.room, |state, _| state.suspend(removal));
                removal.room
            }
            Command::Events { room, own, events, received } => {
                self.time(&events);
                let tracer = self.services.tracer.clone();
                self.with(room, |state, tally| {
                    for event in events {
                        let mut fan_out = tracer.fan_out(&event, received);
                        happen(state, room, event, (own, now, tally), fan_out.as_mut());
                        if let Some(fan_out) = fan_out {
                            fan_out.end();
                        }
                    }
                });
                room
            }
            Command::Position { place, distrust } => {
                self.with(place.room, |state, _| {
                    state.position(place);
                    if distrust {
                        state.distrust();
                    }
                });
                place.room
            }
            Command::Filled { room, fill, found } => {
                self.with(room, |state, tally| state.filled(fill, found, now, tally));
                room
            }
            Command::Told { room, asked, found } => {
                self.with(room, |state, _| state.told(room, &asked, found, now));
                room
            }
            Command::List { answer } => {
                let _ = answer.send(self.rooms.iter().map(|(room, state)| state.followed(*room)).collect());
                return;
            }
        };
        self.look_after(id, now);
    }

    fn with(&mut self, room: RoomId, act: impl FnOnce(&mut Room, &mut Tally)) {
        if let Some(state) = self.rooms.get_mut(&room) {
            act(state, &mut self.tally);
        }
        let Tally { duplicates, backfilled, taken, lost } = std::mem::take(&mut self.tally);
        let counters = &self.services.counters;
        counters.duplicates.fetch_add(duplicates, Ordering::Relaxed);
        counters.backfilled.fetch_add(backfilled, Ordering::Relaxed);
        counters.taken.fetch_add(taken, Ordering::Relaxed);
        if duplicates + backfilled > 0 {
            let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
            let (deduplicated, backfilled) = (small(duplicates), small(backfilled));
            self.services.books.count(room, Counted { deduplicated, backfilled, ..Counted::default() });
        }
        if let Some((breach, seq)) = lost {
            self.services.books.violated(breach, room, seq);
        }
    }

    /// Notes how long the first message of an envelope took from its commit: with the clocks of two machines; the
    /// operator takes out what this one is off.
    fn time(&self, events: &[Event]) {
        let Some(Event::Message { message, .. }) = events.first() else { return };
        let took = Timestamp::now().as_millisecond().saturating_sub(message.at.as_millisecond());
        let counters = &self.services.counters;
        counters.timed.fetch_add(1, Ordering::Relaxed);
        counters.timed_ms.fetch_add(u64::try_from(took).unwrap_or_default(), Ordering::Relaxed);
        counters.timed_raw_ms.fetch_add(took, Ordering::Relaxed);
        counters.deliveries.observe(Duration::from_millis(u64::try_from(took).unwrap_or_default()));
    }

    fn leave(&mut self, room: RoomId, session: Uuid) {
        let Some(state) = self.rooms.get_mut(&room) else { return };
        state.leave(session);
        if state.is_empty() {
            self.rooms.remove(&room);
            self.services.counters.rooms.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Starts a fill and a question if the room needs them, and remembers whether time matters to it.
    fn look_after(&mut self, room: RoomId, now: Instant) {
        let Some(state) = self.rooms.get_mut(&room) else {
            self.timed.remove(&room);
            return;
        };
        let (doubtful, fill, delivered) = (state.doubtful(now), state.advance(now), state.take_delivered());
        if delivered > 0 {
            self.services.books.count(room, Counted { delivered, ..Counted::default() });
        }
        if fill.is_none() {
            if state.is_timed() {
                self.timed.insert(room);
            } else {
                self.timed.remove(&room);
            }
        }
        if let Some(fill) = fill {
            self.fill(room, fill);
        }
        if let Some(users) = doubtful {
            self.ask(room, users);
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        for room in self.timed.iter().copied().collect::<Vec<_>>() {
            if let Some(state) = self.rooms.get_mut(&room) {
                for (user, name) in state.ephemera.lapsed(now) {
                    tell_typing(state, room, user, name, TypingState::Stop);
                }
                for receipt in state.ephemera.receipts() {
                    tell_receipt(state, room, receipt);
                }
            }
            self.look_after(room, now);
        }
    }

    fn fill(&self, room: RoomId, fill: Fill) {
        let (services, fills, me) = (Arc::clone(&self.services), Arc::clone(&self.fills), self.me.clone());
        let page = self.bounds().fill;
        tokio::spawn(async move {
            let found = {
                let _permit = fills.acquire().await;
                services.store.replay(room, fill.after, page).await
            };
            let found = found.map_err(|error| tracing::debug!(%room, %error, "a gap could not be filled yet"));
            if let Some(me) = me.upgrade() {
                let _ = me.send(Command::Filled { room, fill, found }).await;
            }
        });
    }

    /// Asks the store which of these users are members.
    fn ask(&self, room: RoomId, asked: Vec<UserId>) {
        let (services, fills, me) = (Arc::clone(&self.services), Arc::clone(&self.fills), self.me.clone());
        tokio::spawn(async move {
            let found = {
                let _permit = fills.acquire().await;
                services.store.standing(room, &asked).await
            };
            let found = found.map_err(|error| tracing::debug!(%room, %error, "members could not be asked for yet"));
            if let Some(me) = me.upgrade() {
                let _ = me.send(Command::Told { room, asked, found }).await;
            }
        });
    }
}

fn happen(
    state: &mut Room,
    room: RoomId,
    event: Event,
    (own, now, tally): (bool, Instant, &mut Tally),
    fan_out: Option<&mut FanOut>,
) {
    match event {
        Event::Message { message, removal, .. } => state.message(message, removal, own, tally, fan_out),
        Event::Receipt { user, delivered_seq, read_seq } => {
            state.ephemera.receipt(Receipt { user, delivered_seq, read_seq });
        }
        Event::Typing { user, name, state: typing } => {
            if state.ephemera.typing(user, &name, typing, now) {
                tell_typing(state, room, user, name, typing);
            }
        }
        Event::Presence { .. } if !state.tells_presence() => {}
        Event::Presence { user, state: presence, change } => {
            let event = Shared::new(ClientEvent::Presence { user, state: presence });
            for session in state.sessions().filter(|session| session.user.id != user) {
                session.push_presence(event.pointer(session.codec), change);
            }
        }
        Event::MemberAdded { user, name, version } => {
            state.changed(version, None);
            if state.ephemera.is_new(version) {
                tell(state, Class::Kept, None, ClientEvent::MemberAdded { room, user, name });
            }
        }
        Event::MemberRemoved { user, version } => {
            state.suspend(Removal { room, user, version });
            state.changed(version, Some(user));
            if state.ephemera.is_new(version) {
                tell(state, Class::Kept, None, ClientEvent::MemberRemoved { room, user });
            }
        }
        Event::RoleChanged { user, role, version } => {
            state.changed(version, None);
            if state.ephemera.is_new_role(version, user) {
                tell(state, Class::Kept, None, ClientEvent::RoleChanged { room, user, role });
            }
        }
        Event::RoomAdded { .. }
        | Event::RoomRemoved { .. }
        | Event::Muted { .. }
        | Event::SessionsEnded
        | Event::Unknown => {}
    }
}

fn tell_typing(state: &Room, room: RoomId, user: UserId, name: String, typing: TypingState) {
    tell(state, Class::Ephemeral, Some(user), ClientEvent::Typing { room, user, name, state: typing });
}

fn tell_receipt(state: &Room, room: RoomId, Receipt { user, delivered_seq, read_seq }: Receipt) {
    tell(state, Class::Ephemeral, None, ClientEvent::Receipt { room, user, delivered_seq, read_seq });
}

/// Queues an event for everyone in the room but one user; encoded once for each codec.
fn tell(state: &Room, class: Class, but: Option<UserId>, event: ClientEvent) {
    let event = Shared::new(event);
    for session in state.sessions().filter(|session| Some(session.user.id) != but) {
        session.push(event.frame(session.codec).clone(), class);
    }
}
