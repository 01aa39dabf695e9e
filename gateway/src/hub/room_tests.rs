//! Whatever comes in whatever order: every follower gets what it lacks exactly once and in order.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    connection::queue::{Next, Queue},
    model::{Content, MessageId, RoomId, User},
    store::NewMessage,
};

/// Fewer than come, so that some are dropped and asked for again.
const AHEAD: usize = 8;

/// Messages in the store at the end.
const LAST: Seq = 40;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The broker brings this message, perhaps not for the first time.
    Live(Seq),
    /// Somebody joins with this cursor, when the store has everything up to `Seq`.
    Join(Seq, Seq),
    /// The first of them is suspended, or goes on.
    Suspend(bool),
    /// Somebody who follows nowhere here is removed; the broker brings the word, or not.
    Removal(bool),
    /// An outstanding question is answered, or fails.
    Told(bool),
    /// The store is asked for positions.
    Position,
    /// Time passes.
    Wait,
    /// An outstanding fill is answered, or fails.
    Answer(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..=LAST).prop_map(Step::Live),
        2 => (0..=LAST).prop_flat_map(|cursor| (Just(cursor), cursor..=LAST)).prop_map(|(cursor, stored)| Step::Join(cursor, stored)),
        1 => any::<bool>().prop_map(Step::Suspend),
        1 => any::<bool>().prop_map(Step::Removal),
        2 => prop::bool::weighted(0.8).prop_map(Step::Told),
        1 => Just(Step::Position),
        2 => Just(Step::Wait),
        3 => prop::bool::weighted(0.8).prop_map(Step::Answer),
    ]
}

fn message(seq: Seq) -> Message {
    let new = NewMessage {
        room: RoomId(Uuid::nil()),
        message_id: MessageId(Uuid::nil()),
        sender: UserId(Uuid::nil()),
        content: Content::text(format!("m{seq}")),
    };
    new.stored(seq, "a".into(), Timestamp::UNIX_EPOCH, Vec::new())
}

fn session(nth: usize) -> Arc<Session> {
    let user = User { id: UserId(Uuid::from_u128(nth as u128 + 1)), name: "a".into(), display_name: "a".into() };
    Arc::new(Session::new(user, i64::MAX, Arc::new(Queue::default()), Arc::default()))
}

/// A room, those who joined it with their first cursor, and the fill that waits for its answer.
struct Bench {
    room: Room,
    joined: Vec<(Arc<Session>, Seq)>,
    fill: Option<Fill>,
    asked: Option<Vec<UserId>>,
    /// Version of the room; each change here is a removal.
    version: i64,
    now: Instant,
    tally: Tally,
}

const ROOM: RoomId = RoomId(Uuid::nil());

fn from(cursor: Seq, member_version: i64) -> Following {
    Following { room: ROOM, cursor, member_version }
}

impl Bench {
    fn advance(&mut self) {
        if let Some(asked) = self.room.doubtful(self.now) {
            assert!(self.asked.replace(asked).is_none(), "one question at a time");
        }
        if let Some(fill) = self.room.advance(self.now) {
            assert!(self.fill.replace(fill).is_none(), "one fill at a time");
        }
    }

    fn place(&self, last_seq: Seq) -> Place {
        Place { room: ROOM, last_seq, removal: self.version }
    }

    fn tell(&mut self, works: bool) {
        if let Some(asked) = self.asked.take() {
            let standing = Standing { version: self.version, members: asked.clone() };
            self.room.told(ROOM, &asked, if works { Ok(standing) } else { Err(()) }, self.now);
        }
    }

    fn answer(&mut self, works: bool) {
        if let Some(Fill { after }) = self.fill.take() {
            let messages = (after + 1..=LAST).take(7).map(message).collect();
            let found = Replay { messages, removal: self.version };
            self.room.filled(Fill { after }, if works { Ok(found) } else { Err(()) }, self.now, &mut self.tally);
            assert_eq!(self.tally.lost, None, "the store has everything");
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Live(seq) => self.room.message(message(seq), self.version, false, &mut self.tally, None),
            Step::Join(cursor, stored) => {
                let session = session(self.joined.len());
                self.joined.push((Arc::clone(&session), cursor));
                self.room.join(session, from(cursor, self.version), self.place(stored));
            }
            Step::Removal(brought) => {
                self.version += 1;
                if brought {
                    let nobody = UserId(Uuid::nil());
                    self.room.suspend(Removal { room: ROOM, user: nobody, version: self.version });
                    self.room.changed(self.version, Some(nobody));
                }
            }
            Step::Told(works) => self.tell(works),
            Step::Suspend(suspend) => {
                let Some((first, _)) = self.joined.first() else { return };
                if suspend {
                    self.version += 1;
                    self.room.suspend(Removal { room: ROOM, user: first.user.id, version: self.version });
                } else {
                    self.room.resume(first.id, self.version);
                }
            }
            Step::Position => self.room.position(self.place(LAST)),
            Step::Wait => self.now += GAP_GRACE,
            Step::Answer(works) => self.answer(works),
        }
        self.advance();
    }
}

async fn received(session: &Session) -> Vec<Seq> {
    let mut seqs = Vec::new();
    session.queue.close(crate::protocol::CloseCode::Normal);
    while let Next::Frames(batch) = session.queue.next().await {
        for frame in batch.frames {
            let crate::codec::Frame::Text(text) = frame else { panic!("{frame:?}") };
            let event: serde_json::Value = serde_json::from_str(&text).unwrap();
            seqs.push(event["message"]["seq"].as_i64().unwrap());
        }
    }
    seqs
}

proptest! {
    #[test]
    fn each_follower_gets_each_message_once_and_in_order(steps in prop::collection::vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let now = Instant::now();
            let (room, joined, tally) = (Room::new(AHEAD), Vec::new(), Tally::default());
            let mut bench = Bench { room, joined, fill: None, asked: None, version: 0, now, tally };
            for step in steps {
                bench.take(step);
            }
            // In the end the store is asked, answers, and everybody is a member.
            bench.take(Step::Suspend(false));
            bench.take(Step::Position);
            for _ in 0..200 {
                bench.now += FILL_RETRY;
                bench.advance();
                bench.answer(true);
                bench.tell(true);
                bench.advance();
            }
            for (session, cursor) in &bench.joined {
                let expected: Vec<Seq> = (cursor + 1..=LAST).collect();
                assert_eq!(received(session).await, expected);
            }
            assert!(bench.room.ahead.is_empty(), "nothing is kept that nobody lacks");
        });
    }
}

/// Somebody who is removed at version 5 gets what was said before, whichever way the entries and the word of it take.
#[tokio::test(start_paused = true)]
async fn nothing_from_after_a_removal_reaches_the_removed() {
    type Way = (&'static str, fn(&mut Room, Removal));
    let removal = Removal { room: ROOM, user: session(0).user.id, version: 5 };
    let ways: [Way; 5] = [
        ("an entry tells", |room, _| room.message(message(3), 5, false, &mut Tally::default(), None)),
        ("a page tells", |room, _| {
            let page = Replay { messages: vec![message(3)], removal: 5 };
            room.filled(Fill { after: 1 }, Ok(page), Instant::now(), &mut Tally::default());
        }),
        ("its position tells", |room, _| room.position(Place { room: ROOM, last_seq: 2, removal: 5 })),
        ("the store tells", |room, removal| room.suspend(removal)),
        ("the broker tells", |room, removal| {
            room.suspend(removal);
            room.changed(5, Some(removal.user));
        }),
    ];
    for (way, tell) in ways {
        let (mut room, removed, other) = (Room::new(AHEAD), session(0), session(1));
        for session in [&removed, &other] {
            room.join(Arc::clone(session), from(1, 4), Place { room: ROOM, last_seq: 1, removal: 0 });
        }
        room.message(message(2), 0, false, &mut Tally::default(), None);
        tell(&mut room, removal);
        assert!(room.sessions().all(|session| session.id != removed.id), "{way}: nor anything else");
        room.message(message(3), 5, false, &mut Tally::default(), None);
        // What nobody brought the store is asked for.
        let _ = room.doubtful(Instant::now());
        tokio::time::advance(Duration::from_secs(1)).await;
        if let Some(asked) = room.doubtful(Instant::now()) {
            let standing = Standing { version: 5, members: vec![other.user.id] };
            room.told(ROOM, &asked, Ok(standing), Instant::now());
        }
        room.message(message(4), 5, false, &mut Tally::default(), None);
        assert_eq!(received(&removed).await, [2], "{way}");
        assert_eq!(received(&other).await, [2, 3, 4], "{way}");
    }
}

/// Their list was read before the removal, they follow after it was told.
#[tokio::test(start_paused = true)]
async fn who_follows_by_old_news_is_asked_about() {
    let mut room = Room::new(AHEAD);
    room.join(session(1), from(1, 4), Place { room: ROOM, last_seq: 1, removal: 0 });
    let late = session(0);
    room.suspend(Removal { room: ROOM, user: late.user.id, version: 5 });
    room.changed(5, Some(late.user.id));
    room.join(Arc::clone(&late), from(1, 4), Place { room: ROOM, last_seq: 1, removal: 0 });
    room.changed(6, None);
    assert_eq!(room.doubtful(Instant::now()), None, "the broker has a moment");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(room.doubtful(Instant::now()), Some(vec![late.user.id]));
    room.message(message(2), 5, false, &mut Tally::default(), None);
    assert!(received(&late).await.is_empty());
}

#[test]
fn a_crowd_is_not_told_of_each_other() {
    let mut room = Room::new(AHEAD);
    let nothing = Place { room: ROOM, last_seq: 0, removal: 0 };
    for nth in 0..PRESENCE {
        room.join(session(nth), from(0, 1), nothing);
    }
    assert!(room.tells_presence());
    room.join(session(PRESENCE), from(0, 1), nothing);
    assert!(!room.tells_presence());
}

#[tokio::test(start_paused = true)]
async fn what_came_ahead_of_a_gap_was_not_missed() {
    let (mut room, mut tally) = (Room::new(AHEAD), Tally::default());
    for nth in 0..3 {
        room.join(session(nth), from(1, 1), Place { room: ROOM, last_seq: 1, removal: 0 });
    }
    for seq in [2, 4, 5, 5] {
        room.message(message(seq), 0, false, &mut tally, None);
    }
    room.message(message(6), 0, true, &mut tally, None);
    assert_eq!(
        tally,
        Tally { duplicates: 1, backfilled: 0, taken: 3, lost: None },
        "each once, and own ones not at all"
    );
    let page = Replay { messages: (3..=7).map(message).collect(), removal: 0 };
    room.filled(Fill { after: 2 }, Ok(page), Instant::now(), &mut tally);
    assert_eq!(tally, Tally { duplicates: 1, backfilled: 2, taken: 5, lost: None }, "3 and 7");
}

/// A room of one follower who lacks message 2, which the broker did not bring, and asks the store for it.
async fn with_a_gap() -> Room {
    let mut room = Room::new(AHEAD);
    room.join(session(0), from(1, 1), Place { room: ROOM, last_seq: 1, removal: 0 });
    room.message(message(3), 0, false, &mut Tally::default(), None);
    room.advance(Instant::now());
    tokio::time::advance(GAP_GRACE).await;
    assert_eq!(room.advance(Instant::now()), Some(Fill { after: 1 }));
    room
}

#[tokio::test(start_paused = true)]
async fn what_the_store_lacks_between_others_is_told_once() {
    let mut room = with_a_gap().await;
    for lost in [Some((Breach::Hole, 2)), None] {
        let mut tally = Tally::default();
        let page = Replay { messages: vec![message(3), message(4)], removal: 0 };
        room.filled(Fill { after: 1 }, Ok(page), Instant::now(), &mut tally);
        assert_eq!(tally.lost, lost);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_published_and_is_not_in_the_store_is_told_when_that_is_certain() {
    let mut room = with_a_gap().await;
    let mut told = Vec::new();
    for _ in 0..EMPTY_FILLS + 2 {
        let mut tally = Tally::default();
        room.filled(Fill { after: 1 }, Ok(Replay { messages: Vec::new(), removal: 0 }), Instant::now(), &mut tally);
        told.push(tally.lost);
    }
    assert_eq!(told, [None, None, Some((Breach::Unstored, 3)), None, None]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_has_all_is_not_blamed() {
    let (mut room, mut tally) = (with_a_gap().await, Tally::default());
    room.filled(
        Fill { after: 1 },
        Ok(Replay { messages: vec![message(2), message(3)], removal: 0 }),
        Instant::now(),
        &mut tally,
    );
    assert_eq!(tally.lost, None);
    assert_eq!(room.take_delivered(), 2);
    assert_eq!(room.take_delivered(), 0, "told once");
}
