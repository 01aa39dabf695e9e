//! The load generator: one thread, one `epoll`, any number of connections from many loopback addresses.

pub(crate) mod body;
mod drive;
mod link;
pub(crate) mod timetable;
mod websocket;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use hdrhistogram::Histogram;
use mio::{Events, Poll};

use self::{
    body::Body,
    link::{Link, State},
};
use crate::{
    layout::Layout,
    ledger::Ledger,
    machine,
    peers::{Peer, Word},
};

/// Handshakes under way at any time.
const AT_ONCE: usize = 256;
/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
/// Longest latency that is told apart.
const LONGEST: Duration = Duration::from_secs(120);

/// The clients of one run, one for each user.
pub(crate) struct Fleet<'a> {
    peer: &'a dyn Peer,
    layout: &'a Layout,
    server: SocketAddr,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    frames: Vec<u8>,
    started: Instant,
    links: Vec<Link>,
    slow: Vec<bool>,
    /// Room and number of each message that was sent, by the number it was sent under.
    issued: Vec<(u32, u32)>,
    /// The newest seq that each user has of each room, for servers that number messages.
    positions: Vec<Vec<u64>>,
    opening: usize,
    /// Connections that are signed in.
    pub(crate) ready: usize,
    /// The account.
    pub(crate) ledger: Ledger,
    /// Microseconds from the moment a message was due to each of its deliveries.
    pub(crate) latency: Histogram<u64>,
    /// Whether deliveries are timed.
    pub(crate) timing: bool,
    /// Messages that the server refused, or that could not be sent because their sender was away.
    pub(crate) refused: u64,
    /// Messages that the server took.
    pub(crate) accepted: u64,
    /// Connections that the server or an error ended.
    pub(crate) ended: u64,
    /// What went wrong, the first time.
    pub(crate) trouble: Option<String>,
    /// Connections that became ready and whose time was not asked for yet: who, when.
    pub(crate) arrivals: Vec<(usize, Duration)>,
    /// Deliveries since the last question, while `watching`.
    pub(crate) caught: Vec<(usize, Body, Duration)>,
    /// Whether deliveries are listed in `caught`.
    pub(crate) watching: bool,
    /// Messages that each client keeps under way in a closed loop; 0: none.
    pub(crate) window: usize,
    next_room: usize,
}

impl<'a> Fleet<'a> {
    /// Clients that are not connected yet.
    ///
    /// # Errors
    /// The system gives no `epoll`.
    pub(crate) fn new(peer: &'a dyn Peer, layout: &'a Layout, server: SocketAddr) -> Result<Self> {
        let users = layout.users();
        Ok(Self {
            peer,
            layout,
            server,
            poll: Poll::new().context("no epoll")?,
            events: Events::with_capacity(1024),
            buffer: vec![0; BUFFER],
            frames: Vec::new(),
            started: Instant::now(),
            links: (0..users).map(|_| Link::default()).collect(),
            slow: vec![false; users],
            issued: Vec::new(),
            positions: (0..users).map(|user| vec![0; layout.rooms_of(user).len()]).collect(),
            opening: 0,
            ready: 0,
            ledger: Ledger::new(layout),
            latency: histogram()?,
            timing: false,
            refused: 0,
            accepted: 0,
            ended: 0,
            trouble: None,
            arrivals: Vec::new(),
            caught: Vec::new(),
            watching: false,
            window: 0,
            next_room: 0,
        })
    }

    /// Time since the beginning of the run.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Makes a client one that can be told not to read. Before it connects.
    pub(crate) fn slow(&mut self, user: usize) {
        self.slow[user] = true;
        self.ledger.excuse(user);
    }

    /// Stops reading, or goes on, for all slow clients.
    ///
    /// # Errors
    /// As for reading.
    pub(crate) fn hold(&mut self, deaf: bool) -> Result<()> {
        for user in 0..self.links.len() {
            if self.slow[user] {
                self.links[user].deaf = deaf;
                if !deaf {
                    self.read(user)?;
                }
            }
        }
        Ok(())
    }

    /// Slow clients that the server has not closed.
    pub(crate) fn slow_connected(&self) -> usize {
        (0..self.links.len()).filter(|user| self.slow[*user] && self.links[*user].state == State::Ready).count()
    }

    /// Connects the first `count` clients and waits until all are signed in.
    ///
    /// # Errors
    /// One of them was refused, or not all are in within `limit`.
    pub(crate) fn connect(&mut self, count: usize, limit: Duration) -> Result<()> {
        let deadline = self.now() + limit;
        let mut next = 0;
        while self.ready < count {
            while next < count && self.opening < AT_ONCE {
                if self.links[next].state == State::Closed {
                    self.open(next)?;
                }
                next += 1;
            }
            self.turn(Duration::from_millis(20))?;
            if let Some(trouble) = &self.trouble {
                bail!("{} does not sign its clients in: {trouble}", self.peer.name());
            }
            if self.now() > deadline {
                bail!("{}: {} of {count} clients signed in within {limit:?}", self.peer.name(), self.ready);
            }
        }
        self.arrivals.clear();
        Ok(())
    }

    fn open(&mut self, user: usize) -> Result<()> {
        let now = self.now();
        let link = &mut self.links[user];
        link.retry = None;
        link.patience = now + Duration::from_secs(10);
        match link.open(user, self.server, self.slow[user], self.poll.registry()) {
            Ok(()) => {
                self.opening += 1;
                let request = upgrade(self.peer, self.server);
                self.send_raw(user, request.as_bytes());
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                self.lose(user, "refused");
                Ok(())
            }
            Err(error) => Err(error).context("a client's socket"),
        }
    }

    /// Waits for events, at most so long, and deals with them.
    ///
    /// # Errors
    /// `epoll` fails, or the time of the whole run is over.
    pub(crate) fn turn(&mut self, wait: Duration) -> Result<()> {
        machine::check_time()?;
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error).context("epoll"),
            _ => {}
        }
        let events: Vec<_> = self.events.iter().map(|event| (event.token().0, event.is_writable())).collect();
        for (user, writable) in events {
            if writable && let Err(error) = self.links[user].flush() {
                self.lose(user, &error.to_string());
            }
            self.read(user)?;
        }
        Ok(())
    }

    /// Sends a message now; `due` is when it should have been.
    pub(crate) fn publish(&mut self, user: usize, room: u32, due: Duration) {
        if self.links[user].state != State::Ready {
            self.refused += 1;
            return;
        }
        let message = self.ledger.sent(room);
        let number = self.issued.len();
        self.issued.push((room, message));
        let due = u64::try_from(due.as_nanos()).unwrap_or(u64::MAX);
        let body = Body { room, message, due }.text();
        let text = self.peer.publication(user, room, number, &body);
        self.send_text(user, text.as_bytes());
    }

    fn send_text(&mut self, user: usize, text: &[u8]) {
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        websocket::write(&mut frames, websocket::TEXT, text);
        self.send_raw(user, &frames);
        self.frames = frames;
    }

    fn send_raw(&mut self, user: usize, bytes: &[u8]) {
        if let Err(error) = self.links[user].send(bytes) {
            self.lose(user, &error.to_string());
        }
    }

    /// A connection has ended.
    fn lose(&mut self, user: usize, why: &str) {
        let link = &mut self.links[user];
        match link.state {
            State::Closed => {}
            State::Ready => {
                self.ready -= 1;
                self.ended += 1;
            }
            State::Upgrading | State::Greeting => {
                self.opening -= 1;
                // Servers that are away are waited for, where that is what is measured.
                if !self.watching {
                    self.trouble.get_or_insert_with(|| why.to_owned());
                }
            }
        }
        link.close();
        link.retry = Some(Duration::ZERO);
    }

    /// Something that the server said to a client.
    fn hear(&mut self, user: usize, word: Word<'_>, now: Duration) {
        match word {
            Word::Delivery { body, seq } => self.deliver(user, body, seq, now),
            Word::Accepted(number) => self.accept(user, number),
            Word::Refused(why) => {
                self.refused += 1;
                self.trouble.get_or_insert_with(|| format!("a message was refused: {why}"));
                self.go_on(user);
            }
            Word::Ready if self.links[user].state == State::Greeting => {
                self.links[user].state = State::Ready;
                self.opening -= 1;
                self.ready += 1;
                self.arrivals.push((user, now));
            }
            Word::Ready => {}
            Word::Reply(text) => self.send_text(user, text.as_bytes()),
            Word::Failed(why) => {
                self.trouble.get_or_insert_with(|| why.to_owned());
            }
        }
    }

    fn accept(&mut self, user: usize, number: usize) {
        if let Some((room, message)) = self.issued.get(number) {
            self.ledger.accepted(*room, *message);
        }
        self.accepted += 1;
        self.go_on(user);
    }

    fn deliver(&mut self, user: usize, body: Body, seq: u64, now: Duration) {
        let Some(slot) = self.layout.slot(user, body.room) else {
            self.trouble.get_or_insert_with(|| format!("user {user} got a message of room {}", body.room));
            return;
        };
        self.positions[user][slot] = self.positions[user][slot].max(seq);
        let nanoseconds = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        if !self.ledger.delivered(user, slot, body.room, body.message, nanoseconds) {
            return;
        }
        if self.timing && !self.ledger.is_excused(user) {
            self.latency.saturating_record(nanoseconds.saturating_sub(body.due) / 1_000);
        }
        if self.watching {
            self.caught.push((user, body, now));
        }
    }
}

/// A histogram of microseconds.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    let longest = u64::try_from(LONGEST.as_micros())?;
    Ok(Histogram::new_with_bounds(1, longest, 3)?)
}

fn upgrade(peer: &dyn Peer, server: SocketAddr) -> String {
    let protocol = peer.sub_protocol().map_or_else(String::new, |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    format!(
        "GET {} HTTP/1.1\r\nHost: {server}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{protocol}\r\n",
        peer.path()
    )
}
