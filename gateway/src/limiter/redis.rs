//! Token buckets in Redis, shared by all gateways: one script does it atomically, with the server's own clock.

use std::time::Duration;

use async_trait::async_trait;
use redis::Script;

use super::{BucketName, Limiter, LocalLimiter, Rate};
use crate::redis_link::RedisLink;

/// KEYS the buckets; ARGV tokens a minute and size of each. Answers 0 when a token of each was taken, else the milliseconds until there is
/// one in each. A key lives as long as an empty bucket takes to fill: after that it says nothing that its absence does not say.
const TAKE: &str = r"
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local left, wait = {}, 0
for n, key in ipairs(KEYS) do
  local rate, burst = tonumber(ARGV[2 * n - 1]), tonumber(ARGV[2 * n])
  local held = redis.call('HMGET', key, 'tokens', 'at')
  local tokens, at = tonumber(held[1]) or burst, tonumber(held[2]) or now
  left[n] = math.min(burst, tokens + math.max(0, now - at) * rate / 60000)
  if left[n] < 1 then wait = math.max(wait, math.ceil((1 - left[n]) * 60000 / rate)) end
end
for n, key in ipairs(KEYS) do
  local rate, burst = tonumber(ARGV[2 * n - 1]), tonumber(ARGV[2 * n])
  if wait == 0 then left[n] = left[n] - 1 end
  redis.call('HSET', key, 'tokens', tostring(left[n]), 'at', now)
  redis.call('PEXPIRE', key, math.ceil(burst * 60000 / rate) + 1000)
end
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
    async fn take_all(&self, buckets: &[(BucketName, Rate)]) -> Result<(), Duration> {
        let mut invocation = self.script.prepare_invoke();
        for (bucket, rate) in buckets {
            invocation.key(format!("{}{bucket}", self.prefix)).arg(rate.per_minute.max(1)).arg(rate.burst.max(1));
        }
        match self.link.invoke::<u64>(&invocation).await {
            Ok(0) => Ok(()),
            Ok(wait) => Err(Duration::from_millis(wait)),
            Err(_) => self.fallback.take_all(buckets).await,
        }
    }
}
