//! Password hashing with argon2id, on threads of its own. Hashing on the runtime's threads would freeze the sockets: 64 hashes at once
//! were seen to stop a healthy timer for over half a second elsewhere; so the pool is bounded, and a full one says so at once.
//!
//! Each thread keeps the 19 MiB that a hash needs and uses them again. Asked for anew each time, they stay with the allocator in one
//! arena after the other: 40 sign-ups left a gateway with 320 to 450 MB.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, PasswordHash, Salt},
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

/// What the pool's threads run, with the memory of the thread.
type Job = Box<dyn FnOnce(&mut [Block]) + Send>;

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
        let decoy = hash(&mut memory(), "an account that does not exist")?;
        let (queue, jobs) = mpsc::channel::<Job>(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..parallel.max(1) {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new().name(format!("argon2-{number}")).spawn(move || work(&jobs)).map_err(failed)?;
        }
        Ok(Self { queue, decoy })
    }

    /// Hashes a new password into a PHC string.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.run(move |memory| hash(memory, &password)).await
    }

    /// Whether the password fits the stored hash; `None` stands for an account that does not exist, and takes as long.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        let fits = self.run(move |memory| verify(memory, &password, &stored)).await?;
        Ok(fits && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut [Block]) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (answer, outcome) = oneshot::channel();
        // A caller that has gone away wants no answer any more.
        let job = Box::new(move |memory: &mut [Block]| drop(answer.send(work(memory))));
        self.queue.try_send(job).map_err(|_| PasswordError::Busy { retry_after: BUSY_RETRY })?;
        outcome.await.map_err(failed)?
    }
}

/// One thread of the pool: a job after the other until the pool is gone.
fn work(jobs: &Mutex<mpsc::Receiver<Job>>) {
    let mut memory = memory();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match job {
            Some(job) => job(&mut memory),
            None => return,
        }
    }
}

/// The memory of one hash; a block has 1 KiB.
fn memory() -> Vec<Block> {
    vec![Block::default(); MEMORY_KIB as usize]
}

fn failed(error: impl std::fmt::Display) -> PasswordError {
    PasswordError::Hash(error.to_string())
}

fn hash(memory: &mut [Block], password: &str) -> Result<String, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(failed)?;
    let salt: [u8; 16] = rand::random();
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: (&params).try_into().map_err(failed)?,
        salt: Some(Salt::try_from(salt.as_slice()).map_err(failed)?),
        hash: Some(compute(memory, params, password, &salt)?),
    };
    Ok(phc.to_string())
}

fn verify(memory: &mut [Block], password: &str, stored: &str) -> Result<bool, PasswordError> {
    let stored = PasswordHash::new(stored).map_err(failed)?;
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
        return Err(failed("the stored hash has no salt or no value"));
    };
    if stored.algorithm != Algorithm::Argon2id.ident() {
        return Err(failed("the stored hash is not of argon2id"));
    }
    // The comparison of outputs takes the same time wherever they differ.
    Ok(compute(memory, Params::try_from(&stored).map_err(failed)?, password, salt)? == *expected)
}

fn compute(memory: &mut [Block], params: Params, password: &str, salt: &[u8]) -> Result<Output, PasswordError> {
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password.as_bytes(), salt, &mut output, memory)
        .map_err(failed)?;
    Output::try_from(output.as_slice()).map_err(failed)
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

    #[test]
    fn the_hash_is_one_that_any_argon2_reads_and_writes() {
        use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
        let ours = hash(&mut memory(), "secret").unwrap();
        let parsed = PasswordHash::new(&ours).unwrap();
        Argon2::default().verify_password(b"secret", &parsed).unwrap();
        Argon2::default().verify_password(b"Secret", &parsed).unwrap_err();
        let theirs = Argon2::default().hash_password(b"secret").unwrap().to_string();
        assert!(verify(&mut memory(), "secret", &theirs).unwrap());
        assert_ne!(ours, hash(&mut memory(), "secret").unwrap(), "the salt is not random");
        assert!(verify(&mut memory(), "secret", "$argon2id$v=19$m=19456").is_err());
    }

    #[tokio::test]
    async fn a_full_pool_says_so_at_once() {
        let pool = PasswordPool::new(1).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let holding = pool.run(move |_| held.recv().map_err(failed));
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
            names.insert(pool.run(|_| Ok(thread::current().name().map(str::to_owned))).await.unwrap());
        }
        let expected = [Some("argon2-0".to_owned()), Some("argon2-1".to_owned())].into();
        assert!(names.is_subset(&expected), "{names:?}");
    }
}
