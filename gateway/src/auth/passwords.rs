//! Password hashing with argon2id, on threads of its own. Hashing on the runtime's threads would freeze the sockets: 64 hashes at once
//! were seen to stop a healthy timer for over half a second elsewhere; so the pool is bounded, and a full one says so at once.
//!
//! Its threads are few and always the same ones, because the allocator keeps the 19 MiB of a hash in the arena of the thread that
//! asked for it: on the runtime's changing blocking threads, 40 sign-ups left a gateway with 450 MB.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::sync::{mpsc, oneshot};

/// Memory of one hash in KiB, passes and lanes: the second choice of RFC 9106 is out of a pod's reach with several at once, so this is
/// OWASP's minimum (19 MiB, 2 passes, 1 lane).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// Requests that may wait for a place before the pool answers busy.
const QUEUE: usize = 64;
/// What a refused client is told to wait.
const BUSY_RETRY: Duration = Duration::from_millis(500);

/// Why a password was not hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The pool and its queue are full.
    #[error("too many sign-ins at this moment")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The hashing itself failed, or the stored hash is malformed.
    #[error("failed to hash a password: {0}")]
    Hash(String),
}

type Job = Box<dyn FnOnce() + Send>;

/// The pool. Its threads end with it.
pub struct PasswordPool {
    queue: mpsc::Sender<Job>,
    /// Checked when the account does not exist, so that the answer takes as long as for one that does.
    decoy: String,
}

impl PasswordPool {
    /// Makes a pool that hashes at most `parallel` passwords at once (19 MiB each).
    ///
    /// # Errors
    /// [`PasswordError::Hash`] when argon2 cannot run at all.
    pub fn new(parallel: usize) -> Result<Self, PasswordError> {
        let decoy = hash("an account that does not exist")?;
        let (queue, jobs) = mpsc::channel::<Job>(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..parallel.max(1) {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new()
                .name(format!("argon2-{number}"))
                .spawn(move || work(&jobs))
                .map_err(|error| PasswordError::Hash(error.to_string()))?;
        }
        Ok(Self { queue, decoy })
    }

    /// Hashes a new password into a PHC string.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.run(move || hash(&password)).await
    }

    /// Whether the password fits the stored hash; `None` stands for an account that does not exist, and takes as long.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        let fits = self.run(move || verify(&password, &stored)).await?;
        Ok(fits && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (answer, outcome) = oneshot::channel();
        // A caller that has gone away wants no answer any more.
        let job = Box::new(move || drop(answer.send(work())));
        self.queue.try_send(job).map_err(|_| PasswordError::Busy { retry_after: BUSY_RETRY })?;
        outcome.await.map_err(|error| PasswordError::Hash(error.to_string()))?
    }
}

/// One thread of the pool: a job after the other until the pool is gone.
fn work(jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match job {
            Some(job) => job(),
            None => return,
        }
    }
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|error| PasswordError::Hash(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str) -> Result<String, PasswordError> {
    let hash: PasswordHash =
        argon2()?.hash_password(password.as_bytes()).map_err(|error| PasswordError::Hash(error.to_string()))?;
    Ok(hash.to_string())
}

fn verify(password: &str, stored: &str) -> Result<bool, PasswordError> {
    let stored = PasswordHash::new(stored).map_err(|error| PasswordError::Hash(error.to_string()))?;
    Ok(argon2()?.verify_password(password.as_bytes(), &stored).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepts_the_password_and_no_other() {
        let pool = PasswordPool::new(2).unwrap();
        let stored = pool.hash("correct horse".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(pool.verify("correct horse".into(), Some(stored.clone())).await.unwrap());
        assert!(!pool.verify("correct hors".into(), Some(stored)).await.unwrap());
        assert!(!pool.verify("an account that does not exist".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_full_pool_says_so_at_once() {
        let pool = PasswordPool::new(1).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let holding = pool.run(move || held.recv().map_err(|error| PasswordError::Hash(error.to_string())));
        let mut waiting: Vec<std::pin::Pin<Box<dyn Future<Output = bool>>>> =
            vec![Box::pin(async { holding.await.is_ok() })];
        let busy = loop {
            // Polled once each: enters the queue, or is refused.
            let mut hashing = Box::pin(pool.hash("x".into()));
            match futures::poll!(&mut hashing) {
                std::task::Poll::Ready(refused) => break refused,
                std::task::Poll::Pending => waiting.push(Box::pin(async move { hashing.await.is_ok() })),
            }
            let _ = futures::poll!(&mut waiting[0]);
            assert!(waiting.len() <= QUEUE + 2, "nothing bounds the queue");
        };
        assert!(matches!(busy, Err(PasswordError::Busy { .. })));
        assert!(waiting.len() >= QUEUE);
        drop(release);
    }

    #[tokio::test]
    async fn hashes_run_on_few_threads() {
        let pool = PasswordPool::new(2).unwrap();
        let mut names = std::collections::HashSet::new();
        for _ in 0..20 {
            names.insert(pool.run(|| Ok(thread::current().name().map(str::to_owned))).await.unwrap());
        }
        let expected = [Some("argon2-0".to_owned()), Some("argon2-1".to_owned())].into();
        assert!(names.is_subset(&expected), "{names:?}");
    }
}
