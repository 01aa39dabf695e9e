//! What only the embedded store promises; the contract that all stores share is checked in `tests/store_conformance`.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::{
    model::{Content, MessageId, RoomKind},
    store::{NewUser, SessionStore as _},
};

async fn room(store: &SqliteStore) -> (RoomId, UserId) {
    let user = User { id: UserId(Uuid::now_v7()), name: "ann".into(), display_name: "Ann".into() };
    store.create_user(NewUser { user: user.clone(), password_hash: "x".into() }).await.unwrap();
    let id = RoomId(Uuid::now_v7());
    let new = NewRoom { id, kind: RoomKind::Group, title: "g".into(), creator: user.id, members: Vec::new() };
    store.create_room(new, None).await.unwrap();
    (id, user.id)
}

fn message(room: RoomId, sender: UserId) -> NewMessage {
    NewMessage { room, message_id: MessageId(Uuid::now_v7()), sender, content: Content::text("x") }
}

#[tokio::test]
async fn a_file_is_opened_again_with_all_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("chat.sqlite3");
    let store = SqliteStore::open(&file).unwrap();
    let (room, ann) = room(&store).await;
    let sent = store.send(message(room, ann)).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(store.replay(room, 0, 10).await.unwrap().messages, [sent.message]);
    assert_eq!(store.claim_outbox(Duration::ZERO, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_file_of_an_older_program_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("chat.sqlite3");
    let old = Connection::open(&file).unwrap();
    old.execute_batch(include_str!("schema.sql")).unwrap();
    let ann = UserId(Uuid::now_v7());
    old.execute("insert into users values (?1, 'ann', 'Ann', 'x')", [ann.0]).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(
        store.ensure_user(User { id: ann, name: "other".into(), display_name: String::new() }).await.unwrap().name,
        "ann"
    );
    assert!(store.sessions(ann).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_second_process_is_told_that_the_file_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("chat.sqlite3");
    let store = SqliteStore::open(&file).unwrap();
    let error = SqliteStore::open(&file).err().unwrap().to_string();
    assert!(error.contains("in use") && error.contains("--data"), "{error}");
    drop(store);
    SqliteStore::open(&file).unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("chat.sqlite3");
    drop(SqliteStore::open(&file).unwrap());
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = SqliteStore::open(&file).err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn a_file_of_the_first_schema_is_brought_up_to_date_with_what_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("chat.sqlite3");
    let (ann, room, message) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let old = Connection::open(&file).unwrap();
    old.execute_batch(include_str!("schema.sql")).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.execute("insert into rooms values (?1, 'group', 'old', 0, 1, 1, 1)", [room]).unwrap();
    old.execute("insert into members values (?1, ?2, 'ann', 'Ann', 'owner', 1, 1, 1)", [room, ann]).unwrap();
    old.execute("insert into messages values (?1, 1, ?2, ?3, 'Ann', 'from before', 0)", [room, message, ann]).unwrap();
    drop(old);
    let store = SqliteStore::open(&file).unwrap();
    let (room, ann) = (RoomId(room), UserId(ann));
    assert_eq!(store.replay(room, 0, 10).await.unwrap().messages[0].body, "from before");
    assert_eq!(store.membership(room, ann).await.unwrap(), Some(Role::Owner));
    let content = Content::Edit { target: 1, body: "changed".into() };
    let new = NewMessage { content, ..super::tests::message(room, ann) };
    assert_eq!(store.send(new).await.unwrap().message.seq, 2);
}

#[tokio::test]
async fn no_database_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("chat.sqlite3");
    std::fs::write(&file, "this is a text that somebody put here by mistake, long enough for a header").unwrap();
    let error = SqliteStore::open(&file).err().unwrap().to_string();
    assert!(error.contains("chat.sqlite3") && error.contains("not a database"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_nothing_else_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&dir.path().join("chat.sqlite3")).unwrap());
    let (room, ann) = room(&store).await;
    store.send(message(room, ann)).await.unwrap();
    let limit = |pages: u32| {
        let store = Arc::clone(&store);
        async move {
            let set = move |c: &Connection| {
                Ok(c.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, u32>(0))?)
            };
            store.write(set).await
        }
    };
    // SQLite never goes below what is there: from here on no page can be added.
    limit(1).await.unwrap();
    let mut acknowledged = 1;
    let error = loop {
        let sends = (0..20).map(|_| {
            let body = "x".repeat(8_000);
            let store = Arc::clone(&store);
            async move { store.send(NewMessage { content: Content::text(body), ..message(room, ann) }).await }
        });
        let results = futures::future::join_all(sends).await;
        acknowledged += results.iter().filter(|result| result.is_ok()).count();
        if let Some(error) = results.into_iter().find_map(Result::err) {
            break error;
        }
        assert!(acknowledged < 1_000, "the limit does not bite");
    };
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert_eq!(
        store.replay(room, 0, 1_000).await.unwrap().messages.len(),
        acknowledged,
        "exactly the acknowledged ones"
    );
    limit(1_000_000).await.unwrap();
    let next = store.send(message(room, ann)).await.unwrap();
    assert_eq!(next.message.seq, i64::try_from(acknowledged).unwrap() + 1, "no gap");
    assert!(store.health().await[0].component.available);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refusal_does_not_undo_the_writes_that_share_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("chat.sqlite3")).unwrap();
    let (room, ann) = room(&store).await;
    let stranger = UserId(Uuid::now_v7());
    let sends = (0..100).map(|n| store.send(message(room, if n % 3 == 0 { stranger } else { ann })));
    let results = futures::future::join_all(sends).await;
    assert_eq!(results.iter().filter(|r| matches!(r, Err(StoreError::RoomNotFound))).count(), 34);
    let mut seqs: Vec<_> = results.into_iter().flatten().map(|sent| sent.message.seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=66).collect::<Vec<_>>());
}
