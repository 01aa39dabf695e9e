//! People who chat through a ChatCluster, each with devices pinned to a gateway.

use std::{future::Future, time::Duration};

use anyhow::{Context as _, Result, ensure};
use chat_test_client::{
    Account, Addresses, Client, ClientConfig, Ledger, Verdict, accounts,
    load::{self, Load, LoadReport, Progress},
};
use tokio::task::JoinHandle;

use crate::chat_cluster::ChatCluster;

/// What they say, again and again, while something happens.
const TALK: Load = Load { messages: 500, in_flight: 16, body_bytes: 100, per_second: 100 };
const PASSWORD: &str = "correct horse battery";
/// The broker brings it at once; when it does not, the outbox does within a few seconds.
const TOLD_LIMIT: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(120);

/// Two people with two devices each: every person is on both gateways, so that every message crosses in both directions.
pub struct Crowd {
    /// The ledger of all their devices.
    pub ledger: Ledger,
    /// Ann's device on the first gateway.
    pub ann: Client,
    /// Bob's device on the second gateway.
    pub bob: Client,
    /// Ann's device on the second gateway.
    pub ann_away: Client,
    /// Bob's device on the first gateway.
    pub bob_away: Client,
    /// The rooms in which both are.
    pub rooms: Vec<uuid::Uuid>,
    followers: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Signs up two people with names of their own, connects their devices and makes `rooms` group rooms.
    ///
    /// # Errors
    /// Fewer than two gateways are ready, or a step fails.
    pub async fn gather(cluster: &ChatCluster, rooms: usize) -> Result<Self> {
        let (first, follow_first) = follow_gateways(cluster, 0).await?;
        let (second, follow_second) = follow_gateways(cluster, 1).await?;
        let mut crowd = Self::assemble(&first, &second).await?;
        crowd.followers = vec![follow_first, follow_second];
        let gateways = [&crowd.ann, &crowd.bob].map(|client| client.standing().gateway);
        ensure!(gateways[0].is_some() && gateways[0] != gateways[1], "not on two gateways: {gateways:?}");
        crowd.make_rooms(rooms).await?;
        Ok(crowd)
    }

    /// The same people through something that chooses their gateways.
    ///
    /// # Errors
    /// A step fails.
    pub async fn through(way_in: &Addresses, rooms: usize) -> Result<Self> {
        let mut crowd = Self::assemble(way_in, way_in).await?;
        crowd.make_rooms(rooms).await?;
        Ok(crowd)
    }

    async fn assemble(first: &Addresses, second: &Addresses) -> Result<Self> {
        let ledger = Ledger::new();
        let ann = sign_up(first, "ann").await?;
        let bob = sign_up(second, "bob").await?;
        let device = |person: &Account, at: &Addresses, name: &str| {
            let mut config = ClientConfig::new(person.clone(), at.clone(), ledger.clone());
            config.name = name.to_owned();
            Client::start(config)
        };
        Ok(Self {
            ann: device(&ann, first, "ann").await?,
            bob: device(&bob, second, "bob").await?,
            ann_away: device(&ann, second, "ann-away").await?,
            bob_away: device(&bob, first, "bob-away").await?,
            ledger: ledger.clone(),
            rooms: Vec::new(),
            followers: Vec::new(),
        })
    }

    async fn make_rooms(&mut self, rooms: usize) -> Result<()> {
        let bob = self.bob.account().user.id.to_string();
        for number in 0..rooms {
            let room = self.ann.create_room("group", &format!("room {number}"), std::slice::from_ref(&bob)).await?;
            for device in self.devices() {
                self.ledger.expect_member(device.id(), room.id);
            }
            self.rooms.push(room.id);
        }
        for room in &self.rooms {
            self.arrived(*room, 0).await?;
        }
        Ok(())
    }

    /// Waits until every device has the messages of a room up to `seq`; 0 = until it knows the room.
    ///
    /// # Errors
    /// One has not within 15 s.
    pub async fn arrived(&self, room: uuid::Uuid, seq: u64) -> Result<()> {
        for device in self.devices() {
            let arrived = device.wait_position(room, seq, TOLD_LIMIT).await;
            let (name, has) = (device.account().user.name.as_str(), device.position(room));
            ensure!(arrived, "{name} has {has:?} of {room} after {} s, not {seq}", TOLD_LIMIT.as_secs());
        }
        Ok(())
    }

    /// All devices.
    #[must_use]
    pub fn devices(&self) -> [&Client; 4] {
        [&self.ann, &self.bob, &self.ann_away, &self.bob_away]
    }

    /// How often each device has connected.
    #[must_use]
    pub fn connections(&self) -> Vec<u32> {
        self.devices().iter().map(|device| device.standing().connections).collect()
    }

    /// Ann and Bob send the load from their two gateways; ends when every device has everything.
    ///
    /// # Errors
    /// A message is not acknowledged within two minutes, or a device does not get everything within another two.
    pub async fn chat(&self, load: Load, progress: &Progress) -> Result<LoadReport> {
        let report = load::run(&[&self.ann, &self.bob], &self.rooms, load, progress).await?;
        self.settle(&report).await?;
        Ok(report)
    }

    /// Ann and Bob talk for as long as `story` goes on; then every device has everything, and the judgement under the headline is a clean one.
    ///
    /// # Errors
    /// As [`chat`](Self::chat), or what the story ends with.
    ///
    /// # Panics
    /// A message is lost, doubled or out of order.
    pub async fn chat_during<T>(&self, headline: &str, story: impl Future<Output = Result<T>>) -> Result<T> {
        let (report, told) = load::run_during(&[&self.ann, &self.bob], &self.rooms, TALK, story).await?;
        self.settle(&report).await?;
        self.judge(headline, &report).assert_clean(report.acked);
        Ok(told)
    }

    /// Waits until every device has all that was acknowledged.
    async fn settle(&self, report: &LoadReport) -> Result<()> {
        let behind = load::settle(&self.devices(), report, PATIENCE).await;
        if !behind.is_empty() {
            let shown: Vec<_> = behind.iter().take(10).cloned().collect();
            println!("{} positions are behind:\n  {}\n{}", behind.len(), shown.join("\n  "), self.ledger.verify());
        }
        ensure!(behind.is_empty(), "{} positions are behind after {} s", behind.len(), PATIENCE.as_secs());
        Ok(())
    }

    /// Prints the counts under a headline and returns the judgement.
    #[must_use]
    pub fn judge(&self, headline: &str, report: &LoadReport) -> Verdict {
        let verdict = self.ledger.verify();
        let rate = report.acked as f64 / report.took.as_secs_f64();
        println!(
            "{headline}: {} messages acknowledged in {:.1} s ({rate:.0}/s), send to acknowledgement p50 {} ms, p99 {} ms",
            report.acked,
            report.took.as_secs_f64(),
            report.percentile(50).as_millis(),
            report.percentile(99).as_millis(),
        );
        print!("{verdict}");
        verdict
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for follower in &self.followers {
            follower.abort();
        }
    }
}

/// Addresses for a client pinned to gateway number `index`: that gateway while its pod is ready, and the others behind it.
/// Kept up to date until the task is aborted.
///
/// # Errors
/// That gateway is not there.
pub async fn follow_gateways(cluster: &ChatCluster, index: usize) -> Result<(Addresses, JoinHandle<()>)> {
    let ready = cluster.gateway_addresses().await?;
    let home = ready.get(index).with_context(|| format!("only {} gateways are ready", ready.len()))?.clone();
    let pinned = move |mut ready: Vec<String>| {
        ready.sort_by_key(|address| *address != home);
        ready
    };
    let addresses = Addresses::new(pinned(ready));
    let (follower, cluster) = (addresses.clone(), cluster.clone());
    let task = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            if let Ok(ready) = cluster.gateway_addresses().await
                && !ready.is_empty()
            {
                follower.set(pinned(ready));
            }
        }
    });
    Ok((addresses, task))
}

/// Signs up somebody under a name that nobody has.
///
/// # Errors
/// No gateway signs them up within a minute.
pub async fn sign_up(addresses: &Addresses, prefix: &str) -> Result<Account> {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let name = format!("{prefix}-{}", &unique[..12]);
    Ok(accounts::enter(addresses, &name, PASSWORD, Duration::from_secs(60)).await?)
}
