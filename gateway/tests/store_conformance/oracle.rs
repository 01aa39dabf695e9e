//! The same course of sends, edits, deletions, reactions and repeats on the store and on the fake: every answer and every page agree.

use std::sync::Arc;

use chat_gateway::{
    model::{Content, Message, User},
    store::{Entries, NewMessage, NewUser, Page, Sent, Store, StoreError, View, memory::MemoryStore},
};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    strategy::ValueTree,
    test_runner::TestRunner,
};

use crate::fixtures::{entry, group, group_as, sign_up};

/// Steps of one course.
const STEPS: usize = 120;

#[derive(Clone, Debug)]
enum Step {
    /// Somebody puts something into the log.
    Put(usize, Content),
    /// What step so-and-so sent is sent again.
    Again(usize),
    /// Somebody reads.
    Read(usize, Page, View, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let seq = 0i64..40;
    let emoji = prop_oneof![Just("👍"), Just("🎉"), Just(":ok:")].prop_map(str::to_owned);
    let content = prop_oneof![
        6 => ("[a-z]{0,6}", proptest::option::weighted(0.2, seq.clone()))
            .prop_map(|(body, reply_to)| Content::Text { body, reply_to, mentions: Vec::new() }),
        3 => (seq.clone(), "[a-z]{0,6}").prop_map(|(target, body)| Content::Edit { target, body }),
        1 => seq.clone().prop_map(|target| Content::Delete { target }),
        4 => (seq.clone(), emoji.clone()).prop_map(|(target, emoji)| Content::React { target, emoji }),
        2 => (seq.clone(), emoji).prop_map(|(target, emoji)| Content::Unreact { target, emoji }),
    ];
    let page = prop_oneof![Just(Page::Newest), seq.clone().prop_map(Page::Before), seq.prop_map(Page::After)];
    let view = prop_oneof![Just(View::Log), Just(View::Texts)];
    prop_oneof![
        6 => (0usize..3, content).prop_map(|(who, content)| Step::Put(who, content)),
        1 => any::<usize>().prop_map(Step::Again),
        2 => (0usize..3, page, view, 1u32..20).prop_map(|(who, page, view, limit)| Step::Read(who, page, view, limit)),
    ]
}

/// Everything but when it happened.
fn timeless(mut message: Message) -> Message {
    message.at = jiff::Timestamp::UNIX_EPOCH;
    message.edited_at = message.edited_at.map(|_| jiff::Timestamp::UNIX_EPOCH);
    message
}

fn answer(outcome: Result<Sent, StoreError>) -> String {
    match outcome {
        Ok(sent) => format!("{:?}", (timeless(sent.message), sent.duplicate, sent.events.len())),
        Err(error) => format!("{error:?}"),
    }
}

fn page(entries: Entries) -> Entries {
    Entries { messages: entries.messages.into_iter().map(timeless).collect(), ..entries }
}

pub(crate) async fn any_course_of_entries_is_what_the_fake_says(store: Arc<dyn Store>) {
    let mut runner = TestRunner::deterministic();
    for course in 0..4 {
        let fake = MemoryStore::new();
        let people = [sign_up(&*store).await, sign_up(&*store).await, sign_up(&*store).await];
        for user in &people {
            let user: User = user.clone();
            fake.create_user(NewUser { user, password_hash: String::new() }).await.unwrap();
        }
        let room = group(&*store, &people).await;
        group_as(&fake, room, &people).await;
        let steps = vec(step(), STEPS).new_tree(&mut runner).unwrap().current();
        let mut sent: Vec<NewMessage> = Vec::new();
        for (nth, step) in steps.into_iter().enumerate() {
            let told = format!("course {course}, step {nth}: {step:?}");
            match step {
                Step::Read(who, at, view, limit) => {
                    let theirs = store.history(room, people[who].id, at, view, limit).await.unwrap();
                    let mine = fake.history(room, people[who].id, at, view, limit).await.unwrap();
                    assert_eq!(page(theirs), page(mine), "{told}");
                }
                Step::Again(which) => {
                    let Some(new) = sent.get(which % sent.len().max(1)).cloned() else { continue };
                    assert_eq!(answer(store.send(new.clone()).await), answer(fake.send(new).await), "{told}");
                }
                Step::Put(who, content) => {
                    let new = entry(room, people[who].id, content);
                    assert_eq!(answer(store.send(new.clone()).await), answer(fake.send(new.clone()).await), "{told}");
                    sent.push(new);
                }
            }
        }
        assert_eq!(store.positions(&[room]).await.unwrap(), fake.positions(&[room]).await.unwrap());
    }
}
