//! Requests that change a room: a repeat gets the first answer and does nothing, whatever has become of the room since.

use std::sync::Arc;

use chat_gateway::{
    model::{RequestId, Role, Room, RoomId, RoomKind, User, UserId},
    store::{NewRoom, Store, StoreError},
};
use futures::future::join_all;
use jiff::Timestamp;
use uuid::Uuid;

use crate::fixtures::{group, people, say};

pub(crate) fn request() -> Option<RequestId> {
    Some(RequestId(Uuid::now_v7()))
}

fn reused<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::RequestIdReused))
}

fn no_room<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::RoomNotFound))
}

async fn role(store: &dyn Store, room: RoomId, user: &User) -> Option<Role> {
    store.membership(room, user.id).await.unwrap()
}

/// The answer to a repeat, which says nothing about members: they may have changed since.
fn repeated((room, created): (Room, bool)) -> (Room, bool) {
    (Room { member_version: 0, ..room }, created)
}

pub(crate) async fn a_room_is_answered_as_it_was_made(store: Arc<dyn Store>) {
    let [ann, bob] = &people::<2>(&*store).await;
    let id = RoomId(Uuid::now_v7());
    let members = vec![bob.clone()];
    let new = NewRoom { id, kind: RoomKind::Group, title: "first".to_owned(), creator: ann.id, members };
    let once = request();
    assert_eq!(store.made_before(&new, once.unwrap()).await.unwrap(), None);
    let made = store.create_room(new.clone(), once).await.unwrap();
    assert!(made.value.1 && made.events.len() == 2);
    let answer = repeated(made.value);
    say(&*store, id, bob.id, "hello").await.unwrap();
    store.mark(id, ann.id, None, Some(1)).await.unwrap();
    for _ in 0..2 {
        let again = store.create_room(new.clone(), once).await.unwrap();
        assert_eq!((&again.value, again.events.len()), (&answer, 0), "as it was before anything was said");
        assert_eq!(store.made_before(&new, once.unwrap()).await.unwrap().as_ref(), Some(&answer));
        // The second time she is not in it any more.
        let _ = store.remove_member(id, ann.id, ann.id, None).await;
    }
    assert!(no_room(&store.create_room(new.clone(), None).await));
    assert!(no_room(&store.create_room(new.clone(), request()).await), "she did not use this id");
    let other = NewRoom { title: "second".to_owned(), ..new.clone() };
    assert!(reused(&store.create_room(other.clone(), once).await));
    assert!(reused(&store.made_before(&other, once.unwrap()).await));
    // Somebody else's request is another one, by whatever id.
    let theirs = NewRoom { creator: bob.id, members: vec![ann.clone()], ..new };
    let found = store.create_room(theirs.clone(), once).await.unwrap();
    assert_eq!((found.value.1, found.value.0.last_seq, found.events.len()), (false, 1, 0));
    say(&*store, id, bob.id, "and on").await.unwrap();
    assert_eq!(store.create_room(theirs.clone(), once).await.unwrap().value, repeated(found.value));
    let stranger = NewRoom { creator: people::<1>(&*store).await[0].id, ..theirs };
    assert!(no_room(&store.create_room(stranger.clone(), once).await));
    assert_eq!(store.made_before(&stranger, once.unwrap()).await.unwrap(), None);
}

pub(crate) async fn who_was_removed_since_is_not_added_again(store: Arc<dyn Store>) {
    let [ann, bob, eve, tom] = &people::<4>(&*store).await;
    let room = group(&*store, &[ann.clone(), bob.clone()]).await;
    let (once, idle) = (request(), request());
    assert_eq!(store.add_member(room, ann.id, eve.clone(), once).await.unwrap().events.len(), 1);
    assert!(store.add_member(room, ann.id, bob.clone(), idle).await.unwrap().events.is_empty(), "he is there already");
    for gone in [bob, eve] {
        store.remove_member(room, ann.id, gone.id, None).await.unwrap();
    }
    for (member, request) in [(eve, once), (bob, idle)] {
        assert!(store.add_member(room, ann.id, member.clone(), request).await.unwrap().events.is_empty());
        assert_eq!(role(&*store, room, member).await, None);
    }
    assert!(reused(&store.add_member(room, ann.id, tom.clone(), once).await));
    assert!(reused(&store.remove_member(room, ann.id, eve.id, once).await), "another kind of change");
    assert!(no_room(&store.add_member(room, eve.id, tom.clone(), once).await), "the id is of somebody else");
    let other = group(&*store, std::slice::from_ref(ann)).await;
    assert_eq!(store.add_member(other, ann.id, tom.clone(), once).await.unwrap().events.len(), 1, "in another room");
    assert_eq!(store.add_member(room, ann.id, eve.clone(), request()).await.unwrap().events.len(), 1);
}

pub(crate) async fn who_came_back_is_not_removed_again(store: Arc<dyn Store>) {
    let [ann, bob, eve] = &people::<3>(&*store).await;
    let room = group(&*store, &[ann.clone(), bob.clone()]).await;
    let (left, none) = (request(), request());
    assert_eq!(store.remove_member(room, bob.id, bob.id, left).await.unwrap().events.len(), 1);
    assert!(store.remove_member(room, bob.id, bob.id, left).await.unwrap().events.is_empty(), "no member any more");
    assert!(no_room(&store.remove_member(room, bob.id, bob.id, request()).await));
    assert!(store.remove_member(room, ann.id, eve.id, none).await.unwrap().events.is_empty(), "she was not there");
    for back in [bob, eve] {
        store.add_member(room, ann.id, back.clone(), None).await.unwrap();
    }
    assert!(store.remove_member(room, bob.id, bob.id, left).await.unwrap().events.is_empty());
    assert!(store.remove_member(room, ann.id, eve.id, none).await.unwrap().events.is_empty());
    for back in [bob, eve] {
        assert_eq!(role(&*store, room, back).await, Some(Role::Member));
    }
    assert!(reused(&store.remove_member(room, bob.id, ann.id, left).await));
}

pub(crate) async fn a_room_is_handed_over_once(store: Arc<dyn Store>) {
    let [ann, bob, eve] = &people::<3>(&*store).await;
    let room = group(&*store, &[ann.clone(), bob.clone(), eve.clone()]).await;
    let (handed, idle) = (request(), request());
    assert!(store.set_role(room, ann.id, eve.id, Role::Member, idle).await.unwrap().events.is_empty());
    assert_eq!(store.set_role(room, ann.id, bob.id, Role::Owner, handed).await.unwrap().events.len(), 1);
    assert!(store.set_role(room, ann.id, bob.id, Role::Owner, handed).await.unwrap().events.is_empty());
    let fresh = store.set_role(room, ann.id, eve.id, Role::Admin, request()).await;
    assert!(matches!(fresh, Err(StoreError::Forbidden(_))), "she is an admin by now");
    // Back again, and on to others: neither repeat changes anything.
    store.set_role(room, bob.id, ann.id, Role::Owner, None).await.unwrap();
    store.set_role(room, ann.id, eve.id, Role::Admin, None).await.unwrap();
    for (member, role, request) in [(bob, Role::Owner, handed), (eve, Role::Member, idle)] {
        assert!(store.set_role(room, ann.id, member.id, role, request).await.unwrap().events.is_empty());
    }
    let found = [role(&*store, room, ann).await, role(&*store, room, bob).await, role(&*store, room, eve).await];
    assert_eq!(found, [Some(Role::Owner), Some(Role::Admin), Some(Role::Admin)]);
    assert!(reused(&store.set_role(room, ann.id, bob.id, Role::Member, handed).await));
}

pub(crate) async fn a_mute_that_was_lifted_stays_lifted(store: Arc<dyn Store>) {
    let [ann, bob] = &people::<2>(&*store).await;
    let room = group(&*store, &[ann.clone(), bob.clone()]).await;
    let until = Some(Timestamp::from_second(4_000_000_000).unwrap());
    let muted = async || store.summaries(bob.id, &[room]).await.unwrap().0[0].muted_until;
    let (mute, unmute) = (request(), request());
    assert!(store.mute(room, bob.id, until, mute).await.unwrap());
    assert!(store.mute(room, bob.id, until, mute).await.unwrap(), "it stands as it was asked for");
    assert!(store.mute(room, bob.id, None, unmute).await.unwrap());
    assert!(!store.mute(room, bob.id, until, mute).await.unwrap());
    assert_eq!(muted().await, None);
    assert!(store.mute(room, bob.id, until, request()).await.unwrap());
    assert!(!store.mute(room, bob.id, None, unmute).await.unwrap());
    assert_eq!(muted().await, until);
    assert!(reused(&store.mute(room, bob.id, None, mute).await));
    store.remove_member(room, bob.id, bob.id, None).await.unwrap();
    assert!(!store.mute(room, bob.id, until, mute).await.unwrap());
    assert!(no_room(&store.mute(room, bob.id, until, request()).await));
}

/// A refusal is no use of the id: what was refused may be asked again when it is allowed.
pub(crate) async fn what_was_refused_is_not_kept(store: Arc<dyn Store>) {
    let [ann, bob, eve] = &people::<3>(&*store).await;
    let room = group(&*store, &[ann.clone(), bob.clone(), eve.clone()]).await;
    let [give, remove] = [request(), request()];
    assert!(store.set_role(room, bob.id, eve.id, Role::Admin, give).await.is_err());
    assert!(store.remove_member(room, bob.id, eve.id, remove).await.is_err());
    store.set_role(room, ann.id, bob.id, Role::Owner, None).await.unwrap();
    assert_eq!(store.set_role(room, bob.id, eve.id, Role::Admin, give).await.unwrap().events.len(), 1);
    assert_eq!(store.remove_member(room, bob.id, eve.id, remove).await.unwrap().events.len(), 1);
}

pub(crate) async fn of_many_at_once_one_does_it(store: Arc<dyn Store>) {
    let [ann, bob] = &people::<2>(&*store).await;
    let room = group(&*store, std::slice::from_ref(ann)).await;
    let (add, make) = (request(), request());
    let added = join_all((0..16).map(|_| store.add_member(room, ann.id, bob.clone(), add))).await;
    assert_eq!(added.into_iter().map(|outcome| outcome.unwrap().events.len()).sum::<usize>(), 1);
    let new = NewRoom {
        id: RoomId(Uuid::now_v7()),
        kind: RoomKind::Group,
        title: String::new(),
        creator: ann.id,
        members: vec![bob.clone()],
    };
    let made = join_all((0..16).map(|_| store.create_room(new.clone(), make))).await;
    let made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
    let answers = || made.iter().map(|outcome| repeated(outcome.value.clone()));
    assert!(answers().all(|answer| Some(&answer) == answers().next().as_ref() && answer.1), "all get the first answer");
    assert_eq!(made.iter().map(|outcome| outcome.events.len()).sum::<usize>(), 2, "one of them has something to tell");
}

/// Nobody who is made up here is found.
pub(crate) async fn an_absent_room_has_no_answers(store: Arc<dyn Store>) {
    let [ann] = &people::<1>(&*store).await;
    let (room, user) = (RoomId(Uuid::now_v7()), UserId(Uuid::now_v7()));
    assert!(no_room(&store.add_member(room, user, ann.clone(), request()).await));
    assert!(no_room(&store.remove_member(room, user, ann.id, request()).await));
    assert!(no_room(&store.set_role(room, user, ann.id, Role::Admin, request()).await));
    assert!(no_room(&store.mute(room, user, None, request()).await));
}
