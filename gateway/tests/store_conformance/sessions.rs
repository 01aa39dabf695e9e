//! Sessions: refresh tokens rotate, a used one ends the session, and ended sessions are known as such.

use std::{sync::Arc, time::Duration};

use chat_gateway::{
    model::{SessionId, UserId},
    store::{
        Store, StoreError,
        sessions::{MAX_SESSIONS, NewPassword, NewSession, Refresh, Refreshed},
    },
};
use futures::future::join_all;
use sqlx::{AssertSqlSafe, Connection as _};
use uuid::Uuid;

use crate::{
    cluster::{Cluster, SLOTS},
    fixtures::{person, sign_up, sign_up_as},
    moves::{OWNED, TRANSIT},
};

const DAY: Duration = Duration::from_secs(86_400);

fn new(user: UserId, first: u8) -> NewSession {
    NewSession {
        user,
        id: SessionId(Uuid::now_v7()),
        token_hash: [first; 32],
        idle: DAY,
        life: 2 * DAY,
        user_agent: "a browser".to_owned(),
    }
}

fn using(user: UserId, session: SessionId, presented: u8, next: u8) -> Refresh {
    Refresh {
        user,
        session,
        presented: [presented; 32],
        next: [next; 32],
        salt: [next; 32],
        idle: DAY,
        user_agent: "another browser".to_owned(),
    }
}

async fn session(store: &dyn Store, user: UserId) -> SessionId {
    let new = new(user, 1);
    let id = new.id;
    store.create_session(new).await.expect("a session");
    id
}

fn rotated(refreshed: &Refreshed) -> bool {
    matches!(refreshed, Refreshed::Rotated { .. })
}

pub(crate) async fn a_refresh_token_is_good_once(store: Arc<dyn Store>) {
    let ann = sign_up(&*store).await;
    let id = session(&*store, ann.id).await;
    let Refreshed::Rotated { user, expires_at } = store.refresh_session(using(ann.id, id, 1, 2)).await.unwrap() else {
        panic!("the first token is good")
    };
    assert_eq!(user, ann);
    let left = expires_at.duration_since(store.now()).as_secs();
    assert!((86_000..=86_400).contains(&left), "{left}");
    assert!(rotated(&store.refresh_session(using(ann.id, id, 2, 3)).await.unwrap()));
    let views = store.sessions(ann.id).await.unwrap();
    assert_eq!((views.len(), views[0].id, views[0].user_agent.as_str()), (1, id, "another browser"));
    assert!(views[0].created_at <= views[0].last_used_at);
    // Token 1 is older than the one that a lost answer excuses: a thief has it, or the thief has used it first.
    assert_eq!(store.refresh_session(using(ann.id, id, 1, 9)).await.unwrap(), Refreshed::Reused);
    assert_eq!(store.refresh_session(using(ann.id, id, 3, 4)).await.unwrap(), Refreshed::Ended);
    assert!(!store.session_lives(ann.id, id).await.unwrap());
    assert!(store.sessions(ann.id).await.unwrap().is_empty());
    let stranger = store.create_session(new(UserId(Uuid::now_v7()), 1)).await;
    assert!(matches!(stranger, Err(StoreError::UserNotFound(_))), "{stranger:?}");
}

pub(crate) async fn a_lost_answer_is_given_again_until_its_token_is_used(store: Arc<dyn Store>) {
    let ann = sign_up(&*store).await;
    let id = session(&*store, ann.id).await;
    assert!(rotated(&store.refresh_session(using(ann.id, id, 1, 2)).await.unwrap()));
    for other in 3..6 {
        let again = store.refresh_session(using(ann.id, id, 1, other)).await.unwrap();
        assert!(matches!(again, Refreshed::Repeated { salt, .. } if salt == [2; 32]), "{again:?}");
    }
    assert!(rotated(&store.refresh_session(using(ann.id, id, 2, 3)).await.unwrap()), "the successor is token 2");
    assert_eq!(store.refresh_session(using(ann.id, id, 1, 9)).await.unwrap(), Refreshed::Reused);
}

pub(crate) async fn of_many_uses_at_once_one_rotates(store: Arc<dyn Store>) {
    let ann = sign_up(&*store).await;
    let id = session(&*store, ann.id).await;
    let uses = (10..30).map(|next| store.refresh_session(using(ann.id, id, 1, next)));
    let outcomes: Vec<_> = join_all(uses).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| rotated(outcome)).count(), 1, "{outcomes:?}");
    let mut salts: Vec<[u8; 32]> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Refreshed::Repeated { salt, .. } => Some(*salt),
            _ => None,
        })
        .collect();
    assert_eq!(salts.len(), 19, "{outcomes:?}");
    salts.dedup();
    assert_eq!(salts.len(), 1, "all are told of the one successor");
    assert!(rotated(&store.refresh_session(using(ann.id, id, salts[0][0], 40)).await.unwrap()));
}

pub(crate) async fn sessions_end_one_by_one_or_all_but_one(store: Arc<dyn Store>) {
    let (ann, bob) = (sign_up(&*store).await, sign_up(&*store).await);
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(session(&*store, ann.id).await);
    }
    let other = session(&*store, bob.id).await;
    let asked: Vec<_> = sessions.iter().map(|id| (ann.id, *id)).chain([(bob.id, other)]).collect();
    assert!(store.ended_sessions(&asked).await.unwrap().is_empty());
    assert!(store.end_session(ann.id, sessions[0]).await.unwrap());
    assert!(!store.end_session(ann.id, sessions[0]).await.unwrap(), "it had ended");
    assert!(!store.end_session(bob.id, sessions[1]).await.unwrap(), "another's session");
    assert_eq!(store.ended_sessions(&asked).await.unwrap(), [sessions[0]]);
    assert_eq!(store.end_sessions(ann.id, Some(sessions[2])).await.unwrap(), 2);
    let mut ended = store.ended_sessions(&asked).await.unwrap();
    ended.sort();
    assert_eq!(ended, [sessions[0], sessions[1], sessions[3]]);
    assert!(store.session_lives(ann.id, sessions[2]).await.unwrap());
    assert_eq!(store.end_sessions(ann.id, None).await.unwrap(), 1);
    assert_eq!(store.end_sessions(ann.id, None).await.unwrap(), 0);
    assert!(store.session_lives(bob.id, other).await.unwrap());
}

pub(crate) async fn sessions_run_out(store: Arc<dyn Store>) {
    let ann = sign_up(&*store).await;
    let (second, day) = (Duration::from_secs(1), DAY);
    let mut idle = NewSession { idle: second, ..new(ann.id, 1) };
    let mut old = NewSession { life: second, ..new(ann.id, 1) };
    idle.user_agent = "idle".to_owned();
    old.user_agent = "old".to_owned();
    let kept = session(&*store, ann.id).await;
    for new in [&idle, &old] {
        store.create_session(new.clone()).await.unwrap();
        while store.session_lives(ann.id, new.id).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(store.ended_sessions(&[(ann.id, new.id), (ann.id, kept)]).await.unwrap(), [new.id]);
        assert_eq!(store.sessions(ann.id).await.unwrap().len(), 1);
        assert_eq!(store.refresh_session(using(ann.id, new.id, 1, 2)).await.unwrap(), Refreshed::Ended);
    }
    // A rotation moves the idle end on, and never over the end of the session's life.
    let short = NewSession { idle: 2 * second, life: day, ..new(ann.id, 1) };
    store.create_session(short.clone()).await.unwrap();
    let refresh = Refresh { idle: 10 * day, ..using(ann.id, short.id, 1, 2) };
    let Refreshed::Rotated { expires_at, .. } = store.refresh_session(refresh).await.unwrap() else {
        panic!("it is good")
    };
    let left = expires_at.duration_since(store.now()).as_secs();
    assert!((86_000..=86_400).contains(&left), "{left}");
}

pub(crate) async fn a_user_has_so_many_sessions(store: Arc<dyn Store>) {
    let ann = sign_up(&*store).await;
    let mut sessions = Vec::new();
    for _ in 0..MAX_SESSIONS {
        sessions.push(session(&*store, ann.id).await);
    }
    // The first becomes the one used last; stores keep milliseconds.
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(rotated(&store.refresh_session(using(ann.id, sessions[0], 1, 2)).await.unwrap()));
    let last = session(&*store, ann.id).await;
    assert_eq!(store.sessions(ann.id).await.unwrap().len(), MAX_SESSIONS);
    assert!(store.session_lives(ann.id, last).await.unwrap());
    assert!(store.session_lives(ann.id, sessions[0]).await.unwrap());
    assert!(!store.session_lives(ann.id, sessions[1]).await.unwrap(), "the one unused for longest has ended");
}

pub(crate) async fn a_new_password_ends_the_other_sessions(store: Arc<dyn Store>) {
    let ann = sign_up(&*store).await;
    let (here, there) = (session(&*store, ann.id).await, session(&*store, ann.id).await);
    let (_, stored) = store.credentials(ann.id).await.unwrap().unwrap();
    let change = |old: &str, new: &str| NewPassword {
        user: ann.id,
        old_hash: old.to_owned(),
        new_hash: new.to_owned(),
        keep: Some(here),
    };
    assert!(!store.change_password(change("not what stands there", "x")).await.unwrap());
    assert!(store.session_lives(ann.id, there).await.unwrap());
    for _ in 0..2 {
        // The second time is a repeat after a lost answer.
        assert!(store.change_password(change(&stored, "another hash")).await.unwrap());
    }
    assert_eq!(store.credentials(ann.id).await.unwrap().unwrap().1, "another hash");
    assert_eq!(store.ended_sessions(&[(ann.id, here), (ann.id, there)]).await.unwrap(), [there]);
    assert!(!store.change_password(change(&stored, "a third")).await.unwrap(), "the old one has gone");
}

pub(crate) async fn whose_sessions_ended_is_told_since_a_mark(store: Arc<dyn Store>) {
    // Other cases leave their own behind: only these users count.
    let users = [sign_up(&*store).await.id, sign_up(&*store).await.id, sign_up(&*store).await.id];
    let [ann, bob, eve] = users;
    let parts = store.ended_parts();
    let mut marks = vec![None; parts.len()];
    let mut news = async || {
        let mut told = Vec::new();
        loop {
            let before = told.len();
            for (&part, mark) in parts.iter().zip(&mut marks) {
                let ended = store.ended_since(part, *mark).await.unwrap();
                assert!(mark.is_none_or(|mark| mark <= ended.mark), "{mark:?} {ended:?}");
                assert!(mark.is_some() || ended.users.is_empty(), "nothing without a mark");
                *mark = Some(ended.mark);
                told.extend(ended.users.into_iter().filter(|user| users.contains(user)));
            }
            // Something is told again while an older transaction runs, such as one of the server itself.
            if told.len() == before {
                told.sort();
                told.dedup();
                return told;
            }
        }
    };
    let sorted = |mut expected: Vec<UserId>| {
        expected.sort();
        expected
    };
    news().await;
    let mut sessions = Vec::new();
    for user in [ann, ann, bob, eve, eve] {
        sessions.push(session(&*store, user).await);
    }
    assert!(rotated(&store.refresh_session(using(ann, sessions[0], 1, 2)).await.unwrap()));
    assert!(rotated(&store.refresh_session(using(ann, sessions[0], 2, 3)).await.unwrap()));
    assert!(news().await.is_empty(), "nothing has ended");
    // In each way in which a session ends.
    assert_eq!(store.refresh_session(using(ann, sessions[0], 1, 9)).await.unwrap(), Refreshed::Reused);
    assert!(store.end_session(bob, sessions[2]).await.unwrap());
    assert_eq!(news().await, sorted(vec![ann, bob]));
    assert_eq!(store.end_sessions(ann, None).await.unwrap(), 1);
    let (_, old_hash) = store.credentials(eve).await.unwrap().unwrap();
    let change = NewPassword { user: eve, old_hash, new_hash: "new".to_owned(), keep: Some(sessions[3]) };
    assert!(store.change_password(change).await.unwrap());
    assert_eq!(news().await, sorted(vec![ann, eve]));
    for _ in 0..=MAX_SESSIONS {
        session(&*store, bob).await;
    }
    assert_eq!(news().await, [bob], "one session too many ends another");
    assert!(!store.end_session(bob, sessions[2]).await.unwrap());
    assert!(news().await.is_empty(), "it had ended");
}

pub(crate) async fn racing_makers_of_an_account_make_one(store: Arc<dyn Store>) {
    let id = UserId(Uuid::now_v7());
    let makers = (0..20).map(|n| {
        let mut user = person(id);
        user.display_name = format!("Maker {n}");
        store.ensure_user(user)
    });
    let mut made: Vec<_> = join_all(makers).await.into_iter().map(Result::unwrap).collect();
    made.dedup();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(store.users(&[id]).await.unwrap(), made);
    assert_eq!(store.credentials(id).await.unwrap().unwrap().1, "", "no password fits");
}

/// While a slot migrates, the mover must hear of every row that was written or deleted.
pub(crate) async fn a_migrating_slot_logs_its_sessions(cluster: &Cluster, store: &dyn Store) {
    let ann = sign_up_as(store, Cluster::user_on(0)).await;
    let slot = chat_shards::slot_of(ann.id.0, SLOTS);
    let mut admin = cluster.admin(0).await;
    let set = |state: &str| {
        let change = if state == "owned" { OWNED.to_owned() } else { format!("state = '{state}', {TRANSIT}") };
        let sql = format!("update chat.slot_ownership set {change} where slot = {slot}");
        sqlx::raw_sql(AssertSqlSafe(sql))
    };
    set("migrating").execute(&mut admin).await.unwrap();
    let (one, two) = (session(store, ann.id).await, session(store, ann.id).await);
    assert!(rotated(&store.refresh_session(using(ann.id, one, 1, 2)).await.unwrap()));
    assert_eq!(store.end_sessions(ann.id, Some(one)).await.unwrap(), 1);
    let logged: Vec<serde_json::Value> =
        sqlx::query_scalar("select key from chat.slot_changes where slot = $1 and kind = 'session' order by n")
            .bind(slot)
            .fetch_all(&mut admin)
            .await
            .unwrap();
    let key = |id: SessionId| serde_json::json!([ann.id, id]);
    assert_eq!(logged, [key(one), key(two), key(one), key(two)]);
    set("owned").execute(&mut admin).await.unwrap();
    sqlx::query("delete from chat.slot_changes where slot = $1").bind(slot).execute(&mut admin).await.unwrap();
}

/// A reader that has seen later ends must still be told of one whose transaction commits last.
pub(crate) async fn an_end_that_commits_late_is_told(cluster: &Cluster, store: &dyn Store) {
    let (ann, bob) = (Cluster::user_on(0), Cluster::user_on(0));
    let (ann, bob) = (sign_up_as(store, ann).await.id, sign_up_as(store, bob).await.id);
    let sessions = [session(store, ann).await, session(store, bob).await];
    let slot = chat_shards::slot_of(ann.0, SLOTS);
    let begin = store.ended_since(0, None).await.unwrap();
    let mut gateway = cluster.gateway(0).await;
    let mut late = gateway.begin().await.unwrap();
    let ended: i32 = sqlx::query_scalar("select chat.end_session($1, $2, $3)")
        .bind(slot)
        .bind(ann.0)
        .bind(sessions[0].0)
        .fetch_one(&mut *late)
        .await
        .unwrap();
    assert_eq!(ended, 1);
    assert!(store.end_session(bob, sessions[1]).await.unwrap());
    let first = store.ended_since(0, Some(begin.mark)).await.unwrap();
    assert!(first.users.contains(&bob) && !first.users.contains(&ann), "{first:?}");
    late.commit().await.unwrap();
    let second = store.ended_since(0, Some(first.mark)).await.unwrap();
    assert!(second.users.contains(&ann), "{second:?}");
}

/// A mover that clears a slot away ends no session, and the memory of ends does not grow.
pub(crate) async fn only_ends_are_remembered_and_not_for_ever(cluster: &Cluster, store: &dyn Store) {
    let ann = sign_up_as(store, Cluster::user_on(0)).await.id;
    let slot = chat_shards::slot_of(ann.0, SLOTS);
    for _ in 0..3 {
        session(store, ann).await;
    }
    let mut admin = cluster.admin(0).await;
    let run = async |admin: &mut sqlx::PgConnection, sql: String| {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(admin).await.unwrap();
    };
    let mark = store.ended_since(0, None).await.unwrap().mark;
    let moved = format!("state = 'moved', {TRANSIT}");
    run(&mut admin, format!("update chat.slot_ownership set {moved} where slot = {slot}")).await;
    run(&mut admin, format!("delete from chat.sessions where slot = {slot}")).await;
    run(&mut admin, format!("update chat.slot_ownership set {OWNED} where slot = {slot}")).await;
    assert!(store.ended_since(0, Some(mark)).await.unwrap().users.is_empty());
    run(&mut admin, "update chat.endings set at = at - interval '1 hour'".to_owned()).await;
    let old =
        "insert into chat.endings (xid, user_id, at) select 3, gen_random_uuid(), 'epoch' from generate_series(1, 50)";
    run(&mut admin, old.to_owned()).await;
    for _ in 0..30 {
        let id = session(store, ann).await;
        assert!(store.end_session(ann, id).await.unwrap());
    }
    let left: i64 =
        sqlx::query_scalar("select count(*) from chat.endings where at < clock_timestamp() - interval '1 minute'")
            .fetch_one(&mut admin)
            .await
            .unwrap();
    assert_eq!(left, 0);
}
