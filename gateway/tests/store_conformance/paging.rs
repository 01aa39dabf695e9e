//! Random pages and marks against a model.

use std::sync::Arc;

use chat_gateway::store::{Page, Store, View};
use proptest::{
    option,
    prelude::{Just, Strategy, prop_oneof},
    strategy::ValueTree,
    test_runner::TestRunner,
};

use crate::fixtures::{group, say, sign_up};

const MESSAGES: i64 = 23;

pub(crate) async fn pages_are_what_a_model_says(store: Arc<dyn Store>) {
    let ann = sign_up(&*store).await;
    let room = group(&*store, std::slice::from_ref(&ann)).await;
    for n in 1..=MESSAGES {
        say(&*store, room, ann.id, &n.to_string()).await.unwrap();
    }
    let seqs = -2..MESSAGES + 4;
    let pages = prop_oneof![Just(Page::Newest), seqs.clone().prop_map(Page::Before), seqs.prop_map(Page::After)];
    let strategy = (pages, 1u32..30);
    let mut runner = TestRunner::deterministic();
    for _ in 0..100 {
        let (page, limit) = strategy.new_tree(&mut runner).unwrap().current();
        let matching: Vec<i64> = (1..=MESSAGES)
            .filter(|seq| match page {
                Page::Newest => true,
                Page::Before(bound) => *seq < bound,
                Page::After(bound) => *seq > bound,
            })
            .collect();
        let size = matching.len().min(limit as usize);
        let expected =
            if matches!(page, Page::After(_)) { &matching[..size] } else { &matching[matching.len() - size..] };
        let found = store.history(room, ann.id, page, View::Log, limit).await.unwrap();
        let (messages, more) = (found.messages, found.more);
        let got: Vec<i64> = messages.iter().map(|m| m.seq).collect();
        assert_eq!((got.as_slice(), more), (expected, matching.len() > size), "{page:?} limit {limit}");
        if let Page::After(after) = page {
            assert_eq!(store.replay(room, after, limit).await.unwrap().messages, messages);
        }
    }
}

pub(crate) async fn marks_are_what_a_model_says(store: Arc<dyn Store>) {
    let ann = sign_up(&*store).await;
    let room = group(&*store, std::slice::from_ref(&ann)).await;
    for n in 1..=MESSAGES {
        say(&*store, room, ann.id, &n.to_string()).await.unwrap();
    }
    let strategy = (option::of(-2..MESSAGES + 4), option::of(-2..MESSAGES + 4));
    let mut runner = TestRunner::deterministic();
    let (mut delivered, mut read) = (0, 0);
    for _ in 0..40 {
        let (d, r) = strategy.new_tree(&mut runner).unwrap().current();
        let before = (delivered, read);
        read = read.max(r.unwrap_or(0).min(MESSAGES));
        delivered = delivered.max(d.unwrap_or(0).min(MESSAGES)).max(read);
        let marks = store.mark(room, ann.id, d, r).await.unwrap();
        let expected = (delivered, read, before != (delivered, read));
        assert_eq!((marks.delivered_seq, marks.read_seq, marks.changed), expected, "{d:?} {r:?}");
    }
}
