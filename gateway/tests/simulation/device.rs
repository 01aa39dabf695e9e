//! One device of a person: writes until its plan is done, reconnects whenever it must, and checks every entry that it gets.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chat_gateway::model::{RoomId, Seq, User};
use futures::{SinkExt as _, StreamExt as _};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};
use tokio::{
    io::DuplexStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};
use uuid::Uuid;

use crate::{cluster::Cluster, line::Line};

/// Requests without an answer at the same time.
const OPEN: usize = 8;

/// A frame that is not taken or not answered for so long: the connection is given up.
const GIVE_UP: Duration = Duration::from_secs(30);

/// What a device is to do.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) user: User,
    pub(crate) rooms: Vec<RoomId>,
    pub(crate) entries: usize,
    pub(crate) seed: u64,
}

/// What a device wrote and what it was told, by message id.
#[derive(Default)]
pub(crate) struct Story {
    pub(crate) name: String,
    pub(crate) user: Option<User>,
    /// Requests with an answer, and the seq that was acknowledged.
    pub(crate) acknowledged: HashMap<Uuid, (Value, Seq)>,
    /// Requests that were sent once and refused for good. A refusal is not kept: sent again, a request may find what it lacked.
    pub(crate) refused: HashMap<Uuid, Value>,
    /// Requests that were sent more than once and refused at least once.
    pub(crate) unsure: HashSet<Uuid>,
    /// Everything that came, in order.
    pub(crate) received: BTreeMap<RoomId, Vec<Uuid>>,
    /// Requests that were sent more than once, and answers that said so.
    pub(crate) repeats: usize,
    pub(crate) duplicates: usize,
}

pub(crate) struct Device {
    plan: Plan,
    cluster: Arc<Cluster>,
    dice: StdRng,
    busy: watch::Sender<usize>,
    /// Requests that wait for their answer, oldest first.
    open: Vec<Open>,
    next: u64,
    story: Story,
}

struct Open {
    id: Uuid,
    request: Value,
    /// The number it was last sent under.
    number: u64,
    sent: usize,
}

type Goal = watch::Receiver<Option<HashMap<RoomId, Seq>>>;
type Socket = WebSocketStream<DuplexStream>;

/// The connection is gone.
struct Lost;

impl Device {
    pub(crate) fn new(plan: Plan, cluster: Arc<Cluster>, busy: &watch::Sender<usize>) -> Self {
        let story = Story {
            name: plan.name.clone(),
            user: Some(plan.user.clone()),
            received: plan.rooms.iter().map(|room| (*room, Vec::new())).collect(),
            ..Story::default()
        };
        busy.send_modify(|count| *count += 1);
        let dice = StdRng::seed_from_u64(plan.seed);
        Self { plan, cluster, dice, busy: busy.clone(), open: Vec::new(), next: 1, story }
    }

    pub(crate) async fn run(mut self, mut goal: Goal) -> Story {
        let mut working = true;
        while !self.reached(&goal) {
            sleep(Duration::from_millis(self.dice.random_range(5..400))).await;
            if let Some((pipe, line)) = self.cluster.connect(&mut self.dice) {
                // How it ended does not matter: what is missing shows in the next one.
                let _ = self.session(pipe, &line, &mut goal, &mut working).await;
            }
        }
        self.story
    }

    fn position(&self, room: RoomId) -> Seq {
        Seq::try_from(self.story.received[&room].len()).unwrap()
    }

    fn reached(&self, goal: &Goal) -> bool {
        goal.borrow().as_ref().is_some_and(|goal| self.plan.rooms.iter().all(|room| self.position(*room) >= goal[room]))
    }

    /// One connection, until it is lost or the goal is reached.
    async fn session(
        &mut self,
        pipe: DuplexStream,
        line: &Line,
        goal: &mut Goal,
        working: &mut bool,
    ) -> Result<(), Lost> {
        let mut socket = WebSocketStream::from_raw_socket(pipe, Role::Client, None).await;
        let resume: Vec<Value> =
            self.plan.rooms.iter().map(|room| json!({ "room": room, "seq": self.position(*room) })).collect();
        let hello = json!({ "type": "hello", "id": 0, "token": self.plan.user.name, "resume": resume });
        self.put(&mut socket, &hello).await?;
        let welcome = self.get(&mut socket, line).await?;
        if welcome["type"] == "error" {
            assert!(["unavailable", "busy"].contains(&welcome["code"].as_str().unwrap()), "{welcome}");
            return Err(Lost);
        }
        if welcome["type"] == "reconnect" {
            // The gateway began to leave just when the connection became known to it.
            return Err(Lost);
        }
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        for resumed in welcome["resumed"].as_array().unwrap() {
            assert_eq!(resumed["recovered"], true, "{}: {welcome}", self.plan.name);
        }
        for index in 0..self.open.len() {
            self.story.repeats += 1;
            self.transmit(&mut socket, index).await?;
        }
        loop {
            if *working && self.open.is_empty() && self.plan.entries == 0 {
                *working = false;
                self.busy.send_modify(|count| *count -= 1);
            }
            if self.reached(goal) {
                return Ok(());
            }
            let pause = Duration::from_millis(self.dice.random_range(1..30));
            tokio::select! {
                frame = self.get(&mut socket, line) => { let frame = frame?; self.take(&frame); }
                () = sleep(pause) => self.act(&mut socket).await?,
                _ = goal.changed() => {}
            }
        }
    }

    /// Does something, or nothing.
    async fn act(&mut self, socket: &mut Socket) -> Result<(), Lost> {
        match self.dice.random_range(0..100) {
            0 => return Err(Lost),
            1 => sleep(Duration::from_millis(self.dice.random_range(100..8_000))).await,
            2..5 => {
                let Some(room) = self.plan.rooms.choose(&mut self.dice).copied() else { return Ok(()) };
                let seq = self.position(room);
                self.put(socket, &json!({ "type": "read", "room": room, "seq": seq })).await?;
                self.put(socket, &json!({ "type": "typing_start", "room": room })).await?;
            }
            _ if !self.open.is_empty() && (self.open.len() >= OPEN || self.dice.random_range(0..10) == 0) => {
                // Refused for a while, or the answer does not come: again, under the same id.
                let index = self.dice.random_range(0..self.open.len());
                self.story.repeats += 1;
                self.transmit(socket, index).await?;
            }
            _ if self.plan.entries > 0 => {
                self.plan.entries -= 1;
                let (id, request) = self.entry();
                self.open.push(Open { id, request, number: 0, sent: 0 });
                self.transmit(socket, self.open.len() - 1).await?;
            }
            _ => {}
        }
        Ok(())
    }

    fn entry(&mut self) -> (Uuid, Value) {
        let id = uuid::Builder::from_random_bytes(self.dice.random()).with_version(uuid::Version::SortRand).into_uuid();
        let room = *self.plan.rooms.choose(&mut self.dice).unwrap();
        let target = self.dice.random_range(1..=self.position(room).max(1));
        let emoji = *["👍", "🎉", ":ok:"].choose(&mut self.dice).unwrap();
        let mut request = match self.dice.random_range(0..20) {
            0..3 => json!({ "type": "edit", "target": target, "body": format!("edited as {id}") }),
            3 => json!({ "type": "delete", "target": target }),
            4..7 => json!({ "type": "react", "target": target, "emoji": emoji }),
            7 => json!({ "type": "unreact", "target": target, "emoji": emoji }),
            _ => json!({ "type": "send", "body": format!("said as {id}") }),
        };
        request["room"] = json!(room);
        request["message_id"] = json!(id);
        (id, request)
    }

    async fn transmit(&mut self, socket: &mut Socket, index: usize) -> Result<(), Lost> {
        let number = self.next;
        self.next += 1;
        let open = &mut self.open[index];
        open.number = number;
        open.sent += 1;
        let mut request = open.request.clone();
        request["id"] = json!(number);
        self.put(socket, &request).await
    }

    async fn put(&self, socket: &mut Socket, frame: &Value) -> Result<(), Lost> {
        match timeout(GIVE_UP, socket.send(Message::text(frame.to_string()))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Lost),
        }
    }

    async fn get(&self, socket: &mut Socket, line: &Line) -> Result<Value, Lost> {
        loop {
            let frame = tokio::select! {
                () = line.dead.cancelled() => return Err(Lost),
                frame = timeout(GIVE_UP * 4, socket.next()) => frame,
            };
            match frame {
                Ok(Some(Ok(Message::Text(text)))) => return Ok(serde_json::from_str(&text).unwrap()),
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                _ => return Err(Lost),
            }
        }
    }

    fn take(&mut self, frame: &Value) {
        let name = self.plan.name.clone();
        match frame["type"].as_str().unwrap() {
            "message" => {
                let message = &frame["message"];
                let room = RoomId(message["room"].as_str().unwrap().parse().unwrap());
                let known = self.story.received.get_mut(&room).unwrap_or_else(|| panic!("{name} is not in {room}"));
                assert_eq!(message["seq"].as_u64().unwrap(), known.len() as u64 + 1, "{name} in {room}: {frame}");
                known.push(message["message_id"].as_str().unwrap().parse().unwrap());
            }
            "sent" => {
                let seq = frame["seq"].as_i64().unwrap();
                if let Some(Open { id, request, .. }) = self.answered(frame) {
                    self.story.duplicates += usize::from(frame["duplicate"] == true);
                    self.story.acknowledged.insert(id, (request, seq));
                } else if let Some((request, first)) =
                    self.story.acknowledged.get(&frame["message_id"].as_str().unwrap().parse().unwrap())
                {
                    // A reaction that was there already is not stored under its own id.
                    assert!(seq == *first || request["type"] == "react", "{name}: {request} at {first}, then {frame}");
                }
            }
            "error" => match frame["code"].as_str().unwrap() {
                "unavailable" | "busy" | "rate_limited" => {}
                "not_found" | "forbidden" => {
                    if let Some(Open { id, request, sent, .. }) = self.answered(frame) {
                        if sent == 1 {
                            self.story.refused.insert(id, request);
                        } else {
                            self.story.unsure.insert(id);
                        }
                    }
                }
                code => panic!("{name} was told {code}: {frame}"),
            },
            "room_added" => {
                let room = RoomId(frame["room"]["id"].as_str().unwrap().parse().unwrap());
                assert_eq!(frame["room"]["last_seq"].as_i64(), Some(self.position(room)), "{name} in {room}: {frame}");
            }
            "room_removed" => panic!("{name} was told to have left: {frame}"),
            _ => {}
        }
    }

    /// The request that a frame answers, unless an earlier answer to it came already.
    fn answered(&mut self, frame: &Value) -> Option<Open> {
        // A request that was repeated on one connection has several numbers; the id of a `sent` tells them all.
        let id = frame["message_id"].as_str().map(|id| id.parse::<Uuid>().unwrap());
        let number = frame["re"].as_u64();
        let at = self.open.iter().position(|open| id.map_or(number == Some(open.number), |id| id == open.id))?;
        Some(self.open.remove(at))
    }
}
