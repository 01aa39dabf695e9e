//! Opening a connection: WebSocket, `hello`, `welcome`, and what follows from it for each room.

use std::{collections::HashMap, time::Duration};

use serde_json::json;
use uuid::Uuid;

use crate::{
    socket::{Socket, SocketError},
    wire::{Body, Refusal, Welcome},
};

use super::positions::Positions;

const WELCOME_LIMIT: Duration = Duration::from_secs(10);

/// A connection that was welcomed.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: Socket,
    pub(crate) address: String,
    /// Unique among the client's connections.
    pub(crate) number: u32,
    pub(crate) welcome: Box<Welcome>,
    pub(crate) openings: Vec<Opening>,
}

/// From where on a connection brings the messages of a room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) room: Uuid,
    pub(crate) after: u64,
    /// Where the client stood, when the gateway could not replay from there.
    pub(crate) unrecovered_from: Option<u64>,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("hello was refused: {} {}", .0.code, .0.message)]
    Refused(Refusal),
    #[error("an unexpected frame before welcome: {0}")]
    Unexpected(String),
    #[error("no welcome within {} s", WELCOME_LIMIT.as_secs())]
    Slow,
}

/// Connects, says hello with the positions of that moment, and waits for the welcome.
pub(crate) async fn open(address: &str, token: &str, number: u32, positions: &Positions) -> Result<Link, LinkError> {
    let mut socket = Socket::connect(address).await?;
    let resume = positions.list();
    socket.send(&json!({ "type": "hello", "id": 0, "token": token, "resume": resume })).await?;
    let welcome = match tokio::time::timeout(WELCOME_LIMIT, welcome(&mut socket)).await {
        Ok(outcome) => outcome?,
        Err(_) => return Err(LinkError::Slow),
    };
    let had: HashMap<Uuid, u64> = resume.into_iter().map(|position| (position.room, position.seq)).collect();
    let openings = openings(&welcome, &had);
    Ok(Link { socket, address: address.to_owned(), number, welcome, openings })
}

async fn welcome(socket: &mut Socket) -> Result<Box<Welcome>, LinkError> {
    let frame = socket.recv().await?;
    match frame.body {
        Body::Welcome(welcome) => Ok(welcome),
        // The close frame that follows says what to do.
        Body::Error(refusal) if refusal.code == "token_expired" || refusal.code == "unauthenticated" => loop {
            socket.recv().await?;
        },
        Body::Error(refusal) => Err(LinkError::Refused(refusal)),
        other => Err(LinkError::Unexpected(format!("{other:?}"))),
    }
}

fn openings(welcome: &Welcome, had: &HashMap<Uuid, u64>) -> Vec<Opening> {
    let resumed: HashMap<Uuid, _> = welcome.resumed.iter().map(|resumed| (resumed.room, resumed)).collect();
    let opening = |room: &crate::wire::Room| {
        let Some(&position) = had.get(&room.id) else {
            return Opening { room: room.id, after: room.last_seq, unrecovered_from: None };
        };
        match resumed.get(&room.id) {
            Some(resumed) if !resumed.recovered => {
                Opening { room: room.id, after: resumed.to, unrecovered_from: Some(position) }
            }
            _ => Opening { room: room.id, after: position, unrecovered_from: None },
        }
    };
    welcome.rooms.iter().map(opening).collect()
}
