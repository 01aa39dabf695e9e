//! Token buckets in Redis, shared by all gateways: one script does it atomically, with the server's own clock.

use std::time::Duration;

use async_trait::async_trait;
use redis::Script;

use super::{Limiter, LocalLimiter, Rate};
use crate::redis_link::RedisLink;

/// KEYS\[1\] the bucket; ARGV\[1\] tokens a minute, ARGV\[2\] size. Answers 0 when a token was taken, else the milliseconds until one is there.
/// The key lives as long as an empty bucket takes to fill: after that it says nothing that its absence does not say.
const TAKE: &str = r"
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(held[1]) or burst, tonumber(held[2]) or now
tokens = math.min(burst, tokens + math.max(0, now - at) * rate / 60000)
local wait = 0
if tokens >= 1 then tokens = tokens - 1 else wait = math.ceil((1 - tokens) * 60000 / rate) end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(burst * 60000 / rate) + 1000)
return wait
";

/// [`Limiter`] on Redis, with [`LocalLimiter`] while it is away.
pub struct RedisLimiter {
    link: RedisLink,
    prefix: String,
    script: Script,
    fallback: LocalLimiter,
}

impl RedisLimiter {
    /// Buckets stand under `<cluster>:limit:` in Redis.
    pub fn new(link: RedisLink, cluster: &str) -> Self {
        Self { link, prefix: format!("{cluster}:limit:"), script: Script::new(TAKE), fallback: LocalLimiter::default() }
    }
}

#[async_trait]
impl Limiter for RedisLimiter {
    async fn take(&self, bucket: &str, rate: Rate) -> Result<(), Duration> {
        let mut invocation = self.script.key(format!("{}{bucket}", self.prefix));
        invocation.arg(rate.per_minute.max(1)).arg(rate.burst.max(1));
        match self.link.invoke::<u64>(&invocation).await {
            Ok(0) => Ok(()),
            Ok(wait) => Err(Duration::from_millis(wait)),
            Err(_) => self.fallback.take(bucket, rate).await,
        }
    }
}
