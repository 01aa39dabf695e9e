//! From the first frame to `welcome`: who is there, which rooms they follow, and where they go on.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

use super::{
    Source,
    queue::{Class, Queue},
    session::{Control, Session},
};
use crate::{
    auth::{Claims, TokenError},
    codec::{Codec, Frame, Tag},
    hub::Following,
    model::{Room, RoomId, Seq},
    pipeline::Pipeline,
    protocol::{
        Answer, CloseCode, ErrorCode, Request, WireError,
        answer::{Resumed, Welcome},
        limits,
    },
};

/// Seconds for which a client that goes on from another connection is not moved for the sake of evenness.
const REST_SECONDS: u32 = 1_800;

/// Why there is no session: what to say, and the code to close with.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) frame: Option<Frame>,
    pub(super) code: CloseCode,
}

/// Where a session starts in its rooms.
#[derive(Default)]
struct Start {
    rooms: Vec<Room>,
    following: Vec<Following>,
    resumed: Vec<Resumed>,
}

/// Carries out `hello`. On success `welcome` is queued and the session is registered with the hub: `Hub::forget` must follow.
pub(super) async fn hello(
    pipeline: &Pipeline,
    queue: &Arc<Queue>,
    (codec, source): (Codec, Source),
    (tag, request): (Option<Tag>, Request),
) -> Result<Arc<Session>, Refused> {
    let refuse = |error: WireError, code| {
        // Clients of Centrifuge tell a false token by the code of the close, and take an answer for something else.
        let told = codec.is_chat() || !matches!(code, CloseCode::Unauthenticated | CloseCode::SessionEnded);
        Refused { frame: told.then(|| codec.answer(tag, &Answer::Error(error))), code }
    };
    let Request::Hello { token, resume } = request else {
        let error = WireError::new(ErrorCode::Unauthenticated, "the first frame must be hello");
        return Err(refuse(error, CloseCode::Unauthenticated));
    };
    let services = &pipeline.services;
    let Claims { user, session: sign_in, expires_at } =
        services.tokens.verify(&token).await.map_err(|error| refuse(error.into(), close_code(error)))?;
    let place = services.entrance.turnstile.pass(!resume.is_empty()).await.map_err(|back| {
        let busy = WireError::new(ErrorCode::Unavailable, "too many clients come at the same time").retry_after(back);
        refuse(busy, CloseCode::Stopping)
    })?;
    let session = Session::new(user, expires_at, Arc::clone(queue), Arc::clone(&services.counters));
    let session = Arc::new(session.of_sign_in(sign_in).from(source).speaking(codec));
    if !resume.is_empty() {
        session.settle_at(pipeline.hub.second().saturating_add(REST_SECONDS));
    }
    // Known before its sign-in and its rooms are read: a change in between reaches it and is looked into after this.
    pipeline.hub.register(&session).await;
    let user = session.user.id;
    let lives = async {
        match sign_in {
            Some(sign_in) => services.store.session_lives(user, sign_in).await,
            None => Ok(true),
        }
    };
    let listed =
        async { if codec.follows_all() { services.store.user_rooms(user).await } else { Ok((Vec::new(), true)) } };
    // Both are in the user's slot and go there at once, so the check adds a read to the shard's work and nothing to the time.
    let found = tokio::try_join!(lives, listed);
    let (rooms, complete) = match found {
        Ok((true, listed)) => listed,
        Ok((false, _)) => {
            pipeline.hub.forget(&session).await;
            return Err(refuse(TokenError::Ended.into(), CloseCode::SessionEnded));
        }
        Err(error) => {
            pipeline.hub.forget(&session).await;
            return Err(refuse(error.into(), CloseCode::Stopping));
        }
    };
    let start = start(rooms, &resume, services.config.get().limits.rooms_per_connection as usize);
    if !complete {
        keep_unlisted(&session, &resume, &start);
    }
    welcome(pipeline, &session, tag, start.rooms, start.resumed);
    drop(place);
    pipeline.hub.follow(&session, &start.following).await;
    pipeline.hub.arrived(&session).await;
    Ok(session)
}

/// What a client is to do about a token that was refused.
fn close_code(error: TokenError) -> CloseCode {
    match error {
        TokenError::Invalid => CloseCode::Unauthenticated,
        TokenError::Expired => CloseCode::Expired,
        TokenError::Ended => CloseCode::SessionEnded,
        TokenError::Unavailable => CloseCode::Stopping,
    }
}

/// Decides where each room goes on.
fn start(mut rooms: Vec<Room>, resume: &[(RoomId, Seq)], limit: usize) -> Start {
    // Over the limit the newest rooms are followed: ids of rooms are ordered by time, apart from those of pairs.
    if rooms.len() > limit {
        rooms.sort_by_key(|room| std::cmp::Reverse(room.created_at));
        rooms.truncate(limit);
    }
    let named: HashMap<RoomId, Seq> = resume.iter().copied().collect();
    let mut following = Vec::with_capacity(rooms.len());
    let mut resumed = Vec::with_capacity(named.len());
    for room in &rooms {
        let to = room.last_seq;
        let Some(from) = named.get(&room.id).copied() else {
            following.push(Following::newest(room));
            continue;
        };
        // A position beyond the end is of another history of this room; the client has to look for itself.
        let recovered = (0..=limits::RESUME_DISTANCE).contains(&(to - from));
        following.push(Following { cursor: if recovered { from } else { to }, ..Following::newest(room) });
        resumed.push(Resumed { room: room.id, from, to, recovered });
    }
    Start { rooms, following, resumed }
}

/// Rooms of a shard that is away are in no list: keeps the client's place in them until they can be asked for.
fn keep_unlisted(session: &Session, resume: &[(RoomId, Seq)], start: &Start) {
    for (room, seq) in resume {
        if !start.rooms.iter().any(|known| known.id == *room) {
            session.keep_cursor(*room, *seq);
        }
    }
    session.control(Control::Recheck);
}

fn welcome(pipeline: &Pipeline, session: &Session, tag: Option<Tag>, rooms: Vec<Room>, resumed: Vec<Resumed>) {
    let services = &pipeline.services;
    let welcome = Welcome {
        session: session.id,
        user: session.user.clone(),
        gateway: services.gateway.clone(),
        ping_seconds: services.config.get().http.timeouts.ping_seconds,
        limits: services.config.get().limits.into(),
        rooms: rooms.into_iter().map(Into::into).collect(),
        resumed,
        expires_in: session.expires_at() - Timestamp::now().as_second(),
    };
    session.push(session.codec.answer(tag, &Answer::Welcome(Box::new(welcome))), Class::Kept);
}
