//! Accounts, rooms, members, room lists, marks.

use std::sync::Arc;

use chat_gateway::{
    model::{Role, RoomId, RoomKind, UserId},
    store::{NewRoom, NewUser, Store, StoreError, StoredEvent},
};
use uuid::Uuid;

use crate::fixtures::{group, say, sign_up};

pub(crate) async fn accounts_are_found_and_names_taken_once(store: Arc<dyn Store>) {
    let (ann, bob) = (sign_up(&*store).await, sign_up(&*store).await);
    let stranger = UserId(Uuid::now_v7());
    let mut found = store.users(&[bob.id, stranger, ann.id]).await.unwrap();
    found.sort_by_key(|u| u.id);
    assert_eq!(found, [ann.clone(), bob]);
    let (user, hash) = store.credentials(ann.id).await.unwrap().unwrap();
    assert_eq!((&user, hash.as_str()), (&ann, format!("hash of {}", ann.id).as_str()));
    assert!(store.credentials(stranger).await.unwrap().is_none());
    // The same request again succeeds, another one does not.
    let again = NewUser { user: ann.clone(), password_hash: hash };
    assert_eq!(store.create_user(again).await.unwrap(), ann);
    let other = NewUser { user: ann, password_hash: "other".to_owned() };
    assert!(matches!(store.create_user(other).await, Err(StoreError::NameTaken)));
}

pub(crate) async fn a_room_is_made_once_and_seen_by_its_members_only(store: Arc<dyn Store>) {
    let (ann, bob, eve) = (sign_up(&*store).await, sign_up(&*store).await, sign_up(&*store).await);
    let new = |creator: UserId, members| NewRoom {
        id: RoomId(Uuid::now_v7()),
        kind: RoomKind::Direct,
        title: String::new(),
        creator,
        members,
    };
    let direct = new(ann.id, vec![bob.clone()]);
    let made = store.create_room(direct.clone(), None).await.unwrap();
    assert!(made.value.1);
    let joined: Vec<_> = made.events.iter().map(|e| e.event.clone()).collect();
    let expect = |user: &chat_gateway::model::User, version| StoredEvent::Joined {
        room: direct.id,
        user: user.id,
        name: user.name.clone(),
        version,
    };
    assert_eq!(joined, [expect(&ann, 1), expect(&bob, 2)]);
    let again = store.create_room(direct.clone(), None).await.unwrap();
    assert_eq!((again.value.0, again.value.1, again.events.len()), (made.value.0.clone(), false, 0));
    let theirs = NewRoom { creator: eve.id, ..direct.clone() };
    assert!(matches!(store.create_room(theirs, None).await, Err(StoreError::RoomNotFound)));
    assert!(matches!(store.create_room(new(ann.id, vec![]), None).await, Err(StoreError::Forbidden(_))));
    let nobody = new(UserId(Uuid::now_v7()), vec![bob.clone()]);
    assert!(matches!(store.create_room(nobody, None).await, Err(StoreError::UserNotFound(_))));
    assert_eq!(store.room(direct.id, bob.id).await.unwrap(), made.value.0);
    assert!(matches!(store.room(direct.id, eve.id).await, Err(StoreError::RoomNotFound)));
    assert!(matches!(store.members(direct.id, eve.id, 0, 10).await, Err(StoreError::RoomNotFound)));
    assert_eq!(store.membership(direct.id, ann.id).await.unwrap(), Some(Role::Owner));
    assert_eq!(store.membership(direct.id, bob.id).await.unwrap(), Some(Role::Member));
    assert_eq!(store.membership(direct.id, eve.id).await.unwrap(), None);
    assert!(matches!(store.add_member(direct.id, ann.id, eve, None).await, Err(StoreError::Forbidden(_))));
    assert!(matches!(store.remove_member(direct.id, ann.id, ann.id, None).await, Err(StoreError::Forbidden(_))));
}

pub(crate) async fn members_come_and_go_by_the_rules(store: Arc<dyn Store>) {
    let people = [sign_up(&*store).await, sign_up(&*store).await, sign_up(&*store).await, sign_up(&*store).await];
    let [ann, bob, eve, tom] = &people;
    let room = group(&*store, &[ann.clone(), bob.clone()]).await;
    say(&*store, room, ann.id, "before eve").await.unwrap();
    assert!(matches!(store.add_member(room, eve.id, eve.clone(), None).await, Err(StoreError::RoomNotFound)));
    let added = store.add_member(room, bob.id, eve.clone(), None).await.unwrap();
    let event = StoredEvent::Joined { room, user: eve.id, name: eve.name.clone(), version: 3 };
    assert_eq!(added.events[0].event, event);
    assert!(store.add_member(room, ann.id, eve.clone(), None).await.unwrap().events.is_empty());
    let view = store.room(room, eve.id).await.unwrap();
    assert_eq!((view.last_seq, view.read_seq, view.delivered_seq), (1, 1, 1), "what was said before is not unread");
    assert!(matches!(store.remove_member(room, bob.id, eve.id, None).await, Err(StoreError::Forbidden(_))));
    assert!(store.remove_member(room, bob.id, bob.id, None).await.unwrap().events.len() == 1);
    assert!(store.remove_member(room, ann.id, tom.id, None).await.unwrap().events.is_empty());
    let (members, _) = store.members(room, ann.id, 0, 10).await.unwrap();
    let seen: Vec<_> = members.iter().map(|m| (m.user, m.name.as_str(), m.role)).collect();
    assert_eq!(seen, [(ann.id, ann.name.as_str(), Role::Owner), (eve.id, eve.name.as_str(), Role::Member)]);
    let left = store.remove_member(room, ann.id, ann.id, None).await.unwrap();
    assert_eq!(left.events[0].event, StoredEvent::Left { room, user: ann.id, version: 5 });
    assert_eq!(
        store.membership(room, eve.id).await.unwrap(),
        Some(Role::Owner),
        "the longest-standing member inherits"
    );
    assert!(matches!(say(&*store, room, ann.id, "still here?").await, Err(StoreError::RoomNotFound)));
}

pub(crate) async fn room_lists_follow_the_newest_version(store: Arc<dyn Store>) {
    let (ann, bob) = (sign_up(&*store).await, sign_up(&*store).await);
    let mut rooms = Vec::new();
    for _ in 0..8 {
        rooms.push(group(&*store, &[ann.clone(), bob.clone()]).await);
    }
    let ids = |(list, complete): (Vec<chat_gateway::model::Room>, bool)| {
        assert!(complete);
        let mut ids: Vec<_> = list.into_iter().map(|r| r.id).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(store.user_rooms(bob.id).await.unwrap()), rooms);
    let removed = store.remove_member(rooms[0], ann.id, bob.id, None).await.unwrap().events[0].event.clone();
    let added = store.add_member(rooms[0], ann.id, bob.clone(), None).await.unwrap().events[0].event.clone();
    // The events arrive in the wrong order and more than once.
    for event in [&added, &removed, &added, &removed] {
        store.apply_membership(event).await.unwrap();
    }
    assert_eq!(ids(store.user_rooms(bob.id).await.unwrap()), rooms);
    let removed = store.remove_member(rooms[0], ann.id, bob.id, None).await.unwrap().events[0].event.clone();
    assert_eq!(
        ids(store.user_rooms(bob.id).await.unwrap()),
        rooms[1..],
        "left rooms are not shown, even before the event"
    );
    for event in [&removed, &added] {
        store.apply_membership(event).await.unwrap();
    }
    assert_eq!(ids(store.user_rooms(bob.id).await.unwrap()), rooms[1..]);
    assert!(store.user_rooms(UserId(Uuid::now_v7())).await.unwrap().0.is_empty());
}

pub(crate) async fn marks_only_rise(store: Arc<dyn Store>) {
    let (ann, bob) = (sign_up(&*store).await, sign_up(&*store).await);
    let room = group(&*store, &[ann.clone(), bob.clone()]).await;
    for n in 0..5 {
        say(&*store, room, ann.id, &n.to_string()).await.unwrap();
    }
    let mark = async |delivered, read| {
        let marks = store.mark(room, bob.id, delivered, read).await.unwrap();
        (marks.delivered_seq, marks.read_seq, marks.changed)
    };
    assert_eq!(mark(Some(2), None).await, (2, 0, true));
    assert_eq!(mark(Some(1), None).await, (2, 0, false));
    assert_eq!(mark(None, Some(3)).await, (3, 3, true), "what was read was delivered");
    assert_eq!(mark(Some(99), Some(-4)).await, (5, 3, true), "cut to the newest message");
    assert_eq!(mark(None, None).await, (5, 3, false));
    assert!(matches!(store.mark(room, UserId(Uuid::now_v7()), Some(1), None).await, Err(StoreError::RoomNotFound)));
    let view = store.room(room, bob.id).await.unwrap();
    assert_eq!((view.delivered_seq, view.read_seq), (5, 3));
}
