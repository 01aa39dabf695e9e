//! Token buckets in this process: the limiter of a lone gateway, and what stands in while Redis is away.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{BucketName, Limiter, Rate};

/// Buckets kept at most; at the bound the full ones, which limit nobody, are forgotten.
const BUCKETS: usize = 100_000;

/// [`Limiter`] in memory.
#[derive(Default)]
pub struct LocalLimiter {
    buckets: Mutex<HashMap<String, Bucket>>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
    rate: Rate,
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        let gained = now.duration_since(self.at).as_secs_f64() * f64::from(self.rate.per_minute) / 60.0;
        self.tokens = (self.tokens + gained).min(f64::from(self.rate.burst));
        self.at = now;
    }
}

impl LocalLimiter {
    fn take_now(&self, wanted: &[(BucketName, Rate)], now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wait = Duration::ZERO;
        for (name, rate) in wanted {
            if buckets.len() >= BUCKETS && !buckets.contains_key(name) {
                buckets.retain(|_, bucket| {
                    bucket.refill(now);
                    bucket.tokens < f64::from(bucket.rate.burst)
                });
            }
            let full = || Bucket { tokens: f64::from(rate.burst), at: now, rate: *rate };
            let bucket = buckets.entry(name.clone()).or_insert_with(full);
            bucket.rate = *rate;
            bucket.refill(now);
            if bucket.tokens < 1.0 {
                let missing = (1.0 - bucket.tokens) * 60.0 / f64::from(rate.per_minute.max(1));
                wait = wait.max(Duration::from_secs_f64(missing));
            }
        }
        if !wait.is_zero() {
            return Err(wait);
        }
        for (name, _) in wanted {
            // One that was full and made room for another one of the same call is gone.
            if let Some(bucket) = buckets.get_mut(name) {
                bucket.tokens -= 1.0;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Limiter for LocalLimiter {
    async fn take_all(&self, buckets: &[(BucketName, Rate)]) -> Result<(), Duration> {
        self.take_now(buckets, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_minute: 120, burst: 3 };

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_the_rate() {
        let limiter = LocalLimiter::default();
        for _ in 0..3 {
            limiter.take("a", RATE).await.unwrap();
        }
        let wait = limiter.take("a", RATE).await.unwrap_err();
        assert_eq!(wait.as_millis(), 500);
        limiter.take("b", RATE).await.unwrap();
        tokio::time::advance(wait).await;
        limiter.take("a", RATE).await.unwrap();
        limiter.take("a", RATE).await.unwrap_err();
        tokio::time::advance(Duration::from_secs(60)).await;
        for _ in 0..3 {
            limiter.take("a", RATE).await.unwrap();
        }
        limiter.take("a", RATE).await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_buckets_each_gives_a_token_or_none_does() {
        let limiter = LocalLimiter::default();
        let both = [("small".to_owned(), Rate { burst: 1, ..RATE }), ("large".to_owned(), RATE)];
        limiter.take_all(&both).await.unwrap();
        for _ in 0..5 {
            assert_eq!(limiter.take_all(&both).await.unwrap_err().as_millis(), 500);
        }
        for _ in 0..2 {
            limiter.take("large", RATE).await.unwrap();
        }
        limiter.take("large", RATE).await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_by_forgetting_full_buckets() {
        let limiter = LocalLimiter::default();
        let now = Instant::now();
        for n in 0..BUCKETS {
            limiter.take_now(&[(n.to_string(), RATE)], now).unwrap();
        }
        limiter.take_now(&[("one more".to_owned(), RATE)], now + Duration::from_secs(10)).unwrap();
        assert_eq!(limiter.buckets.lock().unwrap().len(), 1);
    }
}
