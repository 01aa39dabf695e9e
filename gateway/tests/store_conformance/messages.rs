//! Order, idempotency, membership.

use std::{collections::HashSet, sync::Arc};

use chat_gateway::{
    model::{Content, RoomId},
    store::{Entries, Page, Replay, Store, StoreError, StoredEvent, View},
};
use uuid::Uuid;

use crate::fixtures::{group, message, place, say, sign_up};

pub(crate) async fn concurrent_senders_leave_no_gap(store: Arc<dyn Store>) {
    const SENDERS: i64 = 32;
    const EACH: i64 = 10;
    let ann = sign_up(&*store).await;
    let room = group(&*store, std::slice::from_ref(&ann)).await;
    let senders = (0..SENDERS).map(|n| {
        let (store, sender) = (store.clone(), ann.id);
        tokio::spawn(async move {
            let mut last = 0;
            for i in 0..EACH {
                let sent = say(&*store, room, sender, &format!("{n}/{i}")).await.unwrap();
                assert!(sent.message.seq > last, "one sender's messages are in its order");
                last = sent.message.seq;
                assert!(!sent.duplicate);
                assert_eq!(sent.events[0].event, StoredEvent::Message { message: sent.message.clone(), removal: 0 });
            }
        })
    });
    for sender in futures::future::join_all(senders).await {
        sender.unwrap();
    }
    let all = store.replay(room, 0, 1000).await.unwrap().messages;
    let seqs: Vec<_> = all.iter().map(|m| m.seq).collect();
    assert_eq!(seqs, (1..=SENDERS * EACH).collect::<Vec<_>>());
    assert_eq!(all.iter().map(|m| m.message_id).collect::<HashSet<_>>().len(), all.len());
    assert!(all.windows(2).all(|pair| pair[0].at <= pair[1].at), "times follow the order");
    let absent = RoomId(Uuid::now_v7());
    assert_eq!(store.positions(&[room, absent]).await.unwrap(), [place(room, SENDERS * EACH)]);
}

pub(crate) async fn a_repeat_gets_the_first_answer(store: Arc<dyn Store>) {
    let (ann, bob) = (sign_up(&*store).await, sign_up(&*store).await);
    let room = group(&*store, &[ann.clone(), bob.clone()]).await;
    let new = message(room, ann.id, "once");
    // All at once, as a client does that reconnects while its first try is still running.
    let tries = futures::future::join_all((0..8).map(|_| store.send(new.clone()))).await;
    let tries: Vec<_> = tries.into_iter().map(Result::unwrap).collect();
    assert!(tries.iter().all(|sent| sent.message == tries[0].message));
    assert_eq!(tries.iter().filter(|sent| !sent.duplicate).count(), 1);
    assert_eq!(tries.iter().map(|sent| sent.events.len()).sum::<usize>(), 1);
    let mut other = new.clone();
    other.content = Content::text("something else");
    assert!(matches!(store.send(other).await, Err(StoreError::MessageIdReused)));
    let mut stolen = new.clone();
    stolen.sender = bob.id;
    assert!(matches!(store.send(stolen).await, Err(StoreError::MessageIdReused)));
    assert_eq!(say(&*store, room, ann.id, "next").await.unwrap().message.seq, 2, "repeats take no number");
    // The id counts per room.
    let elsewhere = group(&*store, &[ann]).await;
    assert!(!store.send(chat_gateway::store::NewMessage { room: elsewhere, ..new }).await.unwrap().duplicate);
}

pub(crate) async fn only_members_send_and_read(store: Arc<dyn Store>) {
    let (ann, eve) = (sign_up(&*store).await, sign_up(&*store).await);
    let room = group(&*store, std::slice::from_ref(&ann)).await;
    assert!(matches!(say(&*store, room, eve.id, "let me in").await, Err(StoreError::RoomNotFound)));
    assert!(matches!(store.history(room, eve.id, Page::Newest, View::Texts, 10).await, Err(StoreError::RoomNotFound)));
    let absent = RoomId(Uuid::now_v7());
    assert!(matches!(say(&*store, absent, ann.id, "hello?").await, Err(StoreError::RoomNotFound)));
    assert!(matches!(
        store.history(absent, ann.id, Page::Newest, View::Texts, 10).await,
        Err(StoreError::RoomNotFound)
    ));
    assert_eq!(store.replay(absent, 0, 10).await.unwrap(), Replay::default());
    assert_eq!(store.history(room, ann.id, Page::Newest, View::Texts, 10).await.unwrap(), Entries::default());
    let sent = say(&*store, room, ann.id, "quotes ' \" \\ and 🙂\u{0301}").await.unwrap();
    assert_eq!((sent.message.seq, sent.message.sender_name.as_str()), (1, ann.display_name.as_str()));
    let page = store.history(room, ann.id, Page::Newest, View::Texts, 10).await.unwrap();
    assert_eq!(page, Entries { messages: vec![sent.message], last_seq: 1, ..Entries::default() });
}
