//! Waiting for something to become true, with a word to the reader while it does not.

use std::{fmt::Display, future::Future, time::Duration};

use anyhow::{Result, bail};
use tokio::time::Instant;

const POLL_EVERY: Duration = Duration::from_millis(200);
const WORD_EVERY: Duration = Duration::from_secs(10);

/// What a poll saw.
#[derive(Debug)]
pub enum Seen<T> {
    /// It is true.
    Yes(T),
    /// Not yet, and how things are.
    NotYet(String),
}

/// Polls five times a second until `poll` says yes. A failing poll counts as not yet.
///
/// # Errors
/// Not true within `limit`: the message has what the last poll saw.
pub async fn until<T, F, P>(what: impl Display, limit: Duration, mut poll: P) -> Result<T>
where
    P: FnMut() -> F,
    F: Future<Output = Result<Seen<T>>>,
{
    let started = Instant::now();
    let mut word = started + WORD_EVERY;
    loop {
        let state = match poll().await {
            Ok(Seen::Yes(value)) => return Ok(value),
            Ok(Seen::NotYet(state)) => state,
            Err(error) => format!("{error:#}"),
        };
        let now = Instant::now();
        if now - started > limit {
            bail!("waited {} s in vain for {what}: {state}", limit.as_secs());
        }
        if now >= word {
            println!("  waiting for {what} ({} s): {state}", (now - started).as_secs());
            word += WORD_EVERY;
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}
