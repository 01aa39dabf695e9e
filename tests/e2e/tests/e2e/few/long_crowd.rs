//! Five thousand people through all that an autoscaler meets: a step, a wave, half of the gateways lost, an operator that does not answer, and most of
//! them gone again. Those who stay write and read all the time, and every message is counted.

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
    ChatCluster, Namespace, World,
    breaking::freeze,
    crowd::sign_up,
    manifest,
    pods::Part,
    wait::{Seen, until},
};
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use crate::shared::{READY_LIMIT, SETTLE_LIMIT, turn};

/// Most people at the same time.
const EVERYBODY: usize = 5_000;
/// People at the beginning and at the end.
const FEW: usize = 500;
/// Accounts; each has a room for all its devices, and one device that writes.
const ACCOUNTS: usize = 50;
/// Connections that fit a gateway: eight gateways for everybody.
const CAPACITY: usize = 1_000;
/// Sign-ins at the same time.
const AT_ONCE: usize = 200;
/// Between two messages of an account.
const PAUSE: Duration = Duration::from_secs(4);
/// Time for a step of the course.
const COURSE_LIMIT: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test --long"]
async fn long_five_thousand_lose_nothing_whatever_happens_to_the_gateways() -> Result<()> {
    let _turn = turn().await?;
    go_first()?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-crowd").await?;
    let mut wanted = manifest::smallest("crowd");
    wanted["spec"]["gateways"] = json!({
        "connectionsPerGateway": CAPACITY,
        "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000 },
        "autoscaling": {
            "mode": "Native", "minReplicas": 2, "maxReplicas": 10, "scaleDown": { "windowSeconds": 20 },
        },
    });
    let cluster = ChatCluster::apply(&world, &namespace.name, &wanted).await?;
    cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    let mut crowd = Crowd::found(&cluster).await?;
    crowd.come(FEW).await?;
    let writers = std::mem::take(&mut crowd.writers);
    let (over, rooms) = (AtomicBool::new(false), crowd.rooms.clone());
    let talks = try_join_all(writers.iter().zip(&rooms).map(|(writer, room)| talk(writer, *room, &over)));
    let story = async {
        let told = crowd.story(&cluster, &world).await;
        over.store(true, Relaxed);
        told
    };
    let (talks, told) = tokio::join!(talks, story);
    told?;
    let last: Vec<(u64, u64)> = talks?;
    let devices = crowd.devices.iter().enumerate().map(|(number, device)| (number % ACCOUNTS, device));
    for (account, device) in devices.chain(writers.iter().enumerate()) {
        let arrived = device.wait_position(rooms[account], last[account].1, SETTLE_LIMIT).await;
        ensure!(arrived, "{} is behind in its room: {:?}", device.account().user.name, device.position(rooms[account]));
    }
    let verdict = crowd.ledger.verify();
    print!("{EVERYBODY} people, whatever happened\n{verdict}");
    verdict.assert_clean(last.iter().map(|(sent, _)| sent).sum());
    cluster.check_spec_is_the_users().await?;
    drop((crowd, writers));
    namespace.discard().await
}

/// Lets this process's threads go before others. In truth the devices of five thousand people have processors of their own; here they would get a small
/// part of two, and take minutes to read what they were sent in time.
fn go_first() -> Result<()> {
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

/// Writes again and again until it is over; how many messages, and the seq of the last.
async fn talk(writer: &Client, room: Uuid, over: &AtomicBool) -> Result<(u64, u64)> {
    let (mut sent, mut last) = (0, 0);
    // Not all in the same moment.
    sleep(PAUSE.mul_f64(rand::random())).await;
    while !over.load(Relaxed) {
        last = writer.send(room, &format!("message {sent}")).await?.seq;
        sent += 1;
        sleep(PAUSE).await;
    }
    Ok((sent, last))
}

/// People with devices; those who came last go first.
struct Crowd {
    ledger: Ledger,
    addresses: Addresses,
    accounts: Vec<Account>,
    rooms: Vec<Uuid>,
    writers: Vec<Client>,
    devices: Vec<Client>,
}

impl Crowd {
    /// Signs everybody up, and has one device of each make its room.
    async fn found(cluster: &ChatCluster) -> Result<Self> {
        let services: Api<Service> = Api::namespaced(cluster.world.client.clone(), &cluster.namespace);
        let service = services.get(&format!("{}-gateway", cluster.name)).await?;
        let address = service.spec.and_then(|spec| spec.cluster_ip).context("a Service without an address")?;
        let addresses = Addresses::new(vec![format!("{address}:80")]);
        let ledger = Ledger::new();
        let (mut accounts, mut rooms, mut writers) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..ACCOUNTS {
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
        Ok(Self { ledger, addresses, accounts, rooms, writers, devices: Vec::new() })
    }

    /// More devices come, until there are so many.
    async fn come(&mut self, people: usize) -> Result<()> {
        let started = Instant::now();
        let numbers = self.devices.len()..people;
        let more = numbers.map(|number| {
            let account = &self.accounts[number % ACCOUNTS];
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
    async fn go(&mut self, people: usize) {
        let gone = self.devices.split_off(people);
        gone.iter().for_each(Client::stop);
        // What was under way arrives or does not; afterwards nothing is owed to them.
        sleep(Duration::from_secs(2)).await;
        for device in &gone {
            self.ledger.went(device.id());
        }
        println!("{} people went", gone.len());
    }

    async fn story(&mut self, cluster: &ChatCluster, world: &World) -> Result<()> {
        let started = Instant::now();
        self.come(EVERYBODY).await?;
        self.wait_gateways(cluster, 8).await?;
        println!("== {:.0} s: a wave", started.elapsed().as_secs_f64());
        self.go(EVERYBODY * 7 / 10).await;
        sleep(Duration::from_secs(30)).await;
        self.come(EVERYBODY).await?;
        println!("== {:.0} s: half of the gateways are lost", started.elapsed().as_secs_f64());
        let pods = cluster.ready_pods(Part::Gateway).await?;
        for pod in pods.iter().step_by(2) {
            cluster.kill_pod(pod).await?;
        }
        self.wait_connected(cluster).await?;
        println!("== {:.0} s: the operator does not answer, and people leave", started.elapsed().as_secs_f64());
        let operator = world.operator_pod().await?;
        let (frozen, ()) = tokio::join!(freeze(&operator, Duration::from_secs(60)), self.go(EVERYBODY / 2));
        frozen?;
        self.wait_connected(cluster).await?;
        println!("== {:.0} s: few stay", started.elapsed().as_secs_f64());
        self.go(FEW).await;
        until("two gateways to be enough", COURSE_LIMIT, || async {
            let pods = cluster.pods(Part::Gateway).await?.len();
            Ok(if pods == 2 { Seen::Yes(()) } else { Seen::NotYet(format!("{pods} gateways")) })
        })
        .await?;
        self.wait_connected(cluster).await?;
        println!("== {:.0} s: the end", started.elapsed().as_secs_f64());
        Ok(())
    }

    async fn wait_gateways(&self, cluster: &ChatCluster, least: usize) -> Result<()> {
        until(format!("{least} gateways"), COURSE_LIMIT, || async {
            let ready = cluster.ready_pods(Part::Gateway).await?.len();
            Ok(if ready >= least { Seen::Yes(()) } else { Seen::NotYet(format!("{ready} gateways are ready")) })
        })
        .await
    }

    /// Waits until everybody is connected, and the status says so.
    async fn wait_connected(&self, cluster: &ChatCluster) -> Result<()> {
        let all = self.devices.len() + ACCOUNTS;
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
