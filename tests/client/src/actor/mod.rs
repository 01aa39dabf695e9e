//! One task per client: holds the connection, transmits requests until they are answered, follows the rooms.

mod link;
mod pending;
mod positions;

use std::{collections::HashSet, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    accounts, backoff,
    client::{ClientConfig, Standing},
    hints,
    ledger::{ClientId, Source},
    socket::SocketError,
    wire::{Body, Inbound, Message, Refusal},
};

use link::{Link, LinkError, open};
use pending::Pending;
pub(crate) use positions::Positions;

/// A frame or an answered ping must come within this time, else the gateway counts as dead.
const SILENCE: Duration = Duration::from_secs(8);
const PING_EVERY: Duration = Duration::from_secs(3);
const HISTORY_PAGE: u64 = 100;

/// A request of the test and where its answer goes.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) request: Value,
    pub(crate) reply: oneshot::Sender<Result<Body, Refusal>>,
}

/// The state of a client's task.
pub(crate) struct Actor {
    id: ClientId,
    config: Arc<ClientConfig>,
    token: Arc<tokio::sync::Mutex<String>>,
    inbox: mpsc::UnboundedReceiver<Command>,
    standing: watch::Sender<Standing>,
    positions: Positions,
    events: broadcast::Sender<Body>,
    pending: Pending,
    next_connection: Arc<std::sync::atomic::AtomicU32>,
    /// Rooms that the present connection brings.
    followed: HashSet<uuid::Uuid>,
    /// Address of a gateway that asked its clients to leave.
    avoid: Option<String>,
}

enum Ended {
    Broken(SocketError),
    Moved(Box<Link>),
    HandleGone,
}

impl Actor {
    pub(crate) fn new(
        id: ClientId,
        config: Arc<ClientConfig>,
        inbox: mpsc::UnboundedReceiver<Command>,
        standing: watch::Sender<Standing>,
        positions: Positions,
        events: broadcast::Sender<Body>,
    ) -> Self {
        let token = Arc::new(tokio::sync::Mutex::new(config.account.token.clone()));
        let pending = Pending::new(config.patience);
        let next_connection = Arc::default();
        Self {
            id,
            config,
            token,
            inbox,
            standing,
            positions,
            events,
            pending,
            next_connection,
            followed: HashSet::new(),
            avoid: None,
        }
    }

    /// Runs until the handle is gone; the handle's stop cancels it.
    pub(crate) async fn run(mut self) {
        let mut link = self.connect().await;
        loop {
            match Box::pin(self.serve(&mut link)).await {
                Ended::HandleGone => return link.socket.close().await,
                Ended::Moved(new) => {
                    let old = std::mem::replace(&mut link, *new);
                    tokio::spawn(old.socket.close());
                }
                Ended::Broken(error) => {
                    tracing::debug!(client = self.config.name, %error, "connection ended");
                    self.trouble(&error);
                    if matches!(error, SocketError::Closed { code: 4429, .. }) {
                        tokio::time::sleep(backoff::jittered(Duration::from_secs(5))).await;
                    }
                    link = self.connect().await;
                }
            }
        }
    }

    fn trouble(&self, error: &dyn std::fmt::Display) {
        self.standing.send_modify(|standing| {
            standing.gateway = None;
            standing.address = None;
            standing.last_trouble = Some(error.to_string());
        });
    }

    async fn connect(&mut self) -> Link {
        let opener = self.opener();
        let avoid = self.avoid.take();
        let standing = self.standing.clone();
        Box::pin(opener.persist(avoid, move |error| {
            standing.send_modify(|standing| standing.last_trouble = Some(error.to_string()));
        }))
        .await
    }

    fn opener(&self) -> Opener {
        Opener {
            id: self.id,
            config: self.config.clone(),
            token: self.token.clone(),
            positions: self.positions.clone(),
            next_connection: self.next_connection.clone(),
        }
    }

    async fn serve(&mut self, link: &mut Link) -> Ended {
        self.greet(link);
        self.pending.connection_changed();
        let mut heard = Instant::now();
        let mut ping = tokio::time::interval(PING_EVERY);
        let mut mover: Option<JoinHandle<Link>> = None;
        loop {
            if let Err(error) = self.transmit(link).await {
                return abandon(mover, Ended::Broken(error));
            }
            let due = self.pending.next_due();
            tokio::select! {
                command = self.inbox.recv() => match command {
                    Some(command) => self.pending.add(command),
                    None => return abandon(mover, Ended::HandleGone),
                },
                frame = link.socket.recv() => {
                    heard = Instant::now();
                    match frame {
                        Ok(Inbound { body: Body::Reconnect { after_ms, .. }, .. }) => {
                            let opener = self.opener();
                            let avoid = link.address.clone();
                            self.avoid = Some(avoid.clone());
                            mover.get_or_insert_with(|| tokio::spawn(Box::pin(opener.move_later(after_ms, avoid))));
                        }
                        Ok(frame) => self.handle(link, frame),
                        Err(error) => return abandon(mover, Ended::Broken(error)),
                    }
                }
                moved = async { (mover.as_mut()?).await.ok() }, if mover.is_some() => {
                    match moved {
                        Some(new) => return Ended::Moved(Box::new(new)),
                        None => mover = None,
                    }
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE {
                        let reason = format!("nothing heard for {} s", SILENCE.as_secs());
                        return abandon(mover, Ended::Broken(SocketError::Closed { code: 1006, reason }));
                    }
                    if let Err(error) = link.socket.send(&json!({ "type": "ping", "id": 0 })).await {
                        return abandon(mover, Ended::Broken(error));
                    }
                }
            }
        }
    }

    /// Takes over what the `welcome` said.
    fn greet(&mut self, link: &Link) {
        self.avoid = None;
        self.standing.send_modify(|standing| {
            standing.gateway = Some(link.welcome.gateway.clone());
            standing.address = Some(link.address.clone());
            standing.connections += 1;
        });
        self.config.ledger.connected(self.id, &link.welcome.gateway);
        // A room that is missing here keeps its position: its shard may be away, then it comes later as `room_added`.
        self.followed.clear();
        for opening in &link.openings {
            self.follow(link, opening.room, opening.after, opening.unrecovered_from);
        }
    }

    /// Asks for messages `from + 1 ..= to`, page after page, each as an ordinary request to itself.
    fn fetch_history(&mut self, room: uuid::Uuid, from: u64, to: u64) {
        let mut after = from;
        while after < to {
            let limit = HISTORY_PAGE.min(to - after);
            let request = json!({ "type": "history", "room": room, "after": after, "limit": limit, "view": "log" });
            self.pending.add_own(request);
            after += limit;
        }
    }

    /// Sends every request that is due.
    async fn transmit(&mut self, link: &mut Link) -> Result<(), SocketError> {
        while let Some((frame, again)) = self.pending.take_due() {
            if again {
                self.config.ledger.repeated(self.id);
            }
            link.socket.send(&frame).await?;
        }
        Ok(())
    }

    fn handle(&mut self, link: &Link, frame: Inbound) {
        match frame.re {
            Some(re) => self.answer(link, re, frame.body),
            None => self.event(link, frame.body),
        }
    }

    fn answer(&mut self, link: &Link, re: u64, body: Body) {
        match &body {
            Body::Sent(sent) => self.config.ledger.acked(sent.message_id, sent.seq, sent.duplicate),
            Body::Room { room, .. } => self.follow(link, room.id, room.last_seq, None),
            _ => {}
        }
        if let Some(Body::History { messages, .. }) = self.pending.resolve(re, body) {
            for message in &messages {
                self.config.ledger.received(self.id, Source::History, message);
            }
        }
    }

    fn event(&mut self, link: &Link, body: Body) {
        match &body {
            Body::Message { message } => self.message(link, message),
            Body::RoomAdded { room } => {
                // What was said before the room is live here does not come as events; a good client reads it up.
                let has = self.positions.get(room.id).unwrap_or(0);
                self.follow(link, room.id, room.last_seq, Some(has));
            }
            Body::RoomRemoved { room } => {
                self.config.ledger.left(self.id, *room);
                self.positions.forget(*room);
                self.followed.remove(room);
            }
            _ => {}
        }
        let _ = self.events.send(body);
    }

    fn message(&mut self, link: &Link, message: &Message) {
        // Only when the message overtook `room_added`, which has the same content: the room is live from here.
        self.follow(link, message.room, message.seq.saturating_sub(1), None);
        let source = Source::Live { connection: link.number };
        self.config.ledger.received(self.id, source, message);
        self.positions.advance(message.room, message.seq);
    }

    /// Follows a room that this connection did not follow yet, live after `after`; what is between `missing_from` and there
    /// is fetched from the history.
    fn follow(&mut self, link: &Link, room: uuid::Uuid, after: u64, missing_from: Option<u64>) {
        if !self.followed.insert(room) {
            return;
        }
        self.config.ledger.opened(self.id, link.number, room, after);
        if let Some(from) = missing_from {
            self.fetch_history(room, from, after);
        }
        self.positions.start(room, after);
    }
}

fn abandon(mover: Option<JoinHandle<Link>>, ended: Ended) -> Ended {
    if let Some(mover) = mover {
        mover.abort();
    }
    ended
}

/// What is needed to open a connection, also while the old one still serves.
struct Opener {
    id: ClientId,
    config: Arc<ClientConfig>,
    token: Arc<tokio::sync::Mutex<String>>,
    positions: Positions,
    next_connection: Arc<std::sync::atomic::AtomicU32>,
}

impl Opener {
    async fn move_later(self, after_ms: u64, avoid: String) -> Link {
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        self.persist(Some(avoid), |_| {}).await
    }

    /// Tries one address after the other until one welcomes the client.
    async fn persist(self, avoid: Option<String>, report: impl Fn(&LinkError)) -> Link {
        let mut attempt = 0;
        loop {
            let candidates = match self.config.hints {
                true => hints::candidates(&self.config.addresses, avoid.as_deref()).await,
                false => self.config.addresses.candidates(avoid.as_deref()),
            };
            let mut least = Duration::ZERO;
            for address in candidates {
                match Box::pin(self.try_open(&address)).await {
                    Ok(link) => return link,
                    Err(error) => {
                        if let LinkError::Refused(Refusal { retry_after_ms: Some(millis), .. }) = &error {
                            least = Duration::from_millis(*millis);
                        }
                        tracing::debug!(client = self.config.name, address, %error, "no connection");
                        report(&error);
                    }
                }
            }
            tokio::time::sleep(self.config.reconnect.delay(attempt).max(least)).await;
            attempt += 1;
        }
    }

    async fn try_open(&self, address: &str) -> Result<Link, LinkError> {
        let number = self.next_connection.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let token = self.token.lock().await.clone();
        tracing::trace!(client = ?self.id, address, number, "connecting");
        let outcome = open(address, &token, number, &self.positions).await;
        if let Err(LinkError::Socket(SocketError::Closed { code: 4401 | 4410, .. })) = &outcome {
            self.sign_in_again().await;
        }
        outcome
    }

    async fn sign_in_again(&self) {
        let account = &self.config.account;
        let patience = Duration::from_secs(5);
        match accounts::enter(&self.config.addresses, &account.user.name, &account.password, patience).await {
            Ok(fresh) => *self.token.lock().await = fresh.token,
            Err(error) => tracing::debug!(client = self.config.name, %error, "no new token"),
        }
    }
}
