//! What happens to a frame, in order, one stage a file:
//!
//! [`frame`] -> [`rate_limit`] -> [`authenticate`] -> [`authorize`] -> [`idempotency`] -> [`commit`] (one transaction: message, seq,
//! outbox row, idempotency key) -> [`ack`] -> [`publish`] with a routing key -> the broker's exchange -> a gateway's queue -> fan-out
//! by the hub.
//!
//! Requests that send nothing leave out the stages that have nothing to do for them.

mod ack;
mod authenticate;
mod authorize;
mod commit;
pub mod frame;
mod idempotency;
mod marks;
mod members;
mod moderation;
mod people;
mod probe;
mod publish;
mod rate_limit;
mod reads;
mod rooms;
mod subscribe;
mod typing;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use crate::{
    codec::Tag,
    connection::session::Session,
    hub::Hub,
    protocol::{Answer, Request, WireError},
    services::Services,
    store::OutboxEvent,
    traces::{self, Sending},
};

pub(crate) use self::idempotency::RecentSends;

/// The way of requests through one gateway's parts.
pub struct Pipeline {
    pub(crate) services: Arc<Services>,
    pub(crate) hub: Arc<Hub>,
}

/// What a request came to.
struct Outcome {
    answer: Answer,
    /// To be published after the answer is on its way.
    events: Vec<OutboxEvent>,
    /// Delivery that begins after the answer is on its way.
    entry: Option<subscribe::Entry>,
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self { answer, events: Vec::new(), entry: None }
    }
}

impl Pipeline {
    /// A pipeline over these parts.
    #[must_use]
    pub fn new(services: Arc<Services>, hub: Arc<Hub>) -> Self {
        Self { services, hub }
    }

    /// Carries out one request. `tags` are what to answer under: more than one when requests were merged, none when no answer
    /// is wanted.
    /// `sending` is the trace of a message, of the few that have one.
    pub async fn process(
        &self,
        session: &Arc<Session>,
        tags: &[Tag],
        request: Request,
        mut sending: Option<Box<Sending>>,
    ) {
        let taken_up = matches!(request, Request::Send { .. }).then(Instant::now);
        if let Some(sending) = &mut sending {
            sending.take_up();
        }
        match self.carry_out(session, request, sending.as_deref()).await {
            Ok(Outcome { answer, events, entry }) => {
                self.services.counters.carried_out.fetch_add(1, Ordering::Relaxed);
                if let Some(sending) = &mut sending {
                    sending.answered(&answer);
                }
                let stage = traces::stage(sending.as_deref(), "ack");
                ack::answer(session, tags, &answer);
                let _ = traces::ended(stage, Ok(()));
                ack::count(&self.services, session, (tags, taken_up), &answer);
                publish::announce(&self.hub, events, sending.as_deref()).await;
                if let Some(sending) = sending {
                    sending.end();
                }
                probe::trim(&*self.services.store, session, &answer).await;
                if let Some(entry) = entry {
                    entry.enter(self, session).await;
                }
            }
            Err(error) => {
                self.services.counters.refused.add(error.code.name());
                if error.code.is_the_gateways() {
                    self.services.counters.failed.fetch_add(1, Ordering::Relaxed);
                }
                if let Some(sending) = sending {
                    sending.refused(&error);
                }
                ack::answer(session, tags, &Answer::Error(error));
            }
        }
    }

    async fn carry_out(
        &self,
        session: &Arc<Session>,
        request: Request,
        sending: Option<&Sending>,
    ) -> Result<Outcome, WireError> {
        use traces::{ended, stage};
        frame::check(&self.services.config.get().limits, &request)?;
        let traced = stage(sending, "rate_limit");
        let verdict = ended(traced, rate_limit::check(&self.services, session, &request).await)?;
        ended(stage(sending, "authenticate"), authenticate::check(session))?;
        if verdict == rate_limit::Verdict::Drop {
            return Ok(Answer::Ok.into());
        }
        let traced = stage(sending, "authorize");
        ended(traced, authorize::check(&*self.services.store, session, &request).await)?;
        match request {
            Request::Send { room, message_id, content } => {
                let new = commit::new_message(session, room, message_id, content);
                let traced = stage(sending, "idempotency");
                if let Some(answer) = ended(traced, idempotency::repeated(&self.hub.recent, &new).await)? {
                    return Ok(answer.into());
                }
                let deletion = moderation::Deletion::of(&new);
                let traced = traces::commit(sending);
                let result = ended(traced, commit::commit(&self.services, &self.hub.recent, new).await);
                if let Some(deletion) = deletion {
                    // On the heap: the future of a request is that of a send, and few of them delete.
                    Box::pin(deletion.note(self, session, &result)).await;
                }
                result
            }
            Request::CreateRoom { kind, title, members, room_key, request_id } => {
                rooms::create(self, session, rooms::Wanted { kind, title, members, room_key, request_id }).await
            }
            Request::AddMember { room, member, request_id } => {
                members::add(self, session, room, member, request_id).await
            }
            Request::RemoveMember { room, member, request_id } => {
                members::remove(self, session, room, &member, request_id).await
            }
            Request::SetRole { room, member, role, request_id } => {
                members::set_role(self, session, room, (&member, role), request_id).await
            }
            Request::Mute { room, until, request_id } => members::mute(self, session, room, until, request_id).await,
            Request::Rooms { after, limit } => reads::rooms(self, session, after, limit).await,
            Request::Members { room, after, limit } => reads::members(self, session, room, after, limit).await,
            Request::History { room, page, view, limit } => {
                reads::history(self, session, room, reads::Wanted { page, view, limit }).await
            }
            Request::Presence { users } => Ok(reads::presence(self, &users).await),
            Request::Typing { room, state } => Ok(typing::tell(self, session, room, state).await),
            Request::Delivered { room, seq } => marks::raise(self, session, room, Some(seq), None).await,
            Request::Read { room, seq } => marks::raise(self, session, room, None, Some(seq)).await,
            Request::Subscribe(wanted) => subscribe::subscribe(self, session, wanted).await,
            Request::Unsubscribe { room } => Ok(subscribe::unsubscribe(self, session, room).await),
            Request::RoomPresence { room } => subscribe::presence(self, session, room).await,
            Request::Refresh { token } => subscribe::refresh(self, session, &token).await,
            Request::Ping => Ok(Answer::Pong.into()),
            Request::Hello { .. } => Err(WireError::field("type", "hello is the first frame of a connection only")),
        }
    }
}
