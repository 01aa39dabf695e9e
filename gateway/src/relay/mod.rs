//! Carries what was committed from the outbox to everyone, and what is worth nothing later as far as it is cheap.
//!
//! A committed event lives in the outbox until every gateway could have heard of it. The copy in memory only makes it fast: it is
//! dropped whenever there is too much of it or the broker is away, and the [`sweeper`] brings it later.

mod finisher;
mod hints;
mod lane;
mod sweeper;
mod waiting;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use self::waiting::Entrance;
use crate::{
    broker::Key,
    hub::{Dispatch, event::Event},
    model::{Role, RoomId},
    services::Services,
    store::{OutboxEvent, StoredEvent},
    traces::{Context, Sending, Stage},
};

/// Lanes, each with one task. A room always takes the same lane, so its events are published in order.
const LANES: u64 = 4;

/// The relay of one gateway.
pub(crate) struct Relay {
    dispatch: Arc<Dispatch>,
    lanes: Lanes,
    hints: hints::Hints,
}

/// Leads to the lanes.
#[derive(Clone)]
struct Lanes(Arc<Vec<Entrance>>);

impl Relay {
    /// Starts the relay's tasks, which end with `stop`.
    pub(crate) fn start(services: Arc<Services>, dispatch: Arc<Dispatch>, stop: &CancellationToken) -> Self {
        let finisher = finisher::start(Arc::clone(&services.store), stop);
        let lanes = (0..LANES)
            .map(|_| {
                let (entrance, inbox) = waiting::lane();
                spawn(stop, lane::run(Arc::clone(&services), Arc::clone(&dispatch), finisher.clone(), inbox));
                entrance
            })
            .collect();
        let lanes = Lanes(Arc::new(lanes));
        spawn(stop, sweeper::run(Arc::clone(&services), Arc::clone(&dispatch), lanes.clone()));
        let hints = hints::start(services, Arc::clone(&dispatch), stop);
        Self { dispatch, lanes, hints }
    }

    /// Tells those on this gateway at once, and hands the events to the lanes.
    /// `sending` is the trace of the message that brought them.
    pub(crate) async fn announce(&self, events: Vec<OutboxEvent>, sending: Option<&Sending>) {
        let traceparent = sending.and_then(Sending::context);
        for OutboxEvent { key, event } in events {
            for (routing_key, heard) in heard_by(&event, traceparent) {
                self.dispatch.deliver(routing_key, true, vec![heard]).await;
            }
            self.lanes.offer(OutboxEvent { key, event }, sending.and_then(Sending::publish));
        }
    }

    /// Publishes something that is worth nothing later.
    pub(crate) fn hint(&self, key: Key, event: Event) {
        self.hints.offer(key, event);
    }
}

impl Lanes {
    /// Puts an event into its room's lane; false when the lane is full and the event stays in the outbox only. `publish` ends when the broker has it.
    fn offer(&self, event: OutboxEvent, publish: Stage) -> bool {
        let lane = room_of(&event.event).0.as_u64_pair().1 % LANES;
        // The remainder is below the number of lanes, so it fits.
        self.0[usize::try_from(lane).unwrap_or(0)].offer(event, publish)
    }
}

/// The room that an event is about.
fn room_of(event: &StoredEvent) -> RoomId {
    match event {
        StoredEvent::Message { message, .. } => message.room,
        StoredEvent::Joined { room, .. } | StoredEvent::Left { room, .. } | StoredEvent::Role { room, .. } => *room,
    }
}

/// Who hears of a stored event, and what. The user comes before the room: a removed user's connections know before the others.
/// `traceparent` is the span of a message that is traced.
fn heard_by(event: &StoredEvent, traceparent: Option<Context>) -> Vec<(Key, Event)> {
    match event {
        StoredEvent::Message { message, removal } => {
            let heard = Event::Message { message: message.clone(), removal: *removal, traceparent };
            vec![(Key::Room(message.room), heard)]
        }
        StoredEvent::Joined { room, user, name, version } => vec![
            (Key::User(*user), Event::RoomAdded { room: *room }),
            (Key::Room(*room), Event::MemberAdded { user: *user, name: name.clone(), version: *version }),
        ],
        StoredEvent::Left { room, user, version } => vec![
            (Key::User(*user), Event::RoomRemoved { room: *room }),
            (Key::Room(*room), Event::MemberRemoved { user: *user, version: *version }),
        ],
        StoredEvent::Role { room, user, role, former_owner, version } => {
            let changed = |user, role| (Key::Room(*room), Event::RoleChanged { user, role, version: *version });
            let former = former_owner.map(|former| changed(former, Role::Admin));
            former.into_iter().chain([changed(*user, *role)]).collect()
        }
    }
}

fn spawn(stop: &CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
    let stop = stop.clone();
    tokio::spawn(async move { stop.run_until_cancelled(task).await });
}
