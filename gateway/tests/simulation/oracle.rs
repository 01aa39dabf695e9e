//! Compares what devices were told with what the store has.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use chat_gateway::{
    model::{EntryKind, Message, RoomId},
    store::Store as _,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    cluster::Cluster,
    story::{Story, Stretch},
};

/// What one or more courses came to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Verdict {
    pub(crate) courses: usize,
    pub(crate) acknowledged: usize,
    refused: usize,
    received: usize,
    pub(crate) repeats: usize,
    duplicates: usize,
    pub(crate) crashes: usize,
    pub(crate) cuts: usize,
    pub(crate) additions: usize,
    pub(crate) removals: usize,
    pub(crate) sign_outs: usize,
}

impl Verdict {
    pub(crate) fn add(&mut self, other: Self) {
        self.courses += other.courses;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.received += other.received;
        self.repeats += other.repeats;
        self.duplicates += other.duplicates;
        self.crashes += other.crashes;
        self.cuts += other.cuts;
        self.additions += other.additions;
        self.removals += other.removals;
        self.sign_outs += other.sign_outs;
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} courses: {} acknowledged, {} refused, {} received; {} sent again, {} answered as duplicates; {} crashes, {} cuts; {} added, {} removed, {} signed out; lost, doubled, reordered, told to the removed: 0",
            self.courses,
            self.acknowledged,
            self.refused,
            self.received,
            self.repeats,
            self.duplicates,
            self.crashes,
            self.cuts,
            self.additions,
            self.removals,
            self.sign_outs
        )
    }
}

/// Fails on the first thing that is not as it was told.
pub(crate) async fn judge(cluster: &Cluster, stories: &[Story], (crashes, cuts): (usize, usize)) -> Verdict {
    let mut logs: HashMap<RoomId, Vec<Message>> = HashMap::new();
    for (room, last) in cluster.positions().await {
        let mut log = Vec::new();
        while let Some(more) =
            Some(cluster.store.replay(room, log.len() as i64, 1_000).await.unwrap().messages).filter(|m| !m.is_empty())
        {
            log.extend(more);
        }
        assert!(log.iter().map(|entry| entry.seq).eq(1..=last), "{room} has a gap");
        logs.insert(room, log);
    }
    let ids: Vec<Uuid> = logs.values().flatten().map(|entry| entry.message_id.0).collect();
    let known: HashSet<Uuid> = ids.iter().copied().collect();
    assert_eq!(ids.len(), known.len(), "an id is there twice");
    let (additions, removals) = cluster.chronicle.counts();
    let mut verdict = Verdict { courses: 1, crashes, cuts, additions, removals, ..Verdict::default() };
    let mut asked = HashSet::new();
    for story in stories {
        for (id, (request, seq)) in &story.acknowledged {
            let room = RoomId(request["room"].as_str().unwrap().parse().unwrap());
            let entry = logs[&room].get(usize::try_from(*seq - 1).unwrap());
            let entry = entry.unwrap_or_else(|| panic!("{} is lost: {request} at {seq}", story.name));
            assert!(
                entry.message_id.0 == *id || is_same_reaction(entry, request, story),
                "{request} at {seq}: {entry:?}"
            );
            assert_eq!(Some(entry.sender), story.user.as_ref().map(|user| user.id));
            assert_eq!(request["type"], json!(if entry.kind == EntryKind::Text { "send" } else { entry.kind.name() }));
        }
        for (id, request) in &story.refused {
            assert!(!known.contains(id), "{} was told that it failed and it did not: {request}", story.name);
        }
        for (room, stretches) in &story.received {
            for Stretch { after, entries } in stretches {
                let expected = logs[room].iter().skip(usize::try_from(*after).unwrap()).take(entries.len());
                let expected = expected.map(|entry| entry.message_id.0);
                assert!(
                    entries.iter().copied().eq(expected),
                    "{} did not get what {room} has after {after}",
                    story.name
                );
                verdict.received += entries.len();
            }
        }
        verdict.sign_outs += story.sign_outs;
        asked.extend(story.acknowledged.keys().chain(&story.unsure).copied());
        verdict.acknowledged += story.acknowledged.len();
        verdict.refused += story.refused.len() + story.unsure.len();
        verdict.repeats += story.repeats;
        verdict.duplicates += story.duplicates;
    }
    assert!(known.is_subset(&asked), "the store has what nobody was told of");
    verdict
}

/// A reaction that was there already is acknowledged with the entry that made it.
fn is_same_reaction(entry: &Message, request: &Value, story: &Story) -> bool {
    entry.kind == EntryKind::React
        && Some(entry.sender) == story.user.as_ref().map(|user| user.id)
        && json!(entry.target) == request["target"]
        && json!(entry.body) == request["emoji"]
}
