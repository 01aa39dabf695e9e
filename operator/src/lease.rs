//! One leader at a time, by a `coordination.k8s.io/v1` Lease, with the times of client-go.
//!
//! Clocks of different machines are never compared: a replica takes the Lease over when *it* has seen the same record
//! for longer than the lease lasts. Writes carry the resourceVersion that was read, so of two replicas that try at
//! once one gets a conflict. What a leader does ends when it cannot renew in time ([`Candidate::lead`]), and then its process: the caller does that. The time of a
//! leader counts from when it *asked* to renew, since whoever stands by may have seen the renewal long before a slow API server answered.
//!
//! A request that is on its way at that moment may still be carried out. Five seconds lie between the end of one leader's work and the beginning of the next one's, unless
//! somebody gives the Lease away by hand.

use std::{future::Future, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::Instant;

/// How long a leader that died is waited for.
const LEASE: Duration = Duration::from_secs(15);
/// A leader that could not renew for this long must stop before others may begin; smaller than [`LEASE`].
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Pause between tries, both to renew and to take over.
const RETRY: Duration = Duration::from_secs(2);

/// The Lease was lost, or was not renewed in time.
#[derive(Debug, thiserror::Error)]
#[error("lost the lease {lease}: {cause}")]
pub struct LeaseLost {
    lease: String,
    cause: String,
}

/// A candidate for one Lease.
#[derive(Debug)]
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
}

/// What a try to take or renew came to.
#[derive(Debug)]
enum Attempt {
    Held(Held),
    HeldByOther,
}

/// The Lease as this replica wrote it.
#[derive(Debug)]
pub struct Held {
    lease: Box<Lease>,
    /// When it asked for that: whoever stands by may have seen it since.
    asked: Instant,
}

/// What the Lease says of another holder.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    holder: String,
    renewed: Option<MicroTime>,
}

/// The record of another holder and since when this replica has seen it unchanged.
#[derive(Debug, Default)]
struct Observation {
    seen: Option<(Record, Instant)>,
}

impl Observation {
    /// Whether the record has stood still for longer than the lease lasts.
    fn expired(&mut self, record: &Record, now: Instant) -> bool {
        match &self.seen {
            Some((known, since)) if known == record => now.duration_since(*since) > LEASE,
            _ => {
                self.seen = Some((record.clone(), now));
                false
            }
        }
    }

    fn holder(&self) -> Option<&str> {
        self.seen.as_ref().map(|(record, _)| record.holder.as_str())
    }
}

impl Candidate {
    /// A candidate called `identity` for the Lease `namespace/name`.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned(), identity: identity.to_owned() }
    }

    /// Waits until this replica is the leader. Failures to reach the API server are logged and tried again.
    pub async fn acquire(&self) -> Held {
        let mut observation = Observation::default();
        let mut waiting_for: Option<String> = None;
        loop {
            match self.attempt(&mut observation).await {
                // Not worth having when the answer took so long that others may begin soon.
                Ok(Attempt::Held(held)) if held.asked.elapsed() < RENEW_DEADLINE => return held,
                Ok(Attempt::Held(_)) => tracing::warn!(lease = self.name, "took the lease too slowly; trying again"),
                Ok(Attempt::HeldByOther) => {
                    // Once for each holder, not for each of its renewals.
                    if waiting_for.as_deref() != observation.holder() {
                        waiting_for = observation.holder().map(str::to_owned);
                        tracing::info!(lease = self.name, holder = waiting_for, "another replica leads; standing by");
                    }
                }
                Err(error) => tracing::warn!(lease = self.name, %error, "failed to take the lease; trying again"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Does `work` as the leader that [`Candidate::acquire`] has made of this replica. It is dropped where it stands when the Lease is lost.
    ///
    /// # Errors
    /// The Lease was lost before `work` had ended.
    pub async fn lead<T>(&self, held: Held, work: impl Future<Output = T>) -> Result<T, LeaseLost> {
        tokio::select! {
            // First: work that always has something to do must not go on for one more step.
            biased;
            lost = self.hold(held) => Err(lost),
            done = work => Ok(done),
        }
    }

    /// Renews until the Lease is lost. Returns only then.
    async fn hold(&self, mut held: Held) -> LeaseLost {
        let lost = |cause: String| LeaseLost { lease: self.name.clone(), cause };
        let mut observation = Observation::default();
        loop {
            tokio::time::sleep(RETRY).await;
            // A request that hangs must not outlive the deadline: another replica may begin soon after it.
            let left = RENEW_DEADLINE.saturating_sub(held.asked.elapsed());
            let cause = match tokio::time::timeout(left, self.renew(&held, &mut observation)).await {
                Ok(Ok(Attempt::Held(renewed))) => {
                    held = renewed;
                    continue;
                }
                Ok(Ok(Attempt::HeldByOther)) => return lost("another replica took it".to_owned()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the API server did not answer in time".to_owned(),
            };
            tracing::warn!(lease = self.name, cause, "failed to renew the lease");
            if held.asked.elapsed() >= RENEW_DEADLINE {
                return lost(cause);
            }
        }
    }

    /// Renews with one request where nobody else has written the Lease, so that a slow API server costs half of the time.
    async fn renew(&self, held: &Held, observation: &mut Observation) -> kube::Result<Attempt> {
        match self.write((*held.lease).clone()).await {
            // Deleted, or written by somebody: who holds it, only a look tells.
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {
                self.attempt(observation).await
            }
            written => written.map(Attempt::Held),
        }
    }

    /// Gives the Lease back, so that the next replica need not wait for it to run out.
    ///
    /// # Errors
    /// When the API server refuses; the Lease then runs out by itself.
    pub async fn release(&self) -> kube::Result<()> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return Ok(());
        }
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        self.api.replace(&self.name, &PostParams::default(), &lease).await.map(|_| ())
    }

    async fn attempt(&self, observation: &mut Observation) -> kube::Result<Attempt> {
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            let asked = Instant::now();
            let made = self.api.create(&PostParams::default(), &self.fresh()).await;
            return conflict_means_other(made.map(|lease| Held { lease: Box::new(lease), asked }));
        };
        if let Some((holder, spec)) = self.other(&lease) {
            let record = Record { holder, renewed: spec.renew_time.clone() };
            if !observation.expired(&record, Instant::now()) {
                return Ok(Attempt::HeldByOther);
            }
        }
        conflict_means_other(self.write(lease).await)
    }

    /// Who holds it, if that is another replica.
    fn other<'a>(&self, lease: &'a Lease) -> Option<(String, &'a LeaseSpec)> {
        let spec = lease.spec.as_ref()?;
        let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty())?;
        (holder != self.identity).then_some((holder, spec))
    }

    /// Makes it this replica's from now on; it must be as it was read.
    async fn write(&self, mut lease: Lease) -> kube::Result<Held> {
        let spec = lease.spec.get_or_insert_default();
        let now = MicroTime(Timestamp::now());
        if spec.holder_identity.as_ref() != Some(&self.identity) {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default().saturating_add(1));
        }
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = Some(seconds(LEASE));
        spec.renew_time = Some(now);
        let asked = Instant::now();
        let written = self.api.replace(&self.name, &PostParams::default(), &lease).await?;
        Ok(Held { lease: Box::new(written), asked })
    }

    fn fresh(&self) -> Lease {
        let now = MicroTime(Timestamp::now());
        Lease {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(seconds(LEASE)),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            }),
        }
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

fn conflict_means_other(result: kube::Result<Held>) -> kube::Result<Attempt> {
    match result {
        Ok(held) => Ok(Attempt::Held(held)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Attempt::HeldByOther),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_expires_only_after_standing_still() {
        let start = Instant::now();
        let renewed = |second: i64| Record {
            holder: "a".to_owned(),
            renewed: Some(MicroTime(Timestamp::from_second(second).unwrap())),
        };
        let mut observation = Observation::default();
        assert!(!observation.expired(&renewed(1), start));
        assert!(!observation.expired(&renewed(1), start + LEASE));
        assert!(!observation.expired(&renewed(2), start + LEASE + RETRY), "a renewed record starts anew");
        assert!(observation.expired(&renewed(2), start + LEASE + LEASE + RETRY + RETRY));
        assert_eq!(observation.holder(), Some("a"), "the same holder whatever it renewed");
    }

    #[test]
    fn a_leader_stops_before_another_may_begin() {
        assert!(RENEW_DEADLINE + RETRY < LEASE);
    }
}
