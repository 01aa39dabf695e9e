//! Where every device stands, for who has to find out why a course does not end.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, PoisonError, atomic::Ordering::SeqCst},
};

use chat_gateway::model::{RoomId, Seq, UserId};
use tokio::time::Instant;

use crate::cluster::{Cluster, GATEWAYS};

/// By a device's name.
#[derive(Default)]
pub(crate) struct Board(Mutex<BTreeMap<String, Note>>);

/// What a device was about when it last said so.
pub(crate) struct Note {
    pub(crate) at: Instant,
    pub(crate) user: UserId,
    pub(crate) step: &'static str,
    /// Its last greeting, or what came in its place.
    pub(crate) greeting: String,
    /// Entries that it still wants to write, and requests that wait for an answer.
    pub(crate) entries: usize,
    pub(crate) open: usize,
    /// The newest entry that it has of each room, and whether its connection follows the room.
    pub(crate) places: BTreeMap<RoomId, (Seq, bool)>,
}

impl Board {
    pub(crate) fn write(&self, name: &str, note: Note) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), note);
    }
}

/// What the devices last said, beside what the store has.
pub(crate) async fn who_waits(cluster: &Cluster) -> String {
    let positions: BTreeMap<RoomId, Seq> = cluster.positions().await.into_iter().collect();
    let mut text = String::new();
    for nth in 0..GATEWAYS {
        let state = cluster.running(nth).map(|running| {
            (
                running.line.store_cut.load(SeqCst),
                running.line.broker_cut.load(SeqCst),
                running.line.dead.is_cancelled(),
            )
        });
        let _ = writeln!(text, "gateway {nth}: (store cut, broker cut, dead) {state:?}");
    }
    for (name, note) in &*cluster.board.0.lock().unwrap_or_else(PoisonError::into_inner) {
        let Note { at, step, greeting, entries, open, .. } = note;
        let _ = writeln!(text, "{name}, {:?} ago: {step}; {entries} to write, {open} open; {greeting}", at.elapsed());
        for (room, last) in &positions {
            let member = cluster.chronicle.is_member(*room, note.user);
            let place = note.places.get(room);
            let _ = writeln!(text, "  {room} at {last}: member {member}, has and follows {place:?}");
        }
    }
    text
}
