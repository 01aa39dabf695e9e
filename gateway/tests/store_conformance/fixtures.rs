//! People and rooms to test with.

use chat_gateway::{
    model::{Content, MessageId, RoomId, RoomKind, Seq, User, UserId},
    store::{NewMessage, NewRoom, NewUser, Place, Sent, Store, StoreError},
};
use uuid::Uuid;

pub(crate) fn person(id: UserId) -> User {
    let name = format!("u{}", id.0.simple());
    User { id, display_name: format!("The {name}"), name }
}

/// A new account with an id of its own.
pub(crate) async fn sign_up(store: &dyn Store) -> User {
    sign_up_as(store, UserId(Uuid::now_v7())).await
}

pub(crate) async fn sign_up_as(store: &dyn Store, id: UserId) -> User {
    let new = NewUser { user: person(id), password_hash: format!("hash of {id}") };
    store.create_user(new).await.expect("sign up")
}

/// So many new accounts.
pub(crate) async fn people<const N: usize>(store: &dyn Store) -> [User; N] {
    let mut people = Vec::new();
    for _ in 0..N {
        people.push(sign_up(store).await);
    }
    people.try_into().expect("as many as asked for")
}

/// A new group of these people, whose first is the creator.
pub(crate) async fn group(store: &dyn Store, people: &[User]) -> RoomId {
    group_as(store, RoomId(Uuid::now_v7()), people).await
}

pub(crate) async fn group_as(store: &dyn Store, id: RoomId, people: &[User]) -> RoomId {
    let new = NewRoom {
        id,
        kind: RoomKind::Group,
        title: "Group".to_owned(),
        creator: people[0].id,
        members: people[1..].to_vec(),
    };
    let made = store.create_room(new, None).await.expect("create a room");
    assert!(made.value.1, "the room is new");
    for event in &made.events {
        store.apply_membership(&event.event).await.expect("apply");
    }
    let keys: Vec<_> = made.events.iter().map(|e| e.key).collect();
    store.finish_outbox(&keys).await.expect("finish");
    id
}

/// Where a room stands from which nobody was removed.
pub(crate) fn place(room: RoomId, last_seq: Seq) -> Place {
    Place { room, last_seq, removal: 0 }
}

pub(crate) fn message(room: RoomId, sender: UserId, body: &str) -> NewMessage {
    entry(room, sender, Content::text(body))
}

pub(crate) fn entry(room: RoomId, sender: UserId, content: Content) -> NewMessage {
    NewMessage { room, message_id: MessageId(Uuid::now_v7()), sender, content }
}

pub(crate) async fn say(store: &dyn Store, room: RoomId, sender: UserId, body: &str) -> Result<Sent, StoreError> {
    store.send(message(room, sender, body)).await
}
