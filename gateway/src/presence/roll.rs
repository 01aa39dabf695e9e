//! The roll of gateways, in Redis: who lives, which users each has, and who speaks for one that died.
//!
//! A gateway signs the roll again and again and keeps a list of its users beside it. Where a signature is too old, any other gateway
//! may become the heir: one at a time, for a short while that it prolongs, so that an heir which dies has an heir too. The heir tells
//! what there is to tell, strikes those users off the list, and at last strikes the gateway off the roll. A gateway that was only slow
//! finds out with its next signature that it was buried.
//!
//! All keys have the hash tag `{gateways}`, and each script touches no others.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use redis::Script;
use tokio::time::Instant;

use crate::{model::UserId, redis_link::RedisLink};

/// Signatures within the time after which a gateway counts as dead.
const SIGNATURES: u32 = 5;
/// Lives of a gateway for which an heir is alone with users before another one may take them.
const HEIR: u32 = 2;
/// How long what a gateway left is kept when nobody comes for it.
const KEPT: Duration = Duration::from_secs(86_400);
/// Users taken at once.
const USERS: usize = 50;

/// KEYS roll, list of the gateway, mark that it was buried; ARGV gateway, milliseconds to live, milliseconds to keep. Answers 0, 1 when
/// the gateway was not on the roll, 2 when it was buried.
const SIGN: &str = r"
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
if redis.call('DEL', KEYS[3]) == 1 then return 2 end
return known and 0 or 1
";

/// KEYS list of the gateway; ARGV milliseconds to keep, users.
const ENLIST: &str = r"
redis.call('SADD', KEYS[1], unpack(ARGV, 2))
return redis.call('PEXPIRE', KEYS[1], ARGV[1])
";

/// KEYS list of the gateway; ARGV users.
const DELIST: &str = "return redis.call('SREM', KEYS[1], unpack(ARGV))";

/// KEYS roll; ARGV prefix of the other keys, heir, milliseconds for the heir, milliseconds to keep, users at most. Answers a dead gateway
/// and users of it; nothing when no gateway is dead, or others see to it.
const INHERIT: &str = r"
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  local heir = ARGV[1] .. ':heir:' .. dead
  if redis.call('SET', heir, ARGV[2], 'NX', 'PX', ARGV[3]) or redis.call('GET', heir) == ARGV[2] then
    local users = redis.call('SRANDMEMBER', ARGV[1] .. ':on:' .. dead, ARGV[5])
    if #users > 0 then
      redis.call('PEXPIRE', heir, ARGV[3])
      redis.call('SET', ARGV[1] .. ':buried:' .. dead, 1, 'PX', ARGV[4])
      table.insert(users, 1, dead)
      return users
    end
    redis.call('ZREM', KEYS[1], dead)
    redis.call('DEL', heir)
  end
end
return {}
";

/// KEYS roll, list of the dead gateway, mark that it was buried; ARGV gateway, milliseconds to keep, users that were seen to. One that
/// came back meanwhile is told with its next signature.
const SETTLE: &str = r"
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('SREM', KEYS[2], unpack(ARGV, 3))
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) > now then redis.call('SET', KEYS[3], 1, 'PX', ARGV[2]) end
return 1
";

/// How a gateway stands with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is on the roll.
    Known,
    /// It was not: it is new, or Redis has forgotten everything.
    New,
    /// It counted as dead, and an heir has spoken for it.
    Buried,
}

/// See the module's documentation.
pub(super) struct Roll {
    link: RedisLink,
    /// What all keys begin with; the roll itself is this key.
    base: String,
    gateway: String,
    life: Duration,
    /// First and last of the signatures that followed each other in time.
    signed: Mutex<Option<(Instant, Instant)>>,
    sign: Script,
    enlist: Script,
    delist: Script,
    inherit: Script,
    settle: Script,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Roll {
    pub(super) fn new(link: RedisLink, prefix: &str, gateway: String, life: Duration) -> Self {
        Self {
            link,
            base: format!("{prefix}{{gateways}}"),
            gateway,
            life,
            signed: Mutex::new(None),
            sign: Script::new(SIGN),
            enlist: Script::new(ENLIST),
            delist: Script::new(DELIST),
            inherit: Script::new(INHERIT),
            settle: Script::new(SETTLE),
        }
    }

    /// How often to sign.
    pub(super) fn pulse(&self) -> Duration {
        self.life / SIGNATURES
    }

    fn list_of(&self, gateway: &str) -> String {
        format!("{}:on:{gateway}", self.base)
    }

    fn burial_of(&self, gateway: &str) -> String {
        format!("{}:buried:{gateway}", self.base)
    }

    /// Signs; nothing while Redis is away.
    pub(super) async fn sign(&self) -> Option<Standing> {
        let mut call = self.sign.key(&self.base);
        call.key(self.list_of(&self.gateway)).key(self.burial_of(&self.gateway));
        call.arg(&self.gateway).arg(millis(self.life)).arg(millis(KEPT));
        let answer: Option<u8> = self.link.invoke(&call).await.ok();
        let now = Instant::now();
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        *signed = match (answer, *signed) {
            (None, _) => None,
            (Some(_), Some((first, last))) if now.duration_since(last) < self.life => Some((first, now)),
            (Some(_), _) => Some((now, now)),
        };
        answer.map(|answer| match answer {
            0 => Standing::Known,
            1 => Standing::New,
            _ => Standing::Buried,
        })
    }

    /// Whether this gateway may judge others: when Redis was away, nobody could sign, and the others get the time to do so first.
    fn may_judge(&self) -> bool {
        let signed = *self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        signed.is_some_and(|(first, last)| last.duration_since(first) >= self.life && last.elapsed() < self.life)
    }

    /// Puts users on this gateway's list.
    pub(super) async fn enlist(&self, users: &[UserId]) {
        let mut call = self.enlist.key(self.list_of(&self.gateway));
        call.arg(millis(KEPT));
        for user in users {
            call.arg(user.to_string());
        }
        // With Redis away the renewal of presence does it again.
        let _ = self.link.invoke::<u8>(&call).await;
    }

    /// Takes a user from this gateway's list. When that fails, the heir finds the user nowhere, or elsewhere.
    pub(super) async fn delist(&self, user: UserId) {
        let mut call = self.delist.key(self.list_of(&self.gateway));
        call.arg(user.to_string());
        let _ = self.link.invoke::<u8>(&call).await;
    }

    /// A gateway that died and some of its users, of whom this gateway alone is to tell; [`Roll::settle`] must follow.
    pub(super) async fn inherit(&self) -> Option<(String, Vec<UserId>)> {
        if !self.may_judge() {
            return None;
        }
        let mut call = self.inherit.key(&self.base);
        call.arg(&self.base).arg(&self.gateway).arg(millis(self.life * HEIR)).arg(millis(KEPT)).arg(USERS);
        let mut answer = self.link.invoke::<Vec<String>>(&call).await.ok()?.into_iter();
        let dead = answer.next()?;
        Some((dead, answer.filter_map(|id| id.parse().ok().map(UserId)).collect()))
    }

    /// Strikes users off the list of a gateway that died.
    pub(super) async fn settle(&self, gateway: &str, users: &[UserId]) {
        if users.is_empty() {
            return;
        }
        let mut call = self.settle.key(&self.base);
        call.key(self.list_of(gateway)).key(self.burial_of(gateway)).arg(gateway).arg(millis(KEPT));
        for user in users {
            call.arg(user.to_string());
        }
        let _ = self.link.invoke::<u8>(&call).await;
    }
}
