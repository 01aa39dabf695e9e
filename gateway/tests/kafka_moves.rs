//! The broker on the client library's imitation of three Kafka servers: partitions whose leader is gone are read on from their new one. What
//! the imitation cannot show, tests/kafka_cluster.rs does on the real one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chat_gateway::{
    broker::{self, Broker, Delivery, KafkaSettings, Key},
    model::RoomId,
};
use chat_gateway_config::{Kafka as Config, SecurityProtocol};
use krafka::testing::FakeBroker;
use tokio::{sync::mpsc::Receiver, time::timeout};
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);
const TOPIC: &str = "moves";
const PARTITIONS: i32 = 6;
const SERVERS: i32 = 3;
const ROOMS: u128 = 20;

fn room(n: u128) -> Key {
    Key::Room(RoomId(Uuid::from_u128(n)))
}

/// Three servers, each of which leads two partitions.
async fn cluster() -> FakeBroker {
    let cluster = FakeBroker::start_cluster(usize::try_from(SERVERS).unwrap()).await.unwrap();
    assert!(cluster.create_topic(TOPIC, PARTITIONS));
    for partition in 0..PARTITIONS {
        assert!(cluster.set_leader(TOPIC, partition, partition % SERVERS));
    }
    cluster
}

async fn end(cluster: &FakeBroker, name: &str) -> (Arc<dyn Broker>, Receiver<Delivery>) {
    let config = Config {
        bootstrap_servers: (0..2).map(|id| cluster.broker_addr(id).unwrap().to_string()).collect(),
        topic: Some(TOPIC.to_owned()),
        partitions: 6,
        replication_factor: Some(3),
        security_protocol: SecurityProtocol::Plaintext,
        ca_file: None,
        sasl: None,
        bootstrap_servers_file: None,
        client_certificate: None,
    };
    let (broker, deliveries) = broker::on_kafka(KafkaSettings::new(config, "test/demo", name));
    let broker: Arc<dyn Broker> = Arc::new(broker);
    let mut state = broker.state();
    timeout(MINUTE, state.wait_for(|state| state.component.available)).await.expect("the broker is there").unwrap();
    for n in 0..ROOMS {
        broker.bind(room(n)).await.unwrap();
    }
    (broker, deliveries)
}

/// Publishes one body to all rooms until each is confirmed.
async fn say(broker: &Arc<dyn Broker>, body: &str) {
    for n in 0..ROOMS {
        let start = Instant::now();
        while let Err(error) = broker.publish(room(n), Bytes::from(body.to_owned())).await {
            assert!(start.elapsed() < MINUTE, "nothing is confirmed: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Waits until a body has come from all rooms.
async fn hear(deliveries: &mut Receiver<Delivery>, body: &str) {
    let mut silent: HashSet<Key> = (0..ROOMS).map(room).collect();
    let all = async {
        while !silent.is_empty() {
            let delivery = deliveries.recv().await.expect("the broker goes on");
            if delivery.body == body {
                silent.remove(&delivery.key);
            }
        }
    };
    let outcome = timeout(MINUTE, all).await;
    assert!(outcome.is_ok(), "{body:?} never came from {} of {ROOMS} rooms", silent.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_a_server_that_is_gone_are_read_on_in_the_same_session() {
    let cluster = cluster().await;
    let (writer, _unread) = end(&cluster, "a").await;
    let (reader, mut deliveries) = end(&cluster, "b").await;
    say(&writer, "before").await;
    hear(&mut deliveries, "before").await;
    let epoch = reader.state().borrow().epoch;

    // In this order, so that the server tells nobody who follows it.
    cluster.crash(2);
    for partition in (0..PARTITIONS).filter(|partition| partition % SERVERS == 2) {
        assert!(cluster.set_leader(TOPIC, partition, partition % 2));
    }

    say(&writer, "after").await;
    hear(&mut deliveries, "after").await;
    assert_eq!(reader.state().borrow().epoch, epoch, "the reader's session lasts");
}
