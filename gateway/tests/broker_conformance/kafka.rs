//! The suite on a real Apache Kafka 4, and what only that can do or suffer.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use chat_gateway::broker::{self, KafkaSettings, Key};
use chat_gateway_config::SaslMechanism;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::timeout;

use super::{
    End, LONG, Server, Subject as _, a_frozen_broker_is_noticed_and_blocks_nobody, conforms, reason, room,
    support::{
        authority::{Authority, Identity},
        eventually,
        kafka::{self, Kafka},
        server::Service as _,
    },
};

const MINUTE: Duration = Duration::from_secs(60);

impl Server for Kafka {
    fn end(&self, name: &str, linger: Duration) -> End {
        let mut settings = KafkaSettings::new(self.config(), "test/demo", name);
        settings.linger = linger;
        on_kafka(settings)
    }
}

fn on_kafka(settings: KafkaSettings) -> End {
    let (broker, deliveries) = broker::on_kafka(settings);
    End { broker: Arc::new(broker), deliveries }
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_conforms_and_its_troubles_show() {
    let mut server = Kafka::start().await;
    conforms(&mut server).await;
    a_slow_hub_loses_nothing(&server).await;
    a_gateway_that_falls_behind_retention_hears_of_it(&server).await;
    partitions_may_be_added_while_people_chat(&server).await;
    sessions_leave_nothing_behind(&server).await;
    a_topic_that_was_deleted_is_made_anew(&server).await;
    a_record_that_is_too_large_is_dropped_and_holds_up_nothing(&server).await;
    kafka_reasons_show(&server).await;
    certificate_and_addresses_are_read_for_every_session(&server).await;
    a_frozen_broker_is_noticed_and_blocks_nobody(&server).await;
}

/// Publishes into one room, some at a time: each has a time budget, which thousands together would use up on a busy machine.
async fn publish_all(writer: &End, bodies: impl Iterator<Item = Bytes>) {
    let publishes = bodies.map(|body| writer.broker.publish(room(6), body));
    stream::iter(publishes).buffer_unordered(200).try_collect::<()>().await.unwrap();
}

async fn a_slow_hub_loses_nothing(server: &Kafka) {
    let (mut slow, writer) = (server.join("slow", LONG), server.join("writer", LONG));
    slow.available().await;
    writer.available().await;
    slow.broker.bind(room(6)).await.unwrap();
    let before = slow.epoch();
    let body = |n: u32| Bytes::from(format!("{n:01000}"));
    publish_all(&writer, (0..5_000).map(body)).await;
    // Nobody has read: the receiver is full with 1024, the reader holds some, Kafka the rest.
    let mut missing: HashSet<u32> = (0..5_000).collect();
    while !missing.is_empty() {
        let number = slow.next().await.1.parse().unwrap();
        assert!(missing.remove(&number), "{number} came twice");
    }
    assert_eq!(slow.epoch(), before, "nothing was lost");
}

async fn a_gateway_that_falls_behind_retention_hears_of_it(server: &Kafka) {
    let (mut slow, writer) = (server.join("slow", LONG), server.join("writer", LONG));
    slow.available().await;
    writer.available().await;
    slow.broker.bind(room(6)).await.unwrap();
    let before = slow.epoch();
    publish_all(&writer, (0..5_000).map(|_| Bytes::from_static(b"x"))).await;
    server.delete_records("chatcluster.test.demo", 0..3).await;
    let mut state = slow.broker.state();
    let risen = async {
        loop {
            tokio::select! {
                risen = state.wait_for(|state| state.epoch > before) => return drop(risen.unwrap()),
                delivery = slow.deliveries.recv() => drop(delivery.unwrap()),
            }
        }
    };
    timeout(MINUTE, risen).await.expect("the epoch rises");
    while timeout(Duration::from_millis(300), slow.deliveries.recv()).await.is_ok() {}
    writer.publish(room(6), "heard again").await;
    assert_eq!(slow.next().await, (room(6), "heard again".into()));
}

async fn partitions_may_be_added_while_people_chat(server: &Kafka) {
    const ROOMS: u128 = 20;
    let mut settings = KafkaSettings::new(server.config(), "test/growing", "growing");
    settings.linger = LONG;
    let (a, mut b) = (on_kafka(settings.clone()), on_kafka(settings));
    for end in [&a, &b] {
        end.available().await;
    }
    for n in 0..ROOMS {
        b.broker.bind(room(100 + n)).await.unwrap();
    }
    let (epoch_a, epoch_b) = (a.epoch(), b.epoch());
    let topic = "chatcluster.test.growing";
    let grown = AtomicBool::new(false);
    let growing = async {
        eventually("a load", MINUTE, async || server.written(topic, 0..3).await > 200).await;
        server.set_partitions(topic, 9).await;
        eventually("records in new partitions", MINUTE, async || server.written(topic, 3..9).await > 200).await;
        grown.store(true, SeqCst);
    };
    let writing = async {
        let mut rounds = 0_u32;
        while !grown.load(SeqCst) {
            let round = (0..ROOMS).map(|n| a.publish(room(100 + n), rounds.to_string()));
            futures::future::join_all(round).await;
            rounds += 1;
        }
        rounds
    };
    let (rounds, ()) = tokio::join!(writing, growing);
    let mut missing: HashSet<(Key, String)> =
        (0..ROOMS).flat_map(|n| (0..rounds).map(move |round| (room(100 + n), round.to_string()))).collect();
    let written = missing.len();
    let mut twice = 0;
    while !missing.is_empty() {
        twice += u32::from(!missing.remove(&b.next().await));
    }
    println!("{written} records while 3 partitions became 9: 0 missing, {twice} twice");
    assert_eq!(twice, 0, "nothing is read twice");
    assert_eq!((a.epoch(), b.epoch()), (epoch_a, epoch_b), "nothing was lost");
}

async fn sessions_leave_nothing_behind(server: &Kafka) {
    let sockets = || {
        let links =
            std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
    };
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut most = 0;
    for _ in 0..20 {
        let end = server.join("passing", LONG);
        end.available().await;
        end.publish(room(1), "x").await;
        most = most.max(tasks());
    }
    println!("20 sessions: {before} tasks before, {most} at most, {} now, {} sockets", tasks(), sockets());
    eventually("the tasks of sessions end", MINUTE, async || tasks() <= before).await;
}

async fn a_topic_that_was_deleted_is_made_anew(server: &Kafka) {
    let mut config = server.config();
    config.topic = Some("deleted".into());
    let mut end = on_kafka(KafkaSettings::new(config, "test/demo", "deleted"));
    end.available().await;
    end.broker.bind(room(1)).await.unwrap();
    end.publish(room(1), "before").await;
    end.next().await;
    let before = end.epoch();
    server.delete_topic("deleted").await;
    let mut state = end.broker.state();
    let risen = state.wait_for(|state| state.epoch > before);
    timeout(MINUTE, risen).await.expect("the epoch rises").unwrap();
    end.publish(room(1), "after").await;
    assert_eq!(end.next().await, (room(1), "after".into()));
}

async fn a_record_that_is_too_large_is_dropped_and_holds_up_nothing(server: &Kafka) {
    server.make_topic("small", 20_000).await;
    let mut config = server.config();
    config.topic = Some("small".into());
    let mut end = on_kafka(KafkaSettings::new(config, "test/demo", "small"));
    end.available().await;
    end.broker.bind(room(1)).await.unwrap();
    end.publish(room(1), vec![b'x'; 50_000]).await;
    end.publish(room(1), "small enough").await;
    assert_eq!(end.next().await, (room(1), "small enough".into()));
    assert!(end.broker.state().borrow().component.available);
}

async fn kafka_reasons_show(server: &Kafka) {
    let with = |config| on_kafka(KafkaSettings::new(config, "test/demo", "reasons"));
    for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha512] {
        let config = server.sasl_config(mechanism, kafka::USER, "wrong");
        let password = config.sasl.as_ref().unwrap().password_file.clone();
        let end = with(config);
        reason(&end, "AuthenticationFailed").await;
        std::fs::write(&password, "").unwrap();
        reason(&end, "SecretMissing").await;
        std::fs::write(&password, "secret").unwrap();
        end.available().await;
        std::fs::write(&password, "wrong").unwrap();
    }
    let mut config = server.config();
    config.bootstrap_servers = vec!["127.0.0.1:1".into()];
    reason(&with(config.clone()), "ConnectionRefused").await;
    config.bootstrap_servers = vec!["no-such-host.invalid:9092".into()];
    reason(&with(config), "NameNotResolved").await;

    let stranger = |topic: &str| {
        let mut config = server.sasl_config(SaslMechanism::Plain, kafka::STRANGER, "secret");
        config.topic = Some(topic.into());
        with(config)
    };
    reason(&stranger("small"), "AuthorizationFailed").await;
    let mut too_many_copies = server.config();
    (too_many_copies.topic, too_many_copies.replication_factor) = (Some("copies".into()), Some(3));
    reason(&with(too_many_copies), "TopicMissing").await;

    let mut end = with(server.tls_config());
    end.available().await;
    end.broker.bind(room(1)).await.unwrap();
    end.publish(room(1), "inside TLS").await;
    assert_eq!(end.next().await, (room(1), "inside TLS".into()));
    let mut config = server.tls_config();
    config.ca_file = None;
    reason(&with(config), "TlsFailed").await;
}

async fn certificate_and_addresses_are_read_for_every_session(server: &Kafka) {
    let mut config = server.mutual_config();
    let shown = config.client_certificate.clone().unwrap();
    let servers = config.bootstrap_servers_file.clone().unwrap();
    let show = |identity: &Identity| {
        std::fs::write(&shown.certificate_file, &identity.certificate).unwrap();
        std::fs::write(&shown.key_file, &identity.key).unwrap();
    };
    config.topic = Some("mutual".into());
    let mut end = on_kafka(KafkaSettings::new(config.clone(), "test/demo", "mutual"));
    reason(&end, "SecretMissing").await;
    std::fs::write(&servers, "nowhere").unwrap();
    show(&Authority::new("somebody else's").client(kafka::USER, 8));
    eventually("the file with addresses is named", MINUTE, async || {
        end.broker.state().borrow().component.message.contains("mutual-servers must have one or more addresses")
    })
    .await;
    std::fs::write(&servers, format!("127.0.0.1:1, {}\n", server.mutual_address())).unwrap();
    reason(&end, "TlsFailed").await;
    show(&server.identity());
    end.available().await;
    end.broker.bind(room(1)).await.unwrap();
    end.publish(room(1), "by certificate").await;
    assert_eq!(end.next().await, (room(1), "by certificate".into()));

    config.client_certificate = None;
    reason(&on_kafka(KafkaSettings::new(config, "test/demo", "without")), "TlsFailed").await;
}
