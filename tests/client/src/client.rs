//! The handle of a client: what a test says to it and asks of it. The work is done by [`crate::actor`].

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    accounts::Account,
    actor::{self, Command, Positions},
    addresses::Addresses,
    backoff::Patience,
    ledger::{ClientId, Ledger},
    wire::{Body, Message, Refusal, Room},
};

const EVENT_BUFFER: usize = 65_536;

/// Requests that take a request id.
const CHANGES: [&str; 6] = ["create_room", "add_member", "remove_member", "set_role", "mute", "unmute"];

/// Everything a client needs to know.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// For reports.
    pub name: String,
    /// Who it is.
    pub account: Account,
    /// Where it connects: the first address, and the others when that one fails.
    pub addresses: Addresses,
    /// Whether it asks there before each connection which gateways have room, and goes to those first.
    pub hints: bool,
    /// Where it writes what it sent and saw.
    pub ledger: Ledger,
    /// How long a request is repeated before it fails.
    pub patience: Duration,
    /// How long it waits before it connects again.
    pub reconnect: Patience,
    /// Events that [`Client::events`] keeps for whoever is slow to read them; the place for them is taken at once, some 60 bytes each.
    pub event_buffer: usize,
}

impl ClientConfig {
    /// A client that repeats its requests for two minutes.
    #[must_use]
    pub fn new(account: Account, addresses: Addresses, ledger: Ledger) -> Self {
        let name = account.user.name.clone();
        let patience = Duration::from_secs(120);
        let reconnect = Patience::SHORT;
        Self { name, account, addresses, hints: false, ledger, patience, reconnect, event_buffer: EVENT_BUFFER }
    }
}

/// Where a client stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Name of the gateway it is connected to; none while it is not connected.
    pub gateway: Option<String>,
    /// Address of that gateway.
    pub address: Option<String>,
    /// Connections it has made.
    pub connections: u32,
    /// Why the last connection, or attempt, ended.
    pub last_trouble: Option<String>,
}

/// Acknowledgement of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Id of the message.
    pub message_id: Uuid,
    /// Its place in the room.
    pub seq: u64,
    /// Whether an earlier transmission was the one that counted.
    pub duplicate: bool,
    /// Time from the call to the answer, repeats included.
    pub took: Duration,
}

/// Why a request has no answer of the wanted kind.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// A lasting error answer.
    #[error("refused: {} {}", .0.code, .0.message)]
    Refused(Refusal),
    /// Nothing but passing failures for as long as the client's patience.
    #[error("no answer within {} s: {last}", patience.as_secs())]
    Patience {
        /// The client's patience.
        patience: Duration,
        /// The last trouble.
        last: String,
    },
    /// The answer is of another type than the protocol page says.
    #[error("unexpected answer {0}")]
    Unexpected(String),
    /// The client was stopped.
    #[error("the client was stopped")]
    Stopped,
}

/// A running client. Dropping it ends the connection without goodbye.
#[derive(Debug)]
pub struct Client {
    id: ClientId,
    config: Arc<ClientConfig>,
    commands: mpsc::UnboundedSender<Command>,
    standing: watch::Receiver<Standing>,
    positions: Positions,
    events: broadcast::Sender<Body>,
    stop: CancellationToken,
}

impl Client {
    /// Starts the client and waits for its first `welcome`.
    ///
    /// # Errors
    /// [`RequestError::Patience`] when no gateway welcomes it in time.
    pub async fn start(config: ClientConfig) -> Result<Self, RequestError> {
        let id = config.ledger.add_client(&config.name, config.account.user.id);
        let config = Arc::new(config);
        let (commands, inbox) = mpsc::unbounded_channel();
        let (report, mut standing) = watch::channel(Standing::default());
        let (events, _) = broadcast::channel(config.event_buffer.max(1));
        let positions = Positions::default();
        let stop = CancellationToken::new();
        let actor = actor::Actor::new(id, config.clone(), inbox, report, positions.clone(), events.clone());
        let token = stop.clone();
        tokio::spawn(async move { Box::pin(token.run_until_cancelled(actor.run())).await });
        let patience = config.patience;
        let welcomed = standing.wait_for(|standing| standing.gateway.is_some());
        let in_time = tokio::time::timeout(patience, welcomed).await.is_ok_and(|seen| seen.is_ok());
        if !in_time {
            stop.cancel();
            let last = standing.borrow().last_trouble.clone().unwrap_or_default();
            return Err(RequestError::Patience { patience, last });
        }
        Ok(Self { id, config, commands, standing, positions, events, stop })
    }

    /// Its id in the ledger.
    #[must_use]
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// Who it is.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.config.account
    }

    /// Where it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Waits until `wanted` holds for its standing; false when it does not within `limit`.
    pub async fn wait_standing(&self, limit: Duration, wanted: impl FnMut(&Standing) -> bool) -> bool {
        let mut standing = self.standing.clone();
        matches!(tokio::time::timeout(limit, standing.wait_for(wanted)).await, Ok(Ok(_)))
    }

    /// All events from now on, as they came (also those that the client itself drops as repeats).
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Body> {
        self.events.subscribe()
    }

    /// The last seq it has of a room; none when it does not follow the room.
    #[must_use]
    pub fn position(&self, room: Uuid) -> Option<u64> {
        self.positions.get(room)
    }

    /// Waits until it has every message of the room up to `seq`; false when it has not within `limit`.
    pub async fn wait_position(&self, room: Uuid, seq: u64, limit: Duration) -> bool {
        self.positions.wait(room, seq, limit).await
    }

    /// Sends a text under a new message id, and repeats it until it is acknowledged.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn send(&self, room: Uuid, body: &str) -> Result<Ack, RequestError> {
        self.send_as(room, Uuid::now_v7(), body).await
    }

    /// As [`Client::send`], under a message id of the caller's choice.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn send_as(&self, room: Uuid, message_id: Uuid, body: &str) -> Result<Ack, RequestError> {
        let started = tokio::time::Instant::now();
        self.config.ledger.began(self.id, room, message_id, body);
        let request = json!({ "type": "send", "room": room, "message_id": message_id, "body": body });
        match self.request(request).await? {
            Body::Sent(sent) if sent.message_id == message_id && sent.room == room => {
                let took = started.elapsed();
                Ok(Ack { message_id, seq: sent.seq, duplicate: sent.duplicate, took })
            }
            other => Err(RequestError::Unexpected(format!("{other:?}"))),
        }
    }

    /// Makes a room, or finds it again when the answer to an earlier attempt was lost. `members` are names or user ids.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn create_room(&self, kind: &str, title: &str, members: &[String]) -> Result<Room, RequestError> {
        let mut request = json!({ "type": "create_room", "kind": kind, "members": members });
        if kind == "group" {
            request["title"] = json!(title);
        }
        match self.request(request).await? {
            Body::Room { room, .. } => Ok(room),
            other => Err(RequestError::Unexpected(format!("{other:?}"))),
        }
    }

    /// A page of history, after or before a seq as `range` says.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn history(&self, room: Uuid, range: HistoryRange) -> Result<(Vec<Message>, bool), RequestError> {
        let mut request = json!({ "type": "history", "room": room, "limit": 100, "view": "log" });
        match range {
            HistoryRange::After(seq) => request["after"] = json!(seq),
            HistoryRange::Before(seq) => request["before"] = json!(seq),
            HistoryRange::Newest => {}
        }
        match self.request(request).await? {
            Body::History { messages, more, .. } => Ok((messages, more)),
            other => Err(RequestError::Unexpected(format!("{other:?}"))),
        }
    }

    /// Sends any request whose answer is `ok`.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn tell(&self, request: Value) -> Result<(), RequestError> {
        match self.request(request).await? {
            Body::Ok | Body::Pong => Ok(()),
            other => Err(RequestError::Unexpected(format!("{other:?}"))),
        }
    }

    /// Sends a request (without `id`) and waits for its answer, through reconnects and passing failures. A change of a room gets a
    /// request id unless it has one, since it is repeated when its answer is lost.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request(&self, mut request: Value) -> Result<Body, RequestError> {
        let kind = request["type"].as_str().unwrap_or_default();
        if CHANGES.contains(&kind) && request["request_id"].is_null() {
            request["request_id"] = json!(Uuid::now_v7());
        }
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command { request, reply }).map_err(|_| RequestError::Stopped)?;
        let patience = self.config.patience;
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(outcome)) => outcome.map_err(RequestError::Refused),
            Ok(Err(_)) => Err(RequestError::Stopped),
            Err(_) => {
                let last = format!("{:?}", self.standing());
                Err(RequestError::Patience { patience, last })
            }
        }
    }

    /// Ends the connection and the client.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Which part of a room's history.
#[derive(Clone, Copy, Debug)]
pub enum HistoryRange {
    /// The messages that follow a seq.
    After(u64),
    /// The messages that precede a seq.
    Before(u64),
    /// The newest ones.
    Newest,
}
