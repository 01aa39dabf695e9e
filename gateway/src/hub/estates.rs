//! Speaks for gateways that died: nobody else can tell the rooms that their people went offline.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Hub;
use crate::{
    model::UserId,
    presence::{Estate, News},
    protocol::answer::PresenceState,
};

/// Users told of at once; each costs a read of the user's rooms.
const TELLERS: usize = 4;

/// Wait between estates, of 50 users each: 500 users a second, so that the store and the broker have room for others.
const PAUSE: Duration = Duration::from_millis(100);

/// Gives signs of life, and tells of users of whom others may think otherwise: the sign came too late, or Redis had not taken it that they came or went.
pub(super) async fn beat(hub: Arc<Hub>) {
    let Some(pulse) = hub.services.presence.pulse() else { return };
    let mut ticks = interval(pulse);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let news = hub.services.presence.beat().await;
        if news != News::default() {
            let hub = Arc::clone(&hub);
            // Not here: the next sign must not wait for it.
            tokio::spawn(async move {
                tell(&hub, &news.offline, PresenceState::Offline).await;
                tell(&hub, &news.online, PresenceState::Online).await;
            });
        }
    }
}

/// Looks for gateways that died, and tells of their users.
pub(super) async fn inherit(hub: Arc<Hub>) {
    let Some(pulse) = hub.services.presence.pulse() else { return };
    let mut ticks = interval(pulse);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        while let Some(estate) = hub.services.presence.inherit().await.filter(|estate| !estate.users.is_empty()) {
            see_to(&hub, estate).await;
            sleep(PAUSE).await;
        }
    }
}

async fn see_to(hub: &Hub, estate: Estate) {
    let (gateway, users, offline) = (&estate.gateway, estate.users.len(), estate.offline.len());
    tracing::info!(gateway, users, offline, "a gateway died; telling of its users");
    tell(hub, &estate.offline, PresenceState::Offline).await;
    // Who came back at this very moment may have been told of before.
    let online = hub.services.presence.online(&estate.offline).await.users;
    let back: Vec<UserId> = estate.offline.iter().zip(online).filter(|(_, on)| *on).map(|(user, _)| *user).collect();
    tell(hub, &back, PresenceState::Online).await;
    hub.services.presence.settle(estate).await;
}

async fn tell(hub: &Hub, users: &[UserId], state: PresenceState) {
    stream::iter(users)
        .for_each_concurrent(TELLERS, |user| async move {
            let rooms = hub.rooms_to_tell(*user, None).await;
            hub.tell_presence(*user, &rooms, state).await;
        })
        .await;
}
