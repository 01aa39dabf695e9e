//! Stage 2: nobody sends faster than the cluster allows. Other requests are slowed by being carried out one after the other.

use std::{
    sync::atomic::Ordering,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    connection::session::Session,
    limiter::Rate,
    protocol::{CloseCode, ErrorCode, Request, WireError, limits},
    services::Services,
};

/// Takes a token of the user's bucket for a message. Far over the rate the connection is closed without asking the shared bucket.
pub(super) async fn check(services: &Services, session: &Session, request: &Request) -> Result<(), WireError> {
    if !matches!(request, Request::Send { .. }) {
        return Ok(());
    }
    let limits = services.config.limits;
    let rate = Rate::per_second(limits.messages_per_second, limits.message_burst);
    if floods(session, rate, now_micros()) {
        session.close(CloseCode::Flooding);
        return Err(WireError::new(ErrorCode::RateLimited, "flooding"));
    }
    services
        .limiter
        .take(&format!("user:{}", session.user.id), rate)
        .await
        .map_err(|wait| WireError::new(ErrorCode::RateLimited, "over the message rate").retry_after(wait))
}

/// Whether a connection exceeds ten times the rate and ten times the burst. The session holds the moment up to which its messages so
/// far have used that rate up, so that no bucket has to be refilled.
fn floods(session: &Session, rate: Rate, now: u64) -> bool {
    let step = 60_000_000 / (u64::from(rate.per_minute.max(1)) * u64::from(limits::FLOOD_FACTOR));
    let ahead = step * u64::from(rate.burst) * u64::from(limits::FLOOD_FACTOR);
    let used = session.flood.load(Ordering::Relaxed).max(now) + step;
    session.flood.store(used, Ordering::Relaxed);
    used > now + ahead
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

    #[test]
    fn ten_times_the_burst_passes_and_one_more_floods() {
        let user = User { id: UserId(uuid::Uuid::nil()), name: "a".into(), display_name: "a".into() };
        let session = Session::new(user, i64::MAX, Arc::new(Queue::default()), Arc::default());
        let rate = Rate::per_second(10, 5);
        let now = 1_000_000_000;
        assert!((0..50).all(|_| !floods(&session, rate, now)));
        assert!(floods(&session, rate, now));
        assert!(!floods(&session, rate, now + 1_000_000));
    }
}
