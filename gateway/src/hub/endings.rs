//! Reads from the store whose sessions were ended and who was removed from a room: what the broker did not tell, because it was away or
//! lost the word, is known a second later. One question for each shard and second, whatever the number of connections, and an answer
//! that is empty unless somebody somewhere signs out or leaves a room.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{Hub, worker::Command};
use crate::store::sessions::{ENDED_KEPT, Ended, MAX_ENDED};

/// How often a shard is asked. With the check of the user that follows, a session ends everywhere within two seconds.
const EVERY: Duration = Duration::from_secs(1);

/// Age of the last answer from which on the store may have forgotten something since.
const TRUST: Duration = Duration::from_secs(ENDED_KEPT.as_secs() / 2);

/// Asks every part that the store has, and those that come later, without end.
pub(super) async fn read_all(hub: Arc<Hub>) {
    let mut readers = JoinSet::new();
    let mut begun = HashSet::new();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for part in hub.services.store.ended_parts() {
            if begun.insert(part) {
                readers.spawn(read(Arc::clone(&hub), part));
            }
        }
        // Those whose part has gone.
        while readers.try_join_next().is_some() {}
    }
}

/// Asks one part of the store, until it has gone.
async fn read(hub: Arc<Hub>, part: usize) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Option<(i64, Instant)> = None;
    loop {
        ticks.tick().await;
        let begun = Instant::now();
        let mark = last.map(|(mark, _)| mark);
        match hub.services.store.ended_since(part, mark).await {
            Ok(ended) => {
                take(&hub, last, &ended).await;
                last = Some((ended.mark, begun));
            }
            Err(_) if !hub.services.store.ended_parts().contains(&part) => return,
            Err(error) => tracing::debug!(part, %error, "what was ended could not be read"),
        }
    }
}

async fn take(hub: &Hub, last: Option<(i64, Instant)>, ended: &Ended) {
    let known = last.is_some_and(|(mark, at)| mark <= ended.mark && at.elapsed() < TRUST);
    if !known || ended.users.len() > MAX_ENDED {
        hub.dispatch.suspects.add_everyone();
    }
    if !known || ended.removals.len() > MAX_ENDED {
        // Which rooms somebody was removed from stands beside their positions.
        hub.dispatch.compare.notify_one();
    }
    if !known {
        return;
    }
    for user in &ended.users {
        if !hub.dispatch.registry.of(*user).is_empty() {
            hub.dispatch.suspects.add(*user);
        }
    }
    for removal in &ended.removals {
        if !hub.dispatch.registry.of(removal.user).is_empty() {
            hub.dispatch.worker(removal.room).tell(Command::Removed(*removal)).await;
        }
    }
}
