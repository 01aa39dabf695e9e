//! Which rooms are followed here, by how many, and how far they have come.

use std::time::Duration;

use tokio::{sync::oneshot, time::Instant};

use super::{Hub, worker::Command};
use crate::model::{RoomId, Seq};

/// One room that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Followed {
    pub(super) room: RoomId,
    /// Connections that follow it.
    pub(super) connections: usize,
    /// See [`super::room::Room::head`].
    pub(super) head: Seq,
}

/// What went on in one room while the hub looked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Busy {
    /// The room.
    pub room: RoomId,
    /// Connections of this gateway that follow it.
    pub connections: usize,
    /// Seq of the newest message that is known here.
    pub last_seq: Seq,
    /// Messages a second.
    pub rate: f64,
}

impl Hub {
    /// The rooms of one worker after the other, so that no worker is kept from its messages for long.
    pub(super) async fn census(&self) -> Vec<Vec<Followed>> {
        let mut parts = Vec::with_capacity(self.dispatch.workers.len());
        for worker in &self.dispatch.workers {
            let (answer, rooms) = oneshot::channel();
            worker.tell(Command::List { answer }).await;
            parts.push(rooms.await.unwrap_or_default());
        }
        parts
    }

    /// Looks twice, so long apart, and gives how many rooms are followed and the busiest `limit` of them: by messages a second, then by
    /// connections, then by id. Costs 40 bytes a room meanwhile.
    pub async fn busiest(&self, apart: Duration, limit: usize) -> (usize, Vec<Busy>) {
        let (start, before) = (Instant::now(), self.census().await);
        tokio::time::sleep(apart).await;
        let after = self.census().await;
        busiest(before.concat(), &after.concat(), start.elapsed(), limit)
    }
}

fn busiest(mut before: Vec<Followed>, after: &[Followed], apart: Duration, limit: usize) -> (usize, Vec<Busy>) {
    before.sort_unstable_by_key(|followed| followed.room);
    let rate = |now: &Followed| {
        // A room that somebody has just begun to follow: what was said before that is not known.
        let Ok(place) = before.binary_search_by_key(&now.room, |followed| followed.room) else { return 0.0 };
        let said = now.head.saturating_sub(before[place].head).max(0);
        said as f64 / apart.as_secs_f64().max(f64::EPSILON)
    };
    let followed = after.len();
    let mut rooms: Vec<Busy> = after
        .iter()
        .map(|now| Busy { room: now.room, connections: now.connections, last_seq: now.head, rate: rate(now) })
        .collect();
    rooms.sort_unstable_by(|a, b| {
        b.rate.total_cmp(&a.rate).then(b.connections.cmp(&a.connections)).then(a.room.cmp(&b.room))
    });
    rooms.truncate(limit);
    (followed, rooms)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_busiest_come_first() {
        let room =
            |number: u128, connections, head| Followed { room: RoomId(Uuid::from_u128(number)), connections, head };
        let before = vec![room(4, 1, 10), room(1, 9, 5), room(2, 1, 7), room(3, 2, 7)];
        let after = vec![room(1, 9, 5), room(2, 1, 9), room(3, 2, 7), room(4, 1, 30), room(5, 3, 1_000)];
        let (followed, rooms) = busiest(before, &after, Duration::from_secs(2), 4);
        let told: Vec<_> =
            rooms.iter().map(|busy| (busy.room.0.as_u128(), busy.connections, busy.last_seq, busy.rate)).collect();
        assert_eq!(followed, 5);
        assert_eq!(told, [(4, 1, 30, 10.0), (2, 1, 9, 1.0), (1, 9, 5, 0.0), (5, 3, 1_000, 0.0)]);
    }
}
