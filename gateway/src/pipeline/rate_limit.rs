//! Stage 2: nobody writes faster than the cluster allows. Questions are slowed by being carried out one after the other.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chat_gateway_config::Bucket;

use crate::{
    auth::names,
    connection::session::Session,
    limiter::Rate,
    protocol::{CloseCode, ErrorCode, Request, WireError, limits},
    services::Services,
};

/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Price {
    /// A token of the user's bucket and one of the address's: something is written for good.
    Write,
    /// A token of the connection's own bucket; over it the request is refused.
    Mark,
    /// The same; over it nobody is told, and the sender hears nothing of that.
    Typing,
    /// Nothing.
    Free,
}

impl Price {
    fn of(request: &Request) -> Self {
        match request {
            Request::Send { .. }
            | Request::CreateRoom { .. }
            | Request::AddMember { .. }
            | Request::RemoveMember { .. }
            | Request::SetRole { .. }
            | Request::Mute { .. } => Self::Write,
            Request::Delivered { .. } | Request::Read { .. } => Self::Mark,
            Request::Typing { .. } => Self::Typing,
            Request::Hello { .. }
            | Request::Rooms { .. }
            | Request::Members { .. }
            | Request::History { .. }
            | Request::Presence { .. }
            | Request::Subscribe(_)
            | Request::Unsubscribe { .. }
            | Request::RoomPresence { .. }
            | Request::Refresh { .. }
            | Request::Ping => Self::Free,
        }
    }
}

/// What becomes of a request that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is carried out.
    Pass,
    /// It is answered as if it had been.
    Drop,
}

/// Takes what a request costs. Far over the rate of writes the connection is closed without asking the shared buckets.
pub(super) async fn check(services: &Services, session: &Session, request: &Request) -> Result<Verdict, WireError> {
    if names::is_probe(session.user.id) {
        // What a spec allows people must not decide whether the probe comes through.
        return Ok(Verdict::Pass);
    }
    let hint = || take_hint(&session.hints, now_micros());
    let over = |wait| WireError::new(ErrorCode::RateLimited, "over the rate of marks").retry_after(wait);
    match Price::of(request) {
        Price::Free => Ok(Verdict::Pass),
        Price::Write => write(services, session).await.map(|()| Verdict::Pass),
        Price::Mark => hint().map(|()| Verdict::Pass).map_err(over),
        Price::Typing => Ok(hint().map_or(Verdict::Drop, |()| Verdict::Pass)),
    }
}

async fn write(services: &Services, session: &Session) -> Result<(), WireError> {
    let limits = services.config.get().limits;
    let rate = Rate::per_second(limits.messages_per_second, limits.message_burst);
    if floods(session, rate, now_micros()) {
        session.close(CloseCode::Flooding);
        return Err(WireError::new(ErrorCode::RateLimited, "flooding"));
    }
    let Bucket { per_minute, burst } = services.config.get().http.rates.write_per_address;
    let mut buckets = vec![(format!("user:{}", session.user.id), rate)];
    if let Some(address) = session.address.filter(|_| per_minute > 0) {
        buckets.push((format!("write-from:{address}"), Rate { per_minute, burst }));
    }
    services.limiter.take_all(&buckets).await.map_err(|wait| {
        let message = "over the rate of messages and changes of this user or this address";
        WireError::new(ErrorCode::RateLimited, message).retry_after(wait)
    })
}

/// Whether a connection exceeds ten times the rate and ten times the burst. The session holds the moment up to which its writes so
/// far have used that rate up, so that no bucket has to be refilled.
fn floods(session: &Session, rate: Rate, now: u64) -> bool {
    let step = 60_000_000 / (u64::from(rate.per_minute.max(1)) * u64::from(limits::FLOOD_FACTOR));
    let ahead = step * u64::from(rate.burst) * u64::from(limits::FLOOD_FACTOR);
    let used = session.flood.load(Ordering::Relaxed).max(now) + step;
    session.flood.store(used, Ordering::Relaxed);
    used > now + ahead
}

/// Takes a token of a connection's own bucket, which is kept in the same way. `Err` carries the time until there will be one.
fn take_hint(hints: &AtomicU64, now: u64) -> Result<(), Duration> {
    const STEP: u64 = 1_000_000 / limits::HINTS_PER_SECOND as u64;
    const AHEAD: u64 = STEP * limits::HINT_BURST as u64;
    let used = hints.load(Ordering::Relaxed).max(now) + STEP;
    if used > now + AHEAD {
        return Err(Duration::from_micros(used - now - AHEAD));
    }
    hints.store(used, Ordering::Relaxed);
    Ok(())
}

fn now_micros() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        connection::queue::Queue,
        model::{User, UserId},
    };

    const NOW: u64 = 1_000_000_000;

    #[test]
    fn ten_times_the_burst_passes_and_one_more_floods() {
        let user = User { id: UserId(uuid::Uuid::nil()), name: "a".into(), display_name: "a".into() };
        let session = Session::new(user, i64::MAX, Arc::new(Queue::default()), Arc::default());
        let rate = Rate::per_second(10, 5);
        assert!((0..50).all(|_| !floods(&session, rate, NOW)));
        assert!(floods(&session, rate, NOW));
        assert!(!floods(&session, rate, NOW + 1_000_000));
    }

    #[test]
    fn a_connection_has_so_many_hints_at_once_and_then_one_after_the_other() {
        let hints = AtomicU64::new(0);
        assert!((0..limits::HINT_BURST).all(|_| take_hint(&hints, NOW).is_ok()));
        let wait = take_hint(&hints, NOW).unwrap_err();
        assert_eq!(wait, Duration::from_secs(1) / limits::HINTS_PER_SECOND);
        // What is refused costs nothing.
        assert_eq!(take_hint(&hints, NOW), Err(wait));
        let then = NOW + u64::try_from(wait.as_micros()).unwrap();
        assert_eq!((take_hint(&hints, then), take_hint(&hints, then)), (Ok(()), Err(wait)));
    }
}
