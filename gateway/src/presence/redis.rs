//! Presence over all gateways, in Redis. Each user has a sorted set: a member per gateway, scored with the time until which that gateway
//! vouches for the user. A gateway that dies stops vouching, and its users go offline when another gateway has inherited them (`roll`),
//! or at the latest when their scores have passed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;
use redis::Script;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Attendance, Estate, News, Presence,
    counts::Counts,
    late::Late,
    roll::{Roll, Standing},
};
use crate::{model::UserId, redis_link::RedisLink};

/// How long a gateway vouches. Three renewals fit, so that a short outage of Redis takes nobody offline.
const VOUCH: Duration = Duration::from_secs(45);
const RENEW: Duration = Duration::from_secs(15);
/// Users in one script call: keeps each well below the time a command may take.
const BATCH: usize = 200;

/// KEYS users; ARGV\[1\] gateway, ARGV\[2\] milliseconds to vouch. Answers for each user whether no other gateway vouches.
const ARRIVE: &str = r"
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local first = {}
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  local others = redis.call('ZCARD', key) - (redis.call('ZSCORE', key, ARGV[1]) and 1 or 0)
  first[i] = others == 0 and 1 or 0
  redis.call('ZADD', key, now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end
return first
";

/// KEYS\[1\] user; ARGV\[1\] gateway. Answers whether nobody vouches any more.
const LEAVE: &str = r"
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZCARD', KEYS[1]) == 0 and 1 or 0
";

/// KEYS users. Answers for each whether somebody vouches.
const ONLINE: &str = r"
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local online = {}
for i, key in ipairs(KEYS) do online[i] = redis.call('ZCOUNT', key, '(' .. now, '+inf') > 0 and 1 or 0 end
return online
";

/// [`Presence`] on Redis.
pub struct RedisPresence {
    shared: Arc<Shared>,
}

struct Shared {
    link: RedisLink,
    prefix: String,
    gateway: String,
    roll: Roll,
    counts: Counts,
    late: Late,
    arrive: Script,
    leave: Script,
    online: Script,
}

impl RedisPresence {
    /// Starts renewing in the background. Keys stand under `<cluster>:presence:`. A gateway that gives no sign of life for `life` counts
    /// as dead.
    pub fn start(link: RedisLink, cluster: &str, gateway: &str, life: Duration, stop: CancellationToken) -> Self {
        let prefix = format!("{cluster}:presence:");
        // A process that takes the place and the name of one that died does not have its connections.
        let gateway = format!("{gateway}/{:016x}", rand::random::<u64>());
        let shared = Arc::new(Shared {
            roll: Roll::new(link.clone(), &prefix, gateway.clone(), life),
            link,
            prefix,
            gateway,
            counts: Counts::default(),
            late: Late::new(VOUCH),
            arrive: Script::new(ARRIVE),
            leave: Script::new(LEAVE),
            online: Script::new(ONLINE),
        });
        let renewing = Arc::clone(&shared);
        tokio::spawn(async move { stop.run_until_cancelled_owned(renewing.renew()).await });
        Self { shared }
    }
}

impl Shared {
    fn key(&self, user: UserId) -> String {
        format!("{}{user}", self.prefix)
    }

    async fn vouch(&self, users: &[UserId]) -> Option<Vec<u8>> {
        tokio::join!(self.roll.enlist(users), self.vouch_only(users)).1
    }

    async fn vouch_only(&self, users: &[UserId]) -> Option<Vec<u8>> {
        let mut call = self.arrive.prepare_invoke();
        for user in users {
            call.key(self.key(*user));
        }
        call.arg(&self.gateway).arg(u64::try_from(VOUCH.as_millis()).unwrap_or(u64::MAX));
        self.link.invoke(&call).await.ok()
    }

    /// Vouches for everyone here, every now and then, and at once when Redis is back: it may have forgotten everything.
    async fn renew(&self) {
        let mut state = self.link.state();
        loop {
            self.vouch_for_all().await;
            let pause = sleep(RENEW);
            tokio::pin!(pause);
            tokio::select! {
                () = &mut pause => {}
                changed = state.changed() => {
                    if changed.is_err() {
                        // The link has stopped, and so does this gateway.
                        return;
                    }
                }
            }
        }
    }

    /// Vouches for everyone here. Answers those for whom no other gateway did.
    async fn vouch_for_all(&self) -> Vec<UserId> {
        let mut only_here = Vec::new();
        for batch in self.counts.users().chunks(BATCH) {
            let first = self.vouch(batch).await.unwrap_or_default();
            only_here.extend(batch.iter().zip(first).filter(|(_, first)| *first == 1).map(|(user, _)| *user));
            for user in batch.iter().filter(|user| !self.counts.has(**user)) {
                self.withdraw(*user).await;
            }
        }
        only_here.retain(|user| self.counts.has(*user));
        only_here
    }

    /// Does again what Redis did not take at once. Answers those of whom somebody may have been answered something wrong meanwhile.
    async fn catch_up(&self) -> News {
        let mut news = News::default();
        let (here, gone): (Vec<_>, Vec<_>) = self.late.take().into_iter().partition(|(user, _)| self.counts.has(*user));
        for batch in here.chunks(BATCH) {
            let users: Vec<UserId> = batch.iter().map(|(user, _)| *user).collect();
            match self.vouch(&users).await {
                Some(first) => {
                    let first =
                        users.into_iter().zip(first).filter(|(user, first)| *first == 1 && self.counts.has(*user));
                    news.online.extend(first.map(|(user, _)| user));
                }
                None => self.late.put_back(batch),
            }
        }
        for (user, since) in gone {
            match self.withdraw(user).await {
                Some(true) if !self.counts.has(user) => news.offline.push(user),
                Some(_) => {}
                None => self.late.put_back(&[(user, since)]),
            }
        }
        news
    }

    /// Vouches no more; whether nobody else does, if Redis answers.
    async fn withdraw(&self, user: UserId) -> Option<bool> {
        tokio::join!(self.roll.delist(user), self.withdraw_for(&self.gateway, user)).1
    }

    async fn withdraw_for(&self, gateway: &str, user: UserId) -> Option<bool> {
        let mut call = self.leave.key(self.key(user));
        call.arg(gateway);
        self.link.invoke::<u8>(&call).await.ok().map(|last| last == 1)
    }
}

// Calls for one user may overtake each other on their way to Redis. So each one looks at the count again afterwards, and puts right what
// the other may have undone: whoever comes last sees the last count.
#[async_trait]
impl Presence for RedisPresence {
    async fn arrive(&self, user: UserId) -> bool {
        let shared = &self.shared;
        if !shared.counts.add(user) {
            return false;
        }
        let vouched = shared.vouch(&[user]).await;
        if !shared.counts.has(user) {
            shared.withdraw(user).await;
        }
        if vouched.is_none() {
            shared.late.note(user);
        }
        // With Redis away nobody knows better than this gateway.
        vouched.is_none_or(|first| first == [1])
    }

    async fn leave(&self, user: UserId) -> bool {
        let shared = &self.shared;
        if !shared.counts.remove(user) {
            return false;
        }
        let last = shared.withdraw(user).await;
        if shared.counts.has(user) {
            shared.vouch(&[user]).await;
            return false;
        }
        if last.is_none() {
            shared.late.note(user);
        }
        last.unwrap_or(true)
    }

    async fn online(&self, users: &[UserId]) -> Attendance {
        let mut attendance = Attendance { users: Vec::with_capacity(users.len()), incomplete: false };
        for batch in users.chunks(BATCH) {
            let mut call = self.shared.online.prepare_invoke();
            for user in batch {
                call.key(self.shared.key(*user));
            }
            let shared: Option<Vec<u8>> = self.shared.link.invoke(&call).await.ok();
            for (at, user) in batch.iter().enumerate() {
                let known = shared.as_ref().and_then(|all| all.get(at)).map(|online| *online == 1);
                let online = known == Some(true) || self.shared.counts.has(*user);
                attendance.incomplete |= known.is_none() && !online;
                attendance.users.push(online);
            }
        }
        attendance
    }

    fn pulse(&self) -> Option<Duration> {
        Some(self.shared.roll.pulse())
    }

    async fn beat(&self) -> News {
        let back = match self.shared.roll.sign().await {
            None => return News::default(),
            Some(Standing::Known) => Vec::new(),
            Some(Standing::New) => {
                self.shared.vouch_for_all().await;
                Vec::new()
            }
            Some(Standing::Buried) => {
                tracing::warn!("this gateway gave no sign of life for so long that others took it for dead");
                self.shared.vouch_for_all().await
            }
        };
        let mut news = self.shared.catch_up().await;
        news.online.extend(back);
        news.online.sort_unstable();
        news.online.dedup();
        news
    }

    async fn inherit(&self) -> Option<Estate> {
        let (gateway, mut users) = self.shared.roll.inherit().await?;
        let last = join_all(users.iter().map(|user| self.shared.withdraw_for(&gateway, *user))).await;
        let mut last = last.into_iter();
        let mut offline = Vec::new();
        users.retain(|user| match last.next().flatten() {
            Some(true) => {
                offline.push(*user);
                true
            }
            Some(false) => true,
            // Redis went away: they come again.
            None => false,
        });
        Some(Estate { gateway, users, offline })
    }

    async fn settle(&self, estate: Estate) {
        self.shared.roll.settle(&estate.gateway, &estate.users).await;
    }
}
