//! Who may do what in a group.

use std::sync::Arc;

use chat_gateway::{
    model::{Content, Role, RoomId, UserId},
    store::{Store, StoreError, StoredEvent},
};

use crate::fixtures::{entry, group, people, say};

async fn roles(store: &dyn Store, room: RoomId, user: UserId) -> Vec<(UserId, Role)> {
    let (members, _) = store.members(room, user, 0, 100).await.unwrap();
    members.into_iter().map(|member| (member.user, member.role)).collect()
}

pub(crate) async fn the_owner_gives_roles_and_hands_the_room_over(store: Arc<dyn Store>) {
    let everyone @ [ann, bob, tom, eve] = &people::<4>(&*store).await;
    let room = group(&*store, &everyone[..3]).await;
    let forbidden = |outcome: Result<_, StoreError>| matches!(outcome, Err(StoreError::Forbidden(_)));
    assert!(forbidden(store.set_role(room, bob.id, tom.id, Role::Admin, None).await));
    assert!(matches!(store.set_role(room, eve.id, tom.id, Role::Admin, None).await, Err(StoreError::RoomNotFound)));
    assert!(matches!(store.set_role(room, ann.id, eve.id, Role::Admin, None).await, Err(StoreError::UserNotFound(_))));
    assert!(forbidden(store.set_role(room, ann.id, ann.id, Role::Member, None).await), "a room has an owner");
    let given = store.set_role(room, ann.id, bob.id, Role::Admin, None).await.unwrap();
    let event = StoredEvent::Role { room, user: bob.id, role: Role::Admin, former_owner: None, version: 4 };
    assert_eq!(given.events[0].event, event);
    assert!(store.set_role(room, ann.id, bob.id, Role::Admin, None).await.unwrap().events.is_empty());
    assert!(forbidden(store.set_role(room, bob.id, tom.id, Role::Admin, None).await), "admins give no roles");
    let handed = store.set_role(room, ann.id, tom.id, Role::Owner, None).await.unwrap();
    let event = StoredEvent::Role { room, user: tom.id, role: Role::Owner, former_owner: Some(ann.id), version: 5 };
    assert_eq!(handed.events[0].event, event);
    let expected = [(ann.id, Role::Admin), (bob.id, Role::Admin), (tom.id, Role::Owner)];
    assert_eq!(roles(&*store, room, bob.id).await, expected);
    // The event comes out of the outbox as it went in.
    let claimed = store.claim_outbox(std::time::Duration::ZERO, 10_000).await.unwrap();
    assert!(handed.events.iter().all(|event| claimed.contains(event)), "{claimed:?}");
    store.finish_outbox(&claimed.iter().map(|event| event.key).collect::<Vec<_>>()).await.unwrap();
}

pub(crate) async fn admins_remove_members_and_inherit(store: Arc<dyn Store>) {
    let everyone @ [ann, bob, tom, eve] = &people::<4>(&*store).await;
    let room = group(&*store, everyone).await;
    for admin in [tom, eve] {
        store.set_role(room, ann.id, admin.id, Role::Admin, None).await.unwrap();
    }
    say(&*store, room, bob.id, "spam").await.unwrap();
    store.send(entry(room, tom.id, Content::Delete { target: 1 })).await.unwrap();
    let forbidden = |outcome: Result<_, StoreError>| matches!(outcome, Err(StoreError::Forbidden(_)));
    assert!(forbidden(store.remove_member(room, tom.id, ann.id, None).await), "not the owner");
    assert!(forbidden(store.remove_member(room, tom.id, eve.id, None).await), "not another admin");
    assert!(forbidden(store.remove_member(room, bob.id, tom.id, None).await));
    assert_eq!(store.remove_member(room, tom.id, bob.id, None).await.unwrap().events.len(), 1);
    store.add_member(room, eve.id, bob.clone(), None).await.unwrap();
    store.remove_member(room, ann.id, ann.id, None).await.unwrap();
    let expected = [(tom.id, Role::Owner), (eve.id, Role::Admin), (bob.id, Role::Member)];
    assert_eq!(roles(&*store, room, bob.id).await, expected, "an admin inherits before an older member");
    // Everyone hears who inherited, if need be by the outbox.
    let claimed = store.claim_outbox(std::time::Duration::ZERO, 10_000).await.unwrap();
    let heir = claimed.iter().any(|row| {
        matches!(row.event, StoredEvent::Role { room: at, user, role: Role::Owner, .. } if at == room && user == tom.id)
    });
    assert!(heir, "{claimed:?}");
    store.finish_outbox(&claimed.iter().map(|event| event.key).collect::<Vec<_>>()).await.unwrap();
}
