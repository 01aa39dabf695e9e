//! One conversation of the probe with itself: a few messages in a row, read by two connections and out of the history.

use std::time::Duration;

use chat_gateway_config::probe;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{
    Failure, Front,
    observer::Observer,
    session::{Session, refused},
    token,
};

/// Messages in a row: with fewer nobody could say that they came in the wrong order.
const MESSAGES: usize = 3;

/// Time for an answer. A shard that is moving or away makes a gateway try for some seconds.
const ANSWER: Duration = Duration::from_secs(8);

/// Time for what was acknowledged to come. What a broker loses is found by a comparison with the store, every ten seconds.
const DELIVERY: Duration = Duration::from_secs(20);

/// How long a second copy is waited for after all have come.
const LINGER: Duration = Duration::from_millis(300);

/// Ids of requests. Those of messages are 1 to [`MESSAGES`].
const ROOM: i64 = 100;
const HISTORY: i64 = 101;
const PING: i64 = 102;

/// Two connections in one room.
struct Pair {
    sender: Session,
    reader: Session,
    observers: [Observer; 2],
}

/// Chats in the room of this number.
///
/// # Errors
/// [`Failure`].
pub(super) async fn chat(front: &Front, nth: u8) -> Result<(), Failure> {
    let token = token::sign(front)?;
    let mut sender = Session::open(front, &token).await?;
    let (room, made_at) = room(&mut sender, nth).await?;
    let reader = Session::open(front, &token).await?;
    let Some(start) = reader.start(&room) else {
        return Err(Failure::trouble(
            "RoomMissing",
            format!("{}: the list of rooms has no room {room}", reader.gateway),
        ));
    };
    let first = Observer::new(&room, &sender.gateway, sender.start(&room).unwrap_or(made_at));
    let second = Observer::new(&room, &reader.gateway, start);
    let mut pair = Pair { sender, reader, observers: [first, second] };
    let sent = say(&mut pair, &room).await?;
    read_again(&mut pair, &room, &sent).await?;
    await_all(&mut pair, &room, &sent).await?;
    pair.sender.close().await;
    pair.reader.close().await;
    Ok(())
}

/// Makes the room, or finds it: its id, and where it stands.
async fn room(sender: &mut Session, nth: u8) -> Result<(String, i64), Failure> {
    let request = json!({
        "type": "create_room", "id": ROOM, "kind": "group", "title": "delivery probe", "members": [], "room_key": probe::room_key(nth),
    });
    sender.send(&request).await?;
    let deadline = Instant::now() + ANSWER;
    loop {
        let frame = timeout_at(deadline, sender.next()).await.map_err(|_| unanswered("create_room"))??;
        if frame["re"] == ROOM {
            let found = frame["room"]["id"].as_str().zip(frame["room"]["last_seq"].as_i64());
            return found.map(|(id, last)| (id.to_owned(), last)).ok_or_else(|| refused("create_room", &frame));
        }
    }
}

/// Sends the messages and waits until all are acknowledged: their ids and seqs in the order in which they were sent.
async fn say(pair: &mut Pair, room: &str) -> Result<Vec<(Uuid, i64)>, Failure> {
    let ids: Vec<Uuid> = (0..MESSAGES).map(|_| Uuid::now_v7()).collect();
    for (number, id) in (1..).zip(&ids) {
        let request = json!({ "type": "send", "id": number, "room": room, "message_id": id, "body": "probe" });
        pair.sender.send(&request).await?;
    }
    let deadline = Instant::now() + ANSWER;
    let mut seqs = vec![None; MESSAGES];
    while seqs.contains(&None) {
        let (frame, _) = timeout_at(deadline, pair.next()).await.map_err(|_| unanswered("send"))??;
        let number =
            frame["re"].as_u64().and_then(|re| usize::try_from(re).ok()).filter(|re| (1..=MESSAGES).contains(re));
        if let Some(number) = number {
            let seq = frame["seq"].as_i64().filter(|_| frame["type"] == "sent");
            seqs[number - 1] = Some(seq.ok_or_else(|| refused("send", &frame))?);
        }
    }
    let sent: Vec<(Uuid, i64)> = ids.into_iter().zip(seqs.into_iter().flatten()).collect();
    match sent.windows(2).find(|pair| pair[0].1 >= pair[1].1) {
        None => Ok(sent),
        Some(pair) => {
            let (one, next) = (pair[0].1, pair[1].1);
            let message = format!(
                "room {room}: of two messages that were sent one after the other the first became {one}, the second {next}"
            );
            Err(Failure::violation("StoredOutOfOrder", message))
        }
    }
}

/// Looks whether the history has what was acknowledged.
async fn read_again(pair: &mut Pair, room: &str, sent: &[(Uuid, i64)]) -> Result<(), Failure> {
    let after = sent.first().map_or(0, |(_, seq)| seq - 1);
    pair.sender
        .send(&json!({ "type": "history", "id": HISTORY, "room": room, "after": after, "limit": 50, "view": "log" }))
        .await?;
    let deadline = Instant::now() + ANSWER;
    let page = loop {
        let (frame, _) = timeout_at(deadline, pair.next()).await.map_err(|_| unanswered("history"))??;
        if frame["re"] == HISTORY {
            break frame;
        }
    };
    let Some(messages) = page["messages"].as_array() else { return Err(refused("history", &page)) };
    let stands = |(id, seq): &&(Uuid, i64)| {
        let id = id.to_string();
        messages.iter().any(|message| message["message_id"] == id.as_str() && message["seq"] == *seq)
    };
    match sent.iter().find(|sent| !stands(sent)) {
        None => Ok(()),
        Some((id, seq)) => {
            let gateway = &pair.sender.gateway;
            let message = format!(
                "room {room}, gateway {gateway}: message {seq} ({id}) was acknowledged and is not in the history"
            );
            Err(Failure::violation("AcknowledgedLost", message))
        }
    }
}

/// Waits until both connections have everything, and a moment longer for what comes twice.
async fn await_all(pair: &mut Pair, room: &str, sent: &[(Uuid, i64)]) -> Result<(), Failure> {
    let mut deadline = Instant::now() + DELIVERY;
    while pair.lacking(sent).is_some() {
        match timeout_at(deadline, pair.next()).await {
            Ok(frame) => drop(frame?),
            Err(_) => return Err(undelivered(pair, room, sent).await?),
        }
    }
    deadline = Instant::now() + LINGER;
    while let Ok(frame) = timeout_at(deadline, pair.next()).await {
        frame?;
    }
    pair.observers.iter().try_for_each(|observer| observer.agrees(sent))
}

/// What to say of messages that have not come. Both connections must still be there and answer, and nobody must have been asked to leave.
async fn undelivered(pair: &mut Pair, room: &str, sent: &[(Uuid, i64)]) -> Result<Failure, Failure> {
    pair.sender.send(&json!({ "type": "ping", "id": PING })).await?;
    pair.reader.send(&json!({ "type": "ping", "id": PING })).await?;
    let (mut answered, deadline) = ([false; 2], Instant::now() + ANSWER);
    while answered != [true; 2] {
        let (frame, who) = timeout_at(deadline, pair.next()).await.map_err(|_| unanswered("ping"))??;
        answered[who] |= frame["re"] == PING;
    }
    if pair.sender.leaving || pair.reader.leaving {
        return Ok(Failure::trouble("ConnectionLost", "a gateway has asked the probe to leave"));
    }
    Ok(match pair.lacking(sent) {
        Some((observer, seq)) => {
            let message = format!(
                "room {room}, gateway {}: message {seq} was acknowledged and is in the history, and has not come within {} s",
                observer.gateway(),
                DELIVERY.as_secs()
            );
            Failure::violation("NotDelivered", message)
        }
        // It came with the answers: late, and not lost.
        None => Failure::trouble("DeliveredLate", format!("messages came after {} s", DELIVERY.as_secs())),
    })
}

fn unanswered(what: &str) -> Failure {
    Failure::trouble("NotAnswered", format!("{what}: no answer within {} s", ANSWER.as_secs()))
}

impl Pair {
    /// The next frame of either connection, looked at, and whose it is. Safe to cancel.
    async fn next(&mut self) -> Result<(Value, usize), Failure> {
        let (frame, who) = tokio::select! {
            frame = self.sender.next() => (frame?, 0),
            frame = self.reader.next() => (frame?, 1),
        };
        self.observers[who].take(&frame)?;
        Ok((frame, who))
    }

    /// A connection that has not got all of it yet, and what it lacks.
    fn lacking(&self, sent: &[(Uuid, i64)]) -> Option<(&Observer, i64)> {
        self.observers.iter().find_map(|observer| Some((observer, observer.lacks(sent)?)))
    }
}
