//! How much one user or address may do. [`Limiter`] is the contract; `redis` shares buckets between gateways, `local` keeps them in one process
//! and is what `redis` falls back to while Redis is away.

use std::time::Duration;

use async_trait::async_trait;

mod local;
mod redis;

pub use local::LocalLimiter;
pub use redis::RedisLimiter;

/// Names a bucket, such as `user:<id>` or `sign-in:<address>`; at most 200 bytes.
pub type BucketName = String;

/// Size and speed of a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a minute, at least 1.
    pub per_minute: u32,
    /// Tokens that a full bucket holds.
    pub burst: u32,
}

impl Rate {
    /// So many tokens a second.
    #[must_use]
    pub fn per_second(tokens: u32, burst: u32) -> Self {
        Self { per_minute: tokens.saturating_mul(60), burst }
    }
}

/// The contract.
#[async_trait]
pub trait Limiter: Send + Sync + 'static {
    /// Takes one token of each of these buckets, or none at all. `Err` carries the time until there will be one in each. Never fails for
    /// another reason, and never waits over 100 ms: while the shared buckets are out of reach, buckets of this process decide.
    async fn take_all(&self, buckets: &[(BucketName, Rate)]) -> Result<(), Duration>;

    /// The same with one bucket.
    async fn take(&self, bucket: &str, rate: Rate) -> Result<(), Duration> {
        self.take_all(&[(bucket.to_owned(), rate)]).await
    }
}
