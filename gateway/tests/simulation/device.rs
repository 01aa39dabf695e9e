//! One device of a person: writes until its plan is done, reconnects whenever it must, and checks every entry that it gets.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use chat_gateway::{
    codec::Codec,
    model::{RoomId, Seq, SessionId, User},
};
use chat_test_client::cbor;
use futures::{SinkExt as _, StreamExt as _};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};
use tokio::{
    io::DuplexStream,
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};
use uuid::Uuid;

use crate::{board::Note, cluster::Cluster, line::Line, story::Story, wishes};

/// Requests without an answer at the same time.
const OPEN: usize = 8;

/// A frame that is not taken or not answered for so long: the connection is given up.
const GIVE_UP: Duration = Duration::from_secs(30);

/// A connection whose session has ended closes within this time, with everything that may be cut meanwhile.
const SIGNED_OUT: Duration = Duration::from_secs(30);

/// Over this many missing entries a gateway does not replay.
const RESUME_DISTANCE: Seq = 1_000;

/// What a device is to do.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) user: User,
    pub(crate) rooms: Vec<RoomId>,
    pub(crate) entries: usize,
    pub(crate) seed: u64,
}

pub(crate) struct Device {
    plan: Plan,
    cluster: Arc<Cluster>,
    dice: StdRng,
    busy: watch::Sender<usize>,
    /// Requests that wait for their answer, oldest first.
    open: Vec<Open>,
    next: u64,
    /// The rooms that it was told of, also those that its last connection did not know.
    places: BTreeMap<RoomId, Place>,
    sign_in: Option<SessionId>,
    /// When that was ended.
    signed_out: Option<Instant>,
    /// Whether this connection's frames are CBOR.
    binary: bool,
    greeting: String,
    story: Story,
}

/// Where a device stands in a room.
struct Place {
    cursor: Seq,
    /// Whether this connection follows it.
    here: bool,
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
        let story = Story { name: plan.name.clone(), user: Some(plan.user.clone()), ..Story::default() };
        busy.send_modify(|count| *count += 1);
        let dice = StdRng::seed_from_u64(plan.seed);
        let mut device = Self {
            cluster,
            dice,
            busy: busy.clone(),
            open: Vec::new(),
            next: 1,
            places: BTreeMap::new(),
            sign_in: None,
            signed_out: None,
            binary: false,
            greeting: String::new(),
            story,
            plan,
        };
        for room in device.plan.rooms.clone() {
            device.stand(room, 0);
        }
        device
    }

    /// From here on entries of a room come after this seq.
    fn stand(&mut self, room: RoomId, cursor: Seq) {
        self.places.insert(room, Place { cursor, here: true });
        self.story.begin(room, cursor);
    }

    pub(crate) async fn run(mut self, mut goal: Goal) -> Story {
        let mut working = true;
        while !self.reached(&goal) {
            self.note("is about to connect");
            sleep(Duration::from_millis(self.dice.random_range(5..400))).await;
            self.binary = self.dice.random();
            let codec = if self.binary { Codec::ChatCbor } else { Codec::Chat };
            if self.sign_in.is_none() || self.signed_out.take().is_some() {
                self.sign_in = Some(self.cluster.sign_in(self.plan.user.id, &mut self.dice).await);
            }
            if let Some((pipe, line)) = self.cluster.connect(&mut self.dice, codec) {
                // How it ended does not matter: what is missing shows in the next one.
                let _ = self.session(pipe, &line, &mut goal, &mut working).await;
            }
        }
        self.story
    }

    /// Says on the board where it stands.
    fn note(&self, step: &'static str) {
        let (at, user, greeting) = (Instant::now(), self.plan.user.id, self.greeting.clone());
        let (entries, open) = (self.plan.entries, self.open.len());
        let places = self.places.iter().map(|(room, place)| (*room, (place.cursor, place.here))).collect();
        self.cluster.board.write(&self.plan.name, Note { at, user, step, greeting, entries, open, places });
    }

    /// One of the rooms that this connection follows; `but` leaves one out.
    fn room(&mut self, but: Option<RoomId>) -> Option<RoomId> {
        let here = self.places.iter().filter(|(room, place)| place.here && Some(**room) != but);
        here.map(|(room, _)| *room).collect::<Vec<_>>().choose(&mut self.dice).copied()
    }

    /// Whether it has everything of the rooms that its user is in, and was told that it is in no other.
    fn reached(&self, goal: &Goal) -> bool {
        let is_there = |(room, last): (&RoomId, &Seq)| {
            let place = self.places.get(room).filter(|place| place.here);
            if self.cluster.chronicle.is_member(*room, self.plan.user.id) {
                place.is_some_and(|place| place.cursor >= *last)
            } else {
                place.is_none()
            }
        };
        goal.borrow().as_ref().is_some_and(|goal| goal.iter().all(is_there))
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
            self.places.iter().map(|(room, place)| json!({ "room": room, "seq": place.cursor })).collect();
        let token = format!("{}:{}", self.sign_in.unwrap(), self.plan.user.name);
        let hello = json!({ "type": "hello", "id": 0, "token": token, "resume": resume });
        self.put(&mut socket, &hello).await?;
        let welcome = self.get(&mut socket, line).await?;
        self.greeting = welcome.to_string();
        if welcome["type"] == "error" {
            assert!(["unavailable", "busy"].contains(&welcome["code"].as_str().unwrap()), "{welcome}");
            return Err(Lost);
        }
        if welcome["type"] == "reconnect" {
            // The gateway began to leave just when the connection became known to it.
            return Err(Lost);
        }
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        self.welcomed(&welcome);
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
            self.note("is connected");
            let late = self.signed_out.is_some_and(|at| at.elapsed() > SIGNED_OUT);
            assert!(!late, "{} goes on after its session has ended", self.plan.name);
            // Who has nothing more to do looks on, and costs the test less.
            let pause = if *working { self.dice.random_range(1..30) } else { self.dice.random_range(50..500) };
            let pause = Duration::from_millis(pause);
            tokio::select! {
                frame = self.get(&mut socket, line) => { let frame = frame?; self.take(&frame); }
                () = sleep(pause) => self.act(&mut socket).await?,
                _ = goal.changed() => {}
            }
        }
    }

    /// Takes in which rooms this connection follows. A room that is missing keeps its place, as in other clients.
    fn welcomed(&mut self, welcome: &Value) {
        self.places.values_mut().for_each(|place| place.here = false);
        let resumed = welcome["resumed"].as_array().unwrap();
        for listed in welcome["rooms"].as_array().unwrap() {
            let (room, last) = (room_of(&listed["id"]), listed["last_seq"].as_i64().unwrap());
            let resumed = resumed.iter().find(|resumed| room_of(&resumed["room"]) == room);
            match (self.places.get_mut(&room), resumed) {
                (Some(place), Some(resumed)) if resumed["recovered"] == true => place.here = true,
                (Some(place), Some(resumed)) => {
                    // Removed so long ago that its history has to be read.
                    let to = resumed["to"].as_i64().unwrap();
                    assert!(to - place.cursor > RESUME_DISTANCE, "{}: {welcome}", self.plan.name);
                    self.stand(room, to);
                }
                (None, None) => self.stand(room, last),
                (place, resumed) => panic!("{}: {room}, {} {resumed:?}", self.plan.name, place.is_some()),
            }
        }
    }

    /// Does something, or nothing.
    async fn act(&mut self, socket: &mut Socket) -> Result<(), Lost> {
        match self.dice.random_range(0..1_000) {
            0..10 => return Err(Lost),
            10..20 => sleep(Duration::from_millis(self.dice.random_range(100..8_000))).await,
            20..45 if self.plan.entries > 0 => {
                // Whether it is carried out is in the chronicle, so its answer is nothing to wait for.
                let Some(room) = self.room(Some(self.cluster.home)) else { return Ok(()) };
                let other = &self.cluster.person(&mut self.dice).name;
                let mut request = wishes::change_of_members(&mut self.dice, room, &self.plan.user.name, other);
                request["id"] = json!(self.number());
                self.put(socket, &request).await?;
            }
            45..47 if self.plan.entries > 0 && self.signed_out.is_none() => {
                self.note("signs out");
                let (user, session) = (self.plan.user.id, self.sign_in.unwrap());
                self.cluster.sign_out(user, session, &mut self.dice).await;
                self.note("has signed out");
                self.signed_out = Some(Instant::now());
                self.story.sign_outs += 1;
            }
            47..77 => {
                let Some(room) = self.room(None) else { return Ok(()) };
                let seq = self.places[&room].cursor;
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
                let Some(room) = self.room(None) else { return Ok(()) };
                self.plan.entries -= 1;
                let (id, request) = wishes::entry(&mut self.dice, room, self.places[&room].cursor);
                self.open.push(Open { id, request, number: 0, sent: 0 });
                self.transmit(socket, self.open.len() - 1).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The number of the next request.
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    async fn transmit(&mut self, socket: &mut Socket, index: usize) -> Result<(), Lost> {
        let number = self.number();
        let open = &mut self.open[index];
        open.number = number;
        open.sent += 1;
        let mut request = open.request.clone();
        request["id"] = json!(number);
        self.put(socket, &request).await
    }

    async fn put(&self, socket: &mut Socket, frame: &Value) -> Result<(), Lost> {
        let message = if self.binary { Message::binary(cbor::encode(frame)) } else { Message::text(frame.to_string()) };
        match timeout(GIVE_UP, socket.send(message)).await {
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
                Ok(Some(Ok(Message::Text(text)))) if !self.binary => return Ok(serde_json::from_str(&text).unwrap()),
                Ok(Some(Ok(Message::Binary(bytes)))) if self.binary => return Ok(cbor::decode(&bytes).unwrap()),
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
                let (room, seq) = (room_of(&message["room"]), message["seq"].as_i64().unwrap());
                let place = self.places.get_mut(&room).filter(|place| place.here);
                let place = place.unwrap_or_else(|| panic!("{name} is not in {room}: {frame}"));
                assert_eq!(seq, place.cursor + 1, "{name} in {room}: {frame}");
                let may = self.cluster.chronicle.may_have(room, self.plan.user.id, seq);
                assert!(may, "{name} was removed from {room} before that: {frame}");
                place.cursor = seq;
                self.story.receive(room, message["message_id"].as_str().unwrap().parse().unwrap());
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
                let (room, last) = (room_of(&frame["room"]["id"]), frame["room"]["last_seq"].as_i64().unwrap());
                match self.places.get_mut(&room) {
                    Some(place) if place.here => panic!("{name} is in {room}: {frame}"),
                    Some(place) if place.cursor == last => place.here = true,
                    Some(place) if place.cursor > last => panic!("{name} in {room} had more: {frame}"),
                    // What was said before is for the history.
                    _ => self.stand(room, last),
                }
            }
            "room_removed" => {
                let place = self.places.remove(&room_of(&frame["room"]));
                assert!(place.is_some_and(|place| place.here), "{name} was not there: {frame}");
            }
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

fn room_of(id: &Value) -> RoomId {
    RoomId(id.as_str().unwrap().parse().unwrap())
}
