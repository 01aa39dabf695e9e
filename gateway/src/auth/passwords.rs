//! Password hashing with argon2id, on a pool of its own size. Hashing on the runtime's threads would freeze the sockets: 64 hashes at once
//! were seen to stop a healthy timer for over half a second elsewhere; so the pool is bounded, and a full one says so at once.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::sync::Semaphore;

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

/// The pool.
pub struct PasswordPool {
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    /// Checked when the account does not exist, so that the answer takes as long as for one that does.
    decoy: String,
}

impl PasswordPool {
    /// Makes a pool that hashes at most `parallel` passwords at once (19 MiB each).
    ///
    /// # Errors
    /// [`PasswordError::Hash`] when argon2 cannot run at all.
    pub fn new(parallel: usize) -> Result<Self, PasswordError> {
        let parallel = parallel.max(1);
        Ok(Self {
            places: Arc::new(Semaphore::new(parallel)),
            queue: Arc::new(Semaphore::new(parallel + QUEUE)),
            decoy: hash("an account that does not exist")?,
        })
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
        let _queued = self.queue.try_acquire().map_err(|_| PasswordError::Busy { retry_after: BUSY_RETRY })?;
        let place =
            Arc::clone(&self.places).acquire_owned().await.map_err(|error| PasswordError::Hash(error.to_string()))?;
        tokio::task::spawn_blocking(move || {
            // Held by the work itself: a caller that goes away does not free the place before the work ends.
            let _place = place;
            work()
        })
        .await
        .map_err(|error| PasswordError::Hash(error.to_string()))?
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
        let pool = Arc::new(PasswordPool::new(1).unwrap());
        let held = pool.places.clone().acquire_owned().await.unwrap();
        let waiting: Vec<_> = (0..=QUEUE)
            .map(|_| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { pool.hash("x".into()).await.map(|_| ()) })
            })
            .collect();
        while pool.queue.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.hash("x".into()).await, Err(PasswordError::Busy { .. })));
        for task in &waiting {
            task.abort();
        }
        drop(held);
    }
}
