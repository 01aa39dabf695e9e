//! Lists of members and of rooms.

use std::sync::Arc;

use chat_gateway::{
    model::{Content, Role, RoomId, RoomSummary, UserId},
    store::{Store, StoreError},
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::fixtures::{entry, group, say, sign_up};

pub(crate) async fn members_come_page_by_page(store: Arc<dyn Store>) {
    let mut people = Vec::new();
    for _ in 0..7 {
        people.push(sign_up(&*store).await);
    }
    let room = group(&*store, &people[..5]).await;
    for late in &people[5..] {
        store.add_member(room, people[0].id, late.clone(), None).await.unwrap();
    }
    store.remove_member(room, people[0].id, people[1].id, None).await.unwrap();
    let expected: Vec<UserId> = people.iter().map(|user| user.id).filter(|id| *id != people[1].id).collect();
    for limit in 1..8 {
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let (page, next) = store.members(room, people[2].id, after, limit).await.unwrap();
            assert!(page.len() <= limit as usize);
            seen.extend(page.into_iter().map(|member| member.user));
            let Some(next) = next else { break };
            assert!(next > after);
            after = next;
        }
        assert_eq!(seen, expected, "by {limit}");
    }
    let outside = store.members(room, people[1].id, 0, 10).await;
    assert!(matches!(outside, Err(StoreError::RoomNotFound)));
    assert_eq!(store.members(room, people[0].id, 1_000, 10).await.unwrap(), (Vec::new(), None));
}

async fn summary(store: &dyn Store, user: UserId, room: RoomId) -> RoomSummary {
    let (mut found, complete) = store.summaries(user, &[room]).await.unwrap();
    assert!(complete);
    found.pop().expect("the room is there")
}

pub(crate) async fn what_is_unread_is_counted_in_the_log(store: Arc<dyn Store>) {
    let (ann, bob) = (sign_up(&*store).await, sign_up(&*store).await);
    let room = group(&*store, &[ann.clone(), bob.clone()]).await;
    let empty = summary(&*store, bob.id, room).await;
    assert_eq!((empty.unread, empty.mentioned, empty.members, empty.role), (0, 0, 2, Role::Member));
    assert!(empty.newest.is_none() && empty.muted_until.is_none());
    let to_bob = Content::Text { body: "bob?".to_owned(), reply_to: None, mentions: vec![bob.id] };
    store.send(entry(room, ann.id, to_bob)).await.unwrap();
    say(&*store, room, ann.id, "two").await.unwrap();
    say(&*store, room, bob.id, "bob's own counts for ann only").await.unwrap();
    store.send(entry(room, ann.id, Content::React { target: 3, emoji: "👍".to_owned() })).await.unwrap();
    let at = summary(&*store, bob.id, room).await;
    assert_eq!((at.room.last_seq, at.unread, at.mentioned), (4, 2, 1));
    let newest = at.newest.expect("there is one");
    assert_eq!((newest.seq, newest.sender, newest.deleted), (3, bob.id, false), "a reaction is no text");
    assert_eq!(newest.sender_name, bob.display_name);
    let of_ann = summary(&*store, ann.id, room).await;
    assert_eq!((of_ann.unread, of_ann.role), (1, Role::Owner));
    store.mark(room, bob.id, None, Some(1)).await.unwrap();
    let at = summary(&*store, bob.id, room).await;
    assert_eq!((at.unread, at.mentioned), (1, 0));
    store.send(entry(room, ann.id, Content::Delete { target: 2 })).await.unwrap();
    assert_eq!(summary(&*store, bob.id, room).await.unread, 0, "what is gone need not be read");
    say(&*store, room, ann.id, &"🙂".repeat(300)).await.unwrap();
    let long = summary(&*store, bob.id, room).await.newest.expect("there is one");
    assert_eq!(long.body, "🙂".repeat(200));
    // Others see nothing, and rooms that are not there are left out.
    let eve = sign_up(&*store).await;
    let absent = RoomId(Uuid::now_v7());
    assert_eq!(store.summaries(eve.id, &[room]).await.unwrap(), (Vec::new(), true));
    assert_eq!(store.summaries(bob.id, &[absent, room]).await.unwrap().0.len(), 1);
    assert_eq!(store.room_ids(bob.id).await.unwrap(), [room]);
    assert!(store.room_ids(eve.id).await.unwrap().is_empty());
}

pub(crate) async fn a_muted_room_is_muted_for_its_member_only(store: Arc<dyn Store>) {
    let (ann, bob) = (sign_up(&*store).await, sign_up(&*store).await);
    let room = group(&*store, &[ann.clone(), bob.clone()]).await;
    let until = Timestamp::from_millisecond(2_000_000_000_123).unwrap();
    store.mute(room, bob.id, Some(until), None).await.unwrap();
    assert_eq!(summary(&*store, bob.id, room).await.muted_until, Some(until));
    assert_eq!(summary(&*store, ann.id, room).await.muted_until, None);
    let for_ever = chat_gateway::protocol::limits::FOR_EVER;
    store.mute(room, bob.id, Some(for_ever), None).await.unwrap();
    assert_eq!(summary(&*store, bob.id, room).await.muted_until, Some(for_ever));
    store.mute(room, bob.id, None, None).await.unwrap();
    assert_eq!(summary(&*store, bob.id, room).await.muted_until, None);
    let eve = sign_up(&*store).await;
    assert!(matches!(store.mute(room, eve.id, Some(until), None).await, Err(StoreError::RoomNotFound)));
}
