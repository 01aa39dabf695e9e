//! The broker on three servers of Apache Kafka, one of which is away at a time: leaders move, and readers and producers with them.
//!
//! Two are stopped in order and the third is killed, which takes minutes: the test command runs this in its long form alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use chat_gateway::{
    broker::{self, Broker, Delivery, KafkaSettings, Key},
    model::RoomId,
};
use support::{eventually, kafka_cluster::KafkaCluster};
use tokio::{sync::mpsc::Receiver, time::timeout};
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);
const ROOMS: u128 = 20;

fn room(n: u128) -> Key {
    Key::Room(RoomId(Uuid::from_u128(n)))
}

async fn end(cluster: &KafkaCluster, name: &str) -> (Arc<dyn Broker>, Receiver<Delivery>) {
    let (broker, deliveries) = broker::on_kafka(KafkaSettings::new(cluster.config(), "test/demo", name));
    let broker: Arc<dyn Broker> = Arc::new(broker);
    available(&broker).await;
    for n in 0..ROOMS {
        broker.bind(room(n)).await.unwrap();
    }
    (broker, deliveries)
}

async fn available(broker: &Arc<dyn Broker>) {
    let mut state = broker.state();
    let standing = state.wait_for(|state| state.component.available);
    timeout(MINUTE, standing).await.expect("the broker is there within 60 s").unwrap();
}

fn epoch(broker: &Arc<dyn Broker>) -> u64 {
    broker.state().borrow().epoch
}

/// Numbers that were confirmed, by room.
type Confirmed = HashMap<Key, Vec<u64>>;

/// Publishes numbers to all rooms, each room in order, until told to stop.
async fn write(broker: &Arc<dyn Broker>, stop: &AtomicBool) -> (Confirmed, u64) {
    let writers = (0..ROOMS).map(|n| async move {
        let (mut confirmed, mut failed) = (Vec::new(), 0_u64);
        let mut number = 0;
        while !stop.load(SeqCst) {
            match broker.publish(room(n), Bytes::from(number.to_string())).await {
                Ok(()) => confirmed.push(number),
                Err(_) => {
                    failed += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            number += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ((room(n), confirmed), failed)
    });
    let outcomes = futures::future::join_all(writers).await;
    let failed = outcomes.iter().map(|(_, failed)| failed).sum();
    (outcomes.into_iter().map(|(confirmed, _)| confirmed).collect(), failed)
}

/// What came, by room, and the longest time in which nothing did.
struct Seen {
    rooms: Confirmed,
    last: Instant,
    longest: Duration,
}

impl Seen {
    fn note(&mut self, delivery: Option<Delivery>) {
        let delivery = delivery.expect("the broker goes on");
        let number = std::str::from_utf8(&delivery.body).unwrap().parse().unwrap();
        self.rooms.entry(delivery.key).or_default().push(number);
        self.longest = self.longest.max(self.last.elapsed());
        self.last = Instant::now();
    }

    fn missing(&self, confirmed: &Confirmed) -> usize {
        let missing = |(key, numbers): (&Key, &Vec<u64>)| {
            let here: HashSet<u64> = self.rooms.get(key).into_iter().flatten().copied().collect();
            numbers.iter().filter(|number| !here.contains(number)).count()
        };
        confirmed.iter().map(missing).sum()
    }

    /// How often something came after what it was written before, or twice.
    fn overtaken(&self) -> usize {
        let overtaken = |numbers: &Vec<u64>| numbers.windows(2).filter(|pair| pair[0] >= pair[1]).count();
        self.rooms.values().map(overtaken).sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_follow_partitions_to_their_leaders() {
    let cluster = KafkaCluster::start().await;
    let (a, _unread) = end(&cluster, "a").await;
    let (b, mut deliveries) = end(&cluster, "b").await;
    quiet_rooms_do_not_wait(&a, &mut deliveries).await;
    let mut lasted = 0;
    for node in 0..2 {
        lasted += u32::from(without_a_server(&cluster, (node, "TERM"), &a, (&b, &mut deliveries)).await);
    }
    assert!(lasted > 0, "no session outlives a server that is stopped in order");
    // Who dies without a word is missed after seconds, in which nothing is confirmed.
    without_a_server(&cluster, (2, "KILL"), &a, (&b, &mut deliveries)).await;
}

/// One gateway writes and the other reads while a server ends and comes back; whether the sessions lasted.
async fn without_a_server(
    cluster: &KafkaCluster,
    (node, signal): (usize, &str),
    a: &Arc<dyn Broker>,
    (b, deliveries): (&Arc<dyn Broker>, &mut Receiver<Delivery>),
) -> bool {
    let before = (epoch(a), epoch(b));
    let stop = AtomicBool::new(false);
    let breaking = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.end(node, signal).await;
        // Longer than a publish may take, so that every room has written without that server.
        tokio::time::sleep(Duration::from_secs(5)).await;
        cluster.up(node).await;
        available(a).await;
        available(b).await;
        stop.store(true, SeqCst);
    };
    let mut seen = Seen { rooms: Confirmed::new(), last: Instant::now(), longest: Duration::ZERO };
    let writing = async { tokio::join!(write(a, &stop), breaking).0 };
    tokio::pin!(writing);
    let (confirmed, failed) = loop {
        tokio::select! {
            written = &mut writing => break written,
            delivery = deliveries.recv() => seen.note(delivery),
        }
    };
    let lasts = || before == (epoch(a), epoch(b));
    // What was lost between sessions never comes, so once one ended there is little to wait for.
    let end = Instant::now() + MINUTE;
    let mut patience = 6;
    while seen.missing(&confirmed) > 0 && Instant::now() < end && (lasts() || patience > 0) {
        patience -= u32::from(!lasts());
        while let Ok(delivery) = timeout(Duration::from_millis(500), deliveries.recv()).await {
            seen.note(delivery);
        }
    }
    let lasted = lasts();
    for (key, numbers) in &confirmed {
        assert!(numbers.len() > 100, "{key} went on without server {node}");
    }
    let sent: usize = confirmed.values().map(Vec::len).sum();
    let (missing, overtaken, longest) = (seen.missing(&confirmed), seen.overtaken(), seen.longest);
    println!(
        "server {node} ended by {signal}: {sent} confirmed, {failed} failed, {missing} missing, {overtaken} overtaken; \
         nothing came for {longest:?} at most; sessions lasted: {lasted}"
    );
    // A session that ended is followed by a look at the store; one that lasted must have brought everything, in order.
    assert!(!lasted || (missing, overtaken) == (0, 0));
    lasted
}

/// Rooms lie on different servers, most of which have nothing to say; no reader may wait for those.
async fn quiet_rooms_do_not_wait(writer: &Arc<dyn Broker>, deliveries: &mut Receiver<Delivery>) {
    let mut took = Vec::new();
    for n in 0..ROOMS {
        let start = Instant::now();
        writer.publish(room(n), Bytes::from_static(b"0")).await.unwrap();
        timeout(MINUTE, deliveries.recv()).await.unwrap().unwrap();
        took.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    took.sort_unstable();
    println!(
        "from publish to delivery in quiet rooms: p50 {:?}, longest {:?}",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    eventually("all is read", MINUTE, async || deliveries.is_empty()).await;
}
