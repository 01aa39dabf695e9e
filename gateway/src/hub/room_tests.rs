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
    now: Instant,
    tally: Tally,
}

impl Bench {
    fn advance(&mut self) {
        if let Some(fill) = self.room.advance(self.now) {
            assert!(self.fill.replace(fill).is_none(), "one fill at a time");
        }
    }

    fn answer(&mut self, works: bool) {
        if let Some(Fill { after }) = self.fill.take() {
            let found = (after + 1..=LAST).take(7).map(message).collect();
            self.room.filled(if works { Ok(found) } else { Err(()) }, self.now, &mut self.tally);
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Live(seq) => self.room.message(message(seq), false, &mut self.tally),
            Step::Join(cursor, stored) => {
                let session = session(self.joined.len());
                self.joined.push((Arc::clone(&session), cursor));
                self.room.join(session, cursor, stored);
            }
            Step::Suspend(suspend) => {
                let Some((first, _)) = self.joined.first() else { return };
                if suspend {
                    self.room.suspend(first.user.id, RoomId(Uuid::nil()));
                } else {
                    self.room.resume(first.id);
                }
            }
            Step::Position => self.room.position(LAST),
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
            let mut bench = Bench { room: Room::new(), joined: Vec::new(), fill: None, now, tally: Tally::default() };
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

#[test]
fn a_crowd_is_not_told_of_each_other() {
    let mut room = Room::new();
    for nth in 0..PRESENCE {
        room.join(session(nth), 0, 0);
    }
    assert!(room.tells_presence());
    room.join(session(PRESENCE), 0, 0);
    assert!(!room.tells_presence());
}
