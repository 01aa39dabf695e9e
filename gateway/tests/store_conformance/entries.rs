//! Edits, deletions, reactions, replies, mentions.

use std::sync::Arc;

use chat_gateway::{
    model::{Content, EntryKind, Message, Reaction, RoomId, RoomKind, Seq, User, UserId},
    store::{Entries, NewRoom, Page, Sent, Store, StoreError, StoredEvent, View},
};
use uuid::Uuid;

use crate::fixtures::{entry, group, place, say, sign_up};

async fn texts(store: &dyn Store, room: RoomId, user: UserId) -> Entries {
    store.history(room, user, Page::Newest, View::Texts, 100).await.unwrap()
}

async fn log(store: &dyn Store, room: RoomId) -> Vec<(Seq, EntryKind, String, bool)> {
    let all = store.replay(room, 0, 1_000).await.unwrap().messages;
    all.into_iter().map(|entry| (entry.seq, entry.kind, entry.body, entry.deleted)).collect()
}

async fn put(store: &dyn Store, room: RoomId, sender: UserId, content: Content) -> Result<Message, StoreError> {
    store.send(entry(room, sender, content)).await.map(|sent| sent.message)
}

fn edit(target: Seq, body: &str) -> Content {
    Content::Edit { target, body: body.to_owned() }
}

fn react(target: Seq, emoji: &str) -> Content {
    Content::React { target, emoji: emoji.to_owned() }
}

fn unreact(target: Seq, emoji: &str) -> Content {
    Content::Unreact { target, emoji: emoji.to_owned() }
}

async fn pair(store: &dyn Store) -> (User, User, RoomId) {
    let (ann, bob) = (sign_up(store).await, sign_up(store).await);
    let room = group(store, &[ann.clone(), bob.clone()]).await;
    (ann, bob, room)
}

pub(crate) async fn an_edit_changes_the_text_and_keeps_its_place_in_the_log(store: Arc<dyn Store>) {
    let (ann, _, room) = pair(&*store).await;
    say(&*store, room, ann.id, "helo").await.unwrap();
    say(&*store, room, ann.id, "second").await.unwrap();
    let edited = store.send(entry(room, ann.id, edit(1, "hello"))).await.unwrap();
    assert_eq!((edited.message.seq, edited.message.kind, edited.message.target), (3, EntryKind::Edit, Some(1)));
    assert_eq!(edited.events[0].event, StoredEvent::Message { message: edited.message.clone(), removal: 0 });
    put(&*store, room, ann.id, edit(1, "hello!")).await.unwrap();
    let shown = texts(&*store, room, ann.id).await;
    let bodies: Vec<_> = shown.messages.iter().map(|m| (m.seq, m.body.as_str(), m.edited_at.is_some())).collect();
    assert_eq!(bodies, [(1, "hello!", true), (2, "second", false)]);
    assert_eq!(shown.last_seq, 4);
    // What the first edit said is gone, its place is not.
    let expected = [
        (1, EntryKind::Text, "hello!".to_owned(), false),
        (2, EntryKind::Text, "second".to_owned(), false),
        (3, EntryKind::Edit, String::new(), true),
        (4, EntryKind::Edit, "hello!".to_owned(), false),
    ];
    assert_eq!(log(&*store, room).await, expected);
    // In the outbox as well: an entry is relayed as it is now.
    let claimed = store.claim_outbox(std::time::Duration::ZERO, 10_000).await.unwrap();
    let mine: Vec<_> = claimed.into_iter().filter(|row| row.key == edited.events[0].key).collect();
    let StoredEvent::Message { message, .. } = &mine[0].event else { panic!("{mine:?}") };
    assert_eq!((message.seq, message.target), (3, Some(1)));
}

pub(crate) async fn a_deletion_leaves_nothing_to_read(store: Arc<dyn Store>) {
    let (ann, bob, room) = pair(&*store).await;
    say(&*store, room, ann.id, "a secret").await.unwrap();
    put(&*store, room, ann.id, edit(1, "another secret")).await.unwrap();
    put(&*store, room, bob.id, react(1, "👍")).await.unwrap();
    put(&*store, room, ann.id, Content::Delete { target: 1 }).await.unwrap();
    let shown = texts(&*store, room, bob.id).await;
    assert_eq!(shown.messages.len(), 1, "a tombstone stays");
    assert!(shown.messages[0].deleted && shown.messages[0].body.is_empty());
    assert!(shown.reactions.is_empty());
    let kinds: Vec<_> = log(&*store, room).await.into_iter().map(|(_, kind, body, _)| (kind, body)).collect();
    let bodies = ["", "", "👍", ""].map(str::to_owned);
    let expected = [EntryKind::Text, EntryKind::Edit, EntryKind::React, EntryKind::Delete];
    assert_eq!(kinds, expected.into_iter().zip(bodies).collect::<Vec<_>>());
    for content in [edit(1, "back"), Content::Delete { target: 1 }, react(1, "👎")] {
        let refused = put(&*store, room, ann.id, content).await;
        assert!(matches!(refused, Err(StoreError::MessageNotFound("target"))), "{refused:?}");
    }
    assert_eq!(store.positions(&[room]).await.unwrap(), [place(room, 4)], "refusals take no number");
}

pub(crate) async fn only_those_who_may_change_a_text(store: Arc<dyn Store>) {
    let (ann, bob, room) = pair(&*store).await;
    say(&*store, room, ann.id, "ann's").await.unwrap();
    say(&*store, room, bob.id, "bob's").await.unwrap();
    let forbidden = |outcome: Result<Message, StoreError>| matches!(outcome, Err(StoreError::Forbidden(_)));
    assert!(forbidden(put(&*store, room, bob.id, edit(1, "x")).await));
    assert!(forbidden(put(&*store, room, bob.id, Content::Delete { target: 1 }).await));
    assert!(forbidden(put(&*store, room, ann.id, edit(2, "x")).await), "owners put no words into mouths");
    put(&*store, room, ann.id, Content::Delete { target: 2 }).await.unwrap();
    let eve = sign_up(&*store).await;
    let strange = put(&*store, room, eve.id, react(1, "👀")).await;
    assert!(matches!(strange, Err(StoreError::RoomNotFound)));
    for target in [3, 99] {
        let refused = put(&*store, room, ann.id, edit(target, "x")).await;
        assert!(matches!(refused, Err(StoreError::MessageNotFound("target"))), "{target}: {refused:?}");
    }
    // In a direct room nobody moderates.
    let id = RoomId(Uuid::now_v7());
    let new = NewRoom { id, kind: RoomKind::Direct, title: String::new(), creator: ann.id, members: vec![bob.clone()] };
    store.create_room(new, None).await.unwrap();
    say(&*store, id, bob.id, "mine").await.unwrap();
    assert!(forbidden(put(&*store, id, ann.id, Content::Delete { target: 1 }).await));
}

pub(crate) async fn reactions_are_counted_once_each(store: Arc<dyn Store>) {
    let (ann, bob, room) = pair(&*store).await;
    say(&*store, room, ann.id, "vote").await.unwrap();
    for (user, emoji) in [(&ann, "👍"), (&bob, "👍"), (&bob, "🎉")] {
        put(&*store, room, user.id, react(1, emoji)).await.unwrap();
    }
    let again = store.send(entry(room, bob.id, react(1, "🎉"))).await.unwrap();
    assert_eq!((again.message.seq, again.duplicate, again.events.len()), (4, true, 0), "it is there already");
    let reaction = |emoji: &str, count, mine| Reaction { emoji: emoji.to_owned(), count, mine };
    let seen = |page: Entries| page.reactions;
    let expected = vec![(1, vec![reaction("👍", 2, true), reaction("🎉", 1, false)])];
    assert_eq!(seen(texts(&*store, room, ann.id).await), expected);
    put(&*store, room, bob.id, unreact(1, "👍")).await.unwrap();
    let expected = vec![(1, vec![reaction("👍", 1, false), reaction("🎉", 1, true)])];
    assert_eq!(seen(texts(&*store, room, bob.id).await), expected);
    let none = put(&*store, room, bob.id, unreact(1, "👍")).await;
    assert!(matches!(none, Err(StoreError::MessageNotFound("emoji"))), "{none:?}");
    let on_a_change = put(&*store, room, ann.id, react(2, "👍")).await;
    assert!(matches!(on_a_change, Err(StoreError::MessageNotFound("target"))), "{on_a_change:?}");
    for n in 0..19 {
        put(&*store, room, bob.id, react(1, &format!(":{n}:"))).await.unwrap();
    }
    assert!(matches!(put(&*store, room, bob.id, react(1, ":20:")).await, Err(StoreError::Limit(_))));
    assert_eq!(store.positions(&[room]).await.unwrap(), [place(room, 24)]);
}

pub(crate) async fn repeats_of_changes_get_the_first_answer(store: Arc<dyn Store>) {
    let (ann, bob, room) = pair(&*store).await;
    let first = entry(room, ann.id, Content::text("original"));
    store.send(first.clone()).await.unwrap();
    let changes = [
        entry(room, ann.id, edit(1, "changed")),
        entry(room, ann.id, edit(1, "changed twice")),
        entry(room, bob.id, react(1, "👍")),
        entry(room, bob.id, unreact(1, "👍")),
        entry(room, ann.id, Content::Delete { target: 1 }),
    ];
    for (seq, change) in (2..).zip(&changes) {
        let sent = store.send(change.clone()).await.unwrap();
        assert_eq!((sent.message.seq, sent.duplicate), (seq, false));
    }
    // Whatever has become of the text since: each repeat finds its own entry, and changes nothing.
    for (seq, change) in (1..).zip(std::iter::once(&first).chain(&changes)) {
        let again = store.send(change.clone()).await.unwrap();
        assert_eq!((again.message.seq, again.duplicate, again.events.len()), (seq, true, 0));
        assert_eq!(again.message.body, change.content.body(), "as it was stored first");
    }
    assert_eq!(store.positions(&[room]).await.unwrap(), [place(room, 6)]);
    let mut other = first.clone();
    other.content = Content::text("not the original");
    assert!(matches!(store.send(other).await, Err(StoreError::MessageIdReused)));
    let mut other = changes[0].clone();
    other.content = Content::Delete { target: 1 };
    assert!(matches!(store.send(other).await, Err(StoreError::MessageIdReused)));
    let mut other = changes[1].clone();
    other.content = edit(1, "changed thrice");
    assert!(matches!(store.send(other).await, Err(StoreError::MessageIdReused)));
}

pub(crate) async fn replies_and_mentions_are_kept(store: Arc<dyn Store>) {
    let (ann, bob, room) = pair(&*store).await;
    let eve = sign_up(&*store).await;
    say(&*store, room, ann.id, "question").await.unwrap();
    let reply =
        Content::Text { body: "answer".to_owned(), reply_to: Some(1), mentions: vec![ann.id, eve.id, bob.id, ann.id] };
    let sent = store.send(entry(room, bob.id, reply)).await.unwrap().message;
    let mut members = vec![ann.id, bob.id];
    members.sort();
    assert_eq!((sent.reply_to, &sent.mentions), (Some(1), &members), "members only, each once");
    let read = texts(&*store, room, ann.id).await.messages;
    assert_eq!(read[1], sent);
    put(&*store, room, ann.id, react(1, "👍")).await.unwrap();
    for reply_to in [3, 4] {
        let content = Content::Text { body: "to what?".to_owned(), reply_to: Some(reply_to), mentions: Vec::new() };
        let refused = put(&*store, room, ann.id, content).await;
        assert!(matches!(refused, Err(StoreError::MessageNotFound("reply_to"))), "{refused:?}");
    }
    // An answer to what is deleted later stays one.
    put(&*store, room, ann.id, Content::Delete { target: 1 }).await.unwrap();
    assert_eq!(texts(&*store, room, ann.id).await.messages[1].reply_to, Some(1));
}

/// A client that lost two answers repeats both requests in their order, and must not find their effects mixed up.
pub(crate) async fn what_changed_nothing_is_answered_the_same_for_ever(store: Arc<dyn Store>) {
    let (ann, bob, room) = pair(&*store).await;
    put(&*store, room, ann.id, Content::text("text")).await.unwrap();
    put(&*store, room, bob.id, react(1, "👍")).await.unwrap();
    let idle = entry(room, bob.id, react(1, "👍"));
    let end = entry(room, bob.id, unreact(1, "👍"));
    let nothing = entry(room, bob.id, unreact(1, "👍"));
    let anew = entry(room, bob.id, react(1, "👍"));
    let told = |sent: Sent| (sent.message.seq, sent.message.message_id, sent.duplicate, sent.events.len());
    let first = told(store.send(idle.clone()).await.unwrap());
    assert_eq!(first, (2, idle.message_id, true, 0), "it is there already");
    assert_eq!(store.send(end.clone()).await.unwrap().message.seq, 3);
    assert_eq!(told(store.send(idle.clone()).await.unwrap()), first);
    assert!(texts(&*store, room, ann.id).await.reactions.is_empty(), "a late repeat reacts no more");
    for _ in 0..2 {
        let none = store.send(nothing.clone()).await;
        assert!(matches!(none, Err(StoreError::MessageNotFound("emoji"))), "{none:?}");
    }
    assert_eq!(store.send(anew.clone()).await.unwrap().message.seq, 4);
    let none = store.send(nothing.clone()).await;
    assert!(matches!(none, Err(StoreError::MessageNotFound("emoji"))), "{none:?}");
    assert_eq!(texts(&*store, room, ann.id).await.reactions.len(), 1, "a late repeat ends no reaction");
    assert_eq!(told(store.send(idle.clone()).await.unwrap()), first, "whatever made the reaction since");
    let mut others = [idle.clone(), idle.clone(), nothing.clone(), idle.clone()];
    others[0].content = react(1, "🎉");
    others[1].content = unreact(1, "👍");
    others[2].content = react(1, "👍");
    others[3].sender = ann.id;
    for other in others {
        let reused = store.send(other.clone()).await;
        assert!(matches!(reused, Err(StoreError::MessageIdReused)), "{other:?}: {reused:?}");
    }
    // Also when the text has gone.
    put(&*store, room, ann.id, Content::Delete { target: 1 }).await.unwrap();
    assert_eq!(told(store.send(idle).await.unwrap()), first);
    assert!(matches!(store.send(nothing).await, Err(StoreError::MessageNotFound("emoji"))));
    assert_eq!(store.positions(&[room]).await.unwrap(), [place(room, 5)]);
}
