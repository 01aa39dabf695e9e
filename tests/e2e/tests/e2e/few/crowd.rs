//! Many devices of some people, who write and read all the time while every message is counted.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use chat_test_client::{Account, Addresses, Client, ClientConfig, Ledger, Patience};
use e2e::{
    ChatCluster,
    crowd::sign_up,
    wait::{Seen, until},
};
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use tokio::time::sleep;
use uuid::Uuid;

use crate::shared::SETTLE_LIMIT;

/// Sign-ins at the same time.
const AT_ONCE: usize = 200;
/// Time for everybody to come, or to come back.
const COURSE_LIMIT: Duration = Duration::from_secs(300);

/// Lets this process's threads go before others. In truth the devices of five thousand people have processors of their own; here they would get a small
/// part of two, and take minutes to read what they were sent in time.
pub(super) fn go_first() -> Result<()> {
    // Where a session's processes are scheduled as one, their share among the sessions is the group's.
    if Path::new("/proc/self/autogroup").exists() {
        fs::write("/proc/self/autogroup", "-12").context("failed to raise this session's priority")?;
    }
    for thread in fs::read_dir("/proc/self/task").context("failed to list the threads of this process")? {
        let thread = thread?.file_name();
        let done =
            Command::new("renice").args(["-n", "-12", "-p"]).arg(&thread).output().context("failed to run renice")?;
        ensure!(done.status.success(), "renice: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}

/// What a writer did until it was over.
#[derive(Default)]
struct Talk {
    /// The seq of its last message.
    last: u64,
    /// For each message, the second in which it was sent, and how long its acknowledgement took, in milliseconds.
    waits: Vec<(u32, f64)>,
}

/// Writes again and again until it is over.
async fn talk(writer: &Client, room: Uuid, pause: Duration, begin: Instant, over: &AtomicBool) -> Result<Talk> {
    let mut talk = Talk::default();
    // Not all in the same moment.
    sleep(pause.mul_f64(rand::random())).await;
    while !over.load(Relaxed) {
        let (second, sent) = (begin.elapsed().as_secs(), Instant::now());
        talk.last = writer.send(room, &format!("message {}", talk.waits.len())).await?.seq;
        talk.waits.push((u32::try_from(second)?, sent.elapsed().as_secs_f64() * 1_000.0));
        sleep(pause).await;
    }
    Ok(talk)
}

/// People with devices; those who came last go first.
pub(super) struct Crowd {
    pub(super) ledger: Ledger,
    addresses: Addresses,
    accounts: Vec<Account>,
    rooms: Vec<Uuid>,
    writers: Vec<Client>,
    pub(super) devices: Vec<Client>,
    /// What [`talk_during`](Self::talk_during) measured last: the second in which a message was sent, and how long its acknowledgement took, in milliseconds.
    pub(super) waits: Vec<(u32, f64)>,
}

impl Crowd {
    /// Signs so many people up, and has one device of each make its room.
    pub(super) async fn found(cluster: &ChatCluster, people: usize) -> Result<Self> {
        let services: Api<Service> = Api::namespaced(cluster.world.client.clone(), &cluster.namespace);
        let service = services.get(&format!("{}-gateway", cluster.name)).await?;
        let address = service.spec.and_then(|spec| spec.cluster_ip).context("a Service without an address")?;
        let addresses = Addresses::new(vec![format!("{address}:80")]);
        let ledger = Ledger::new();
        let (mut accounts, mut rooms, mut writers) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..people {
            let account = sign_up(&addresses, &format!("person{number}")).await?;
            let mut config = ClientConfig::new(account.clone(), addresses.clone(), ledger.clone());
            config.name = format!("writer-{number}");
            config.patience = COURSE_LIMIT;
            config.event_buffer = 1;
            let writer = Client::start(config).await?;
            let room = writer.create_room("group", "all my devices", &[]).await?.id;
            ledger.expect_member(writer.id(), room);
            accounts.push(account);
            rooms.push(room);
            writers.push(writer);
        }
        Ok(Self { ledger, addresses, accounts, rooms, writers, devices: Vec::new(), waits: Vec::new() })
    }

    /// More devices come, until there are so many.
    pub(super) async fn come(&mut self, people: usize) -> Result<()> {
        let started = Instant::now();
        let numbers = self.devices.len()..people;
        let more = numbers.map(|number| {
            let account = &self.accounts[number % self.accounts.len()];
            let mut config = ClientConfig::new(account.clone(), self.addresses.clone(), self.ledger.clone());
            config.name = format!("device-{number}");
            config.patience = COURSE_LIMIT;
            // Nobody reads them, and five thousand times the usual is the machine's memory.
            config.event_buffer = 1;
            config.reconnect = Patience::DOCUMENTED;
            Client::start(config)
        });
        let more: Vec<Client> = stream::iter(more).buffered(AT_ONCE).try_collect().await?;
        println!("{} more people came within {:.1} s", more.len(), started.elapsed().as_secs_f64());
        self.devices.extend(more);
        Ok(())
    }

    /// Devices go, until there are so many.
    pub(super) async fn go(&mut self, people: usize) {
        let gone = self.devices.split_off(people);
        gone.iter().for_each(Client::stop);
        // What was under way arrives or does not; afterwards nothing is owed to them.
        sleep(Duration::from_secs(2)).await;
        for device in &gone {
            self.ledger.went(device.id());
        }
        println!("{} people went", gone.len());
    }

    /// Lets one device of each of them write every `pause` until `story` is over, and counts what became of every message.
    pub(super) async fn talk_during<F>(&mut self, pause: Duration, story: F) -> Result<()>
    where
        F: AsyncFnOnce(&mut Self) -> Result<()>,
    {
        let writers = std::mem::take(&mut self.writers);
        let (over, rooms) = (AtomicBool::new(false), self.rooms.clone());
        let begin = Instant::now();
        let pairs = writers.iter().zip(&rooms);
        let talks = try_join_all(pairs.map(|(writer, room)| talk(writer, *room, pause, begin, &over)));
        let story = async {
            let told = story(self).await;
            over.store(true, Relaxed);
            told
        };
        let (talks, told) = tokio::join!(talks, story);
        told?;
        let talks: Vec<Talk> = talks?;
        let people = rooms.len();
        let devices = self.devices.iter().enumerate().map(|(number, device)| (number % people, device));
        for (account, device) in devices.chain(writers.iter().enumerate()) {
            let arrived = device.wait_position(rooms[account], talks[account].last, SETTLE_LIMIT).await;
            let room = rooms[account];
            ensure!(arrived, "{} is behind in its room: {:?}", device.account().user.name, device.position(room));
        }
        let verdict = self.ledger.verify();
        print!("{} devices, whatever happened\n{verdict}", self.devices.len() + people);
        verdict.assert_clean(talks.iter().map(|talk| talk.waits.len() as u64).sum());
        self.waits = talks.into_iter().flat_map(|talk| talk.waits).collect();
        self.writers = writers;
        Ok(())
    }

    /// Waits until everybody is connected, and the status says so.
    pub(super) async fn wait_connected(&self, cluster: &ChatCluster) -> Result<()> {
        let all = self.devices.len() + self.accounts.len();
        until("everybody to be connected", COURSE_LIMIT, || async {
            let away = self.devices.iter().filter(|device| device.standing().gateway.is_none()).count();
            let told = cluster.get().await?.data["status"]["connections"].as_u64().unwrap_or_default();
            let is_there = away == 0 && told as usize == all;
            Ok(if is_there {
                Seen::Yes(())
            } else {
                Seen::NotYet(format!("{away} are away, {told} of {all} are told"))
            })
        })
        .await
    }
}
