//! Only so many clients come in at the same time. After a gateway was lost thousands come at once; taken in all together, each of them would wait until
//! it gives up and begins anew, and none would ever be in.
//!
//! Who goes on where it was has places that who comes anew does not get. Who would wait too long is sent away with a time to come back: before its
//! upgrade where too many wait already, which costs the least.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use rand::RngExt as _;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// Clients that come in at the same time, for each shard. Each asks a shard through a pool of ten connections, so many more would only wait there.
const EACH_SHARD: usize = 32;
/// Of four that come in, so many may come anew.
const ANEW_OF_FOUR: usize = 3;
/// Clients that may wait for each that comes in: what passes within a second or two on a busy machine.
const CROWD: usize = 32;
/// Longest wait. A client that gets no answer within some five seconds begins anew.
const LONGEST: Duration = Duration::from_secs(2);
/// Who is sent away comes back after a random time between these.
const BACK: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(6)];

/// The way in, client by client.
#[derive(Debug)]
pub struct Turnstile {
    all: Semaphore,
    anew: Semaphore,
    waiting: AtomicUsize,
    most_waiting: usize,
}

/// A place in it, until it is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    _all: SemaphorePermit<'a>,
    _anew: Option<SemaphorePermit<'a>>,
}

impl Default for Turnstile {
    /// For one shard.
    fn default() -> Self {
        Self::new(EACH_SHARD)
    }
}

impl Turnstile {
    /// For a gateway with so many shards; none means the embedded store, which carries out the reads that wait together, the more the cheaper.
    #[must_use]
    pub fn to_shards(count: usize) -> Self {
        if count == 0 { Self::new(Semaphore::MAX_PERMITS / CROWD) } else { Self::new(EACH_SHARD.saturating_mul(count)) }
    }

    fn new(at_once: usize) -> Self {
        Self {
            all: Semaphore::new(at_once),
            anew: Semaphore::new(at_once / 4 * ANEW_OF_FOUR),
            waiting: AtomicUsize::new(0),
            most_waiting: at_once.saturating_mul(CROWD),
        }
    }

    /// Whether so many wait that another one would wait in vain.
    pub fn is_crowded(&self) -> bool {
        self.waiting.load(Relaxed) >= self.most_waiting
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// The time after which the client may try again, when there was none for two seconds.
    pub async fn pass(&self, resumes: bool) -> Result<Place<'_>, Duration> {
        let places = async {
            let anew = if resumes { None } else { Some(self.anew.acquire().await.ok()?) };
            Some(Place { _all: self.all.acquire().await.ok()?, _anew: anew })
        };
        let _waiting = Waiting::count(&self.waiting);
        match timeout(LONGEST, places).await {
            Ok(Some(place)) => Ok(place),
            // They are never closed, so the time is over.
            Ok(None) | Err(_) => Err(rand::rng().random_range(BACK[0]..=BACK[1])),
        }
    }
}

/// Counts who waits, and whoever leaves while waiting no more.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn count(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, future::join_all};
    use tokio::time::Instant;

    use super::*;

    const AT_ONCE: usize = EACH_SHARD;
    const ANEW: usize = 24;

    #[tokio::test(start_paused = true)]
    async fn who_resumes_has_places_that_others_do_not_get_and_nobody_waits_for_long() {
        let turnstile = Turnstile::default();
        let mut inside = Vec::new();
        for _ in 0..ANEW {
            inside.push(turnstile.pass(false).await.unwrap());
        }
        let start = Instant::now();
        let back = turnstile.pass(false).await.unwrap_err();
        assert_eq!(start.elapsed(), LONGEST);
        assert!((BACK[0]..=BACK[1]).contains(&back));
        for _ in ANEW..AT_ONCE {
            inside.push(turnstile.pass(true).await.unwrap());
        }
        assert!(turnstile.pass(true).await.is_err());
        inside.clear();
        assert!(turnstile.pass(false).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_told_before_it_waits() {
        let turnstile = Turnstile::default();
        let _inside = join_all((0..AT_ONCE).map(|_| turnstile.pass(true))).await;
        let mut crowd = Box::pin(join_all((0..CROWD * AT_ONCE).map(|_| turnstile.pass(true))));
        assert!(!turnstile.is_crowded());
        assert!(crowd.as_mut().now_or_never().is_none());
        assert!(turnstile.is_crowded());
        drop(crowd);
        assert!(!turnstile.is_crowded(), "whoever left waits no more");
    }

    #[tokio::test]
    async fn more_shards_take_more_and_the_embedded_store_takes_all() {
        let inside = |turnstile: &Turnstile| turnstile.all.available_permits();
        assert_eq!([1, 4].map(|count| inside(&Turnstile::to_shards(count))), [AT_ONCE, 4 * AT_ONCE]);
        let embedded = Turnstile::to_shards(0);
        let pass = |_| tokio::task::unconstrained(embedded.pass(true)).now_or_never();
        let all: Vec<_> = (0..10_000).filter_map(pass).collect();
        assert_eq!(all.len(), 10_000);
    }
}
