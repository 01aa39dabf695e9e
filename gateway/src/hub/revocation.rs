//! Closes the connections of sessions that have ended.
//!
//! Whoever ends sessions says so under the user's key, and each gateway asks the store which of that user's sessions here still live:
//! an old or repeated event does no harm. An event may be lost, or the broker away, so each gateway also reads every second whose
//! sessions each shard ended (`endings`). What neither tells, such as sessions that ran out by themselves, a slow comparison of all
//! connections finds.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{Hub, event::Event};
use crate::{
    broker::Key,
    connection::session::Session,
    model::{SessionId, UserId},
    protocol::CloseCode,
    store::StoreError,
};

/// How often all connections are compared: the longest that a session goes on which ran out by itself.
const REGULARLY: Duration = Duration::from_secs(30);

/// Sessions in one question to the store.
const BATCH: usize = 200;

/// Wait between questions: 10,000 connections are 50 of them, spread over a second.
const PAUSE: Duration = Duration::from_millis(20);

/// Wait before a user whose shard was away is asked for again.
const RETRY: Duration = Duration::from_secs(1);

/// Time for one publish, and how many are tried: others read from the store what these do not tell.
const PUBLISH: Duration = Duration::from_secs(2);
const PUBLISHES: u32 = 3;

/// Users with connections here of whom sessions may have ended.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    users: Mutex<HashSet<UserId>>,
    wake: Notify,
    everyone: Notify,
}

impl Suspects {
    /// Adds a user. The caller has seen a connection of theirs, which bounds the set.
    pub(super) fn add(&self, user: UserId) {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
        self.wake.notify_one();
    }

    /// Has all connections compared soon: it is not known which sessions ended.
    pub(super) fn add_everyone(&self) {
        self.everyone.notify_one();
    }

    fn take(&self) -> HashSet<UserId> {
        std::mem::take(&mut *self.users.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Hub {
    /// Tells all gateways that sessions of a user have ended; to be called after the store has been told. Does not wait for the broker.
    pub async fn sessions_ended(self: &Arc<Self>, user: UserId) {
        let event = Event::SessionsEnded;
        let body = self.dispatch.envelope(vec![event.clone()]).encode();
        self.dispatch.deliver(Key::User(user), true, vec![event]).await;
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            for _ in 0..PUBLISHES {
                match timeout(PUBLISH, hub.services.broker.publish(Key::User(user), body.clone())).await {
                    Ok(Ok(())) => return,
                    Ok(Err(error)) => tracing::debug!(%user, %error, "the end of sessions could not be told yet"),
                    Err(_) => tracing::debug!(%user, "the broker does not confirm the end of sessions"),
                }
                sleep(RETRY).await;
            }
            tracing::warn!(%user, "the broker is away: other gateways find out by themselves that sessions have ended");
        });
    }
}

/// Looks into suspects as they come. Each alone, so that those of a shard that is away hold up nobody else.
pub(super) async fn watch_suspects(hub: Arc<Hub>) {
    loop {
        hub.dispatch.suspects.wake.notified().await;
        for user in hub.dispatch.suspects.take() {
            let hub = Arc::clone(&hub);
            // The store's pools bound how many of them ask at once.
            tokio::spawn(async move { check(&hub, user).await });
        }
    }
}

/// Compares everyone regularly, and when nobody knows whom else.
pub(super) async fn compare_regularly(hub: Arc<Hub>) {
    loop {
        // Cut short by a wish, or over.
        let _ = timeout(REGULARLY, hub.dispatch.suspects.everyone.notified()).await;
        check_everyone(&hub).await;
    }
}

/// Asks for each session of one user, and again later where there is no answer.
async fn check(hub: &Arc<Hub>, user: UserId) {
    let sessions = hub.dispatch.registry.of(user);
    let sign_ins: HashSet<SessionId> = sessions.iter().filter_map(|session| session.sign_in).collect();
    for sign_in in sign_ins {
        match hub.services.store.session_lives(user, sign_in).await {
            Ok(true) => {}
            Ok(false) => close(&sessions, &HashSet::from([sign_in])),
            Err(error) => {
                retry(hub, user, &error);
                return;
            }
        }
    }
}

fn retry(hub: &Arc<Hub>, user: UserId, error: &StoreError) {
    tracing::debug!(%user, %error, "whether a session lives could not be asked");
    let hub = Arc::clone(hub);
    tokio::spawn(async move {
        sleep(RETRY).await;
        if !hub.dispatch.registry.of(user).is_empty() {
            hub.dispatch.suspects.add(user);
        }
    });
}

/// Compares all connections with the store. Users of a shard that is away come with the next comparison.
async fn check_everyone(hub: &Hub) {
    let sessions = hub.dispatch.registry.all();
    let asked: HashSet<(UserId, SessionId)> =
        sessions.iter().filter_map(|session| Some((session.user.id, session.sign_in?))).collect();
    let asked: Vec<_> = asked.into_iter().collect();
    let mut gone = HashSet::new();
    for batch in asked.chunks(BATCH) {
        match hub.services.store.ended_sessions(batch).await {
            Ok(ended) => gone.extend(ended),
            Err(error) => tracing::debug!(%error, "sessions could not be compared with the store"),
        }
        sleep(PAUSE).await;
    }
    close(&sessions, &gone);
}

fn close(sessions: &[Arc<Session>], gone: &HashSet<SessionId>) {
    for session in sessions.iter().filter(|session| session.sign_in.is_some_and(|sign_in| gone.contains(&sign_in))) {
        tracing::info!(session = %session.id, user = %session.user.id, "closing a connection whose session was ended");
        session.close(CloseCode::SessionEnded);
    }
}
