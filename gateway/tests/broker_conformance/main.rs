//! What every broker must do, on the one in memory, a real RabbitMQ, a real Apache Kafka, and on Redis alone, behind sentinels and as a cluster.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod certificates;
mod kafka;
mod redis;
#[path = "../support/mod.rs"]
mod support;

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chat_gateway::{
    broker::{self, Broker, Delivery, Key, MemoryExchange, RabbitSettings},
    model::{RoomId, UserId},
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use support::{eventually, rabbitmq::RabbitMq, server::Service};
use tokio::{sync::mpsc::Receiver, time::timeout};
use uuid::Uuid;

/// A gateway's end of a broker.
struct End {
    broker: Arc<dyn Broker>,
    deliveries: Receiver<Delivery>,
}

impl End {
    async fn publish(&self, key: Key, body: impl Into<Bytes>) {
        self.broker.publish(key, body.into()).await.unwrap();
    }

    async fn next(&mut self) -> (Key, String) {
        let delivery =
            timeout(Duration::from_secs(30), self.deliveries.recv()).await.expect("a delivery within 30 s").unwrap();
        (delivery.key, String::from_utf8(delivery.body.to_vec()).unwrap())
    }

    /// Waits until what is published arrives. A session that ends between the two takes the delivery with it and tells so by the epoch; with no
    /// epoch risen, the delivery is owed.
    async fn hears(&mut self, key: Key, body: &'static str) {
        let mut state = self.broker.state();
        let heard = async {
            loop {
                let before = state.borrow_and_update().epoch;
                if self.broker.publish(key, Bytes::from_static(body.as_bytes())).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
                loop {
                    tokio::select! {
                        delivery = self.next() => if delivery == (key, body.into()) { return },
                        risen = state.wait_for(|state| state.epoch > before) => {
                            println!("the epoch rose after a publish to {}", risen.unwrap().epoch);
                            break;
                        }
                    }
                }
            }
        };
        timeout(Duration::from_secs(60), heard).await.expect("a delivery in the epoch in which it was published");
    }

    async fn silent(&mut self) {
        let surprise = timeout(Duration::from_millis(300), self.deliveries.recv()).await;
        assert!(surprise.is_err(), "{surprise:?}");
    }

    fn epoch(&self) -> u64 {
        self.broker.state().borrow().epoch
    }

    async fn available(&self) {
        let mut state = self.broker.state();
        let standing = state.wait_for(|state| state.component.available);
        timeout(Duration::from_secs(60), standing).await.expect("the broker is there within 60 s").unwrap();
    }
}

/// A broker under test: makes ends, and goes away and comes back.
trait Subject {
    fn join(&self, name: &str, linger: Duration) -> End;
    async fn go_away(&mut self);
    async fn come_back(&mut self);
}

impl Subject for MemoryExchange {
    fn join(&self, _name: &str, linger: Duration) -> End {
        let (broker, deliveries) = self.join_with(linger);
        End { broker: Arc::new(broker), deliveries }
    }

    async fn go_away(&mut self) {
        MemoryExchange::stop(self);
    }

    async fn come_back(&mut self) {
        MemoryExchange::start(self);
    }
}

/// A broker on servers of its own.
trait Server: Service {
    fn end(&self, name: &str, linger: Duration) -> End;
}

impl<S: Server> Subject for S {
    fn join(&self, name: &str, linger: Duration) -> End {
        self.end(name, linger)
    }

    async fn go_away(&mut self) {
        self.kill();
    }

    async fn come_back(&mut self) {
        self.up().await;
    }
}

/// A server whose address and credentials stand in one file.
trait Addressed: Server {
    /// A gateway's end that reads its address from this file.
    fn end_by(&self, file: PathBuf) -> End;
    fn address(&self, password: &str) -> String;
    const PASSWORD: &str;
    const NOBODY_LISTENS: &str;
    const MALFORMED: &str;
}

impl Server for RabbitMq {
    fn end(&self, name: &str, linger: Duration) -> End {
        let mut settings = RabbitSettings::new(self.uri_file(), name);
        settings.linger = linger;
        rabbit(settings)
    }
}

impl Addressed for RabbitMq {
    fn end_by(&self, file: PathBuf) -> End {
        rabbit(RabbitSettings::new(file, "refused"))
    }

    fn address(&self, password: &str) -> String {
        self.uri(password)
    }

    const PASSWORD: &str = "guest";
    const NOBODY_LISTENS: &str = "amqp://guest:guest@127.0.0.1:1/%2f";
    const MALFORMED: &str = "InvalidUri";
}

fn rabbit(settings: RabbitSettings) -> End {
    let (broker, deliveries) = broker::on_rabbitmq(settings);
    End { broker: Arc::new(broker), deliveries }
}

fn room(n: u128) -> Key {
    Key::Room(RoomId(Uuid::from_u128(n)))
}

fn user(n: u128) -> Key {
    Key::User(UserId(Uuid::from_u128(n)))
}

const LONG: Duration = Duration::from_secs(600);

async fn every_bound_gateway_gets_everything_in_a_publishers_order(subject: &impl Subject) {
    let (mut a, mut b, mut c) = (subject.join("a", LONG), subject.join("b", LONG), subject.join("c", LONG));
    for end in [&a, &b, &c] {
        end.available().await;
        assert!(end.epoch() >= 1);
    }
    a.broker.bind(room(1)).await.unwrap();
    b.broker.bind(room(1)).await.unwrap();
    c.broker.bind(user(1)).await.unwrap();
    for n in 0..100 {
        tokio::join!(a.publish(room(1), format!("a{n}")), b.publish(room(1), format!("b{n}")));
    }
    for end in [&mut a, &mut b] {
        let mut next = [0, 0];
        for _ in 0..200 {
            let (key, body) = end.next().await;
            assert_eq!(key, room(1));
            let (publisher, number) = body.split_at(1);
            let expected = &mut next[usize::from(publisher == "b")];
            assert_eq!(number.parse::<u32>().unwrap(), *expected, "{publisher}'s messages come in order");
            *expected += 1;
        }
        end.silent().await;
    }
    c.silent().await;
    a.publish(user(1), "for c").await;
    assert_eq!(c.next().await, (user(1), "for c".into()));
    a.publish(room(99), "for nobody").await;
}

async fn publishes_may_overlap(subject: &impl Subject) {
    let (a, mut b) = (subject.join("a", LONG), subject.join("b", LONG));
    a.available().await;
    b.available().await;
    b.broker.bind(room(2)).await.unwrap();
    let start = Instant::now();
    let mut writing: FuturesUnordered<_> =
        (0..2_000_u32).map(|n| a.broker.publish(room(2), Bytes::from(n.to_string()))).collect();
    let writer = async { while writing.next().await.transpose().unwrap().is_some() {} };
    let reader = async {
        let mut missing: HashSet<String> = (0..2_000_u32).map(|n| n.to_string()).collect();
        while !missing.is_empty() {
            assert!(missing.remove(&b.next().await.1));
        }
    };
    tokio::join!(reader, writer);
    println!("2000 overlapping publishes, each confirmed and delivered: {:?}", start.elapsed());
}

async fn bindings_are_counted_and_linger(subject: &impl Subject) {
    let mut end = subject.join("linger", Duration::from_secs(1));
    end.available().await;
    end.broker.bind(room(3)).await.unwrap();
    end.broker.bind(room(3)).await.unwrap();
    end.broker.unbind(room(3));
    tokio::time::sleep(Duration::from_secs(2)).await;
    end.publish(room(3), "one reference is left").await;
    end.next().await;
    end.broker.unbind(room(3));
    end.publish(room(3), "it lingers").await;
    end.next().await;
    let gone = Instant::now() + Duration::from_secs(20);
    loop {
        end.publish(room(3), "still?").await;
        if timeout(Duration::from_millis(300), end.deliveries.recv()).await.is_err() {
            break;
        }
        assert!(Instant::now() < gone, "the binding stays");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    end.broker.bind(room(3)).await.unwrap();
    end.publish(room(3), "bound anew").await;
    end.next().await;
}

async fn an_epoch_follows_a_loss_when_all_bindings_stand(subject: &mut impl Subject) {
    let (a, mut b) = (subject.join("a", LONG), subject.join("b", LONG));
    a.available().await;
    b.available().await;
    b.broker.bind(room(4)).await.unwrap();
    let (before_a, before_b) = (a.epoch(), b.epoch());
    subject.go_away().await;
    let start = Instant::now();
    eventually("publishing fails", Duration::from_secs(10), async || {
        a.broker.publish(room(4), Bytes::from_static(b"lost")).await.is_err()
    })
    .await;
    eventually("the loss shows", Duration::from_secs(10), async || !b.broker.state().borrow().component.available)
        .await;
    println!("a stopped broker shows after {:?}: {:?}", start.elapsed(), b.broker.state().borrow().component);
    b.broker.bind(room(5)).await.unwrap();
    assert_eq!((a.epoch(), b.epoch()), (before_a, before_b), "no epoch before bindings stand");
    subject.come_back().await;
    let start = Instant::now();
    for (end, before) in [(&a, before_a), (&b, before_b)] {
        let mut state = end.broker.state();
        let risen = state.wait_for(|state| state.epoch > before);
        timeout(Duration::from_secs(30), risen).await.expect("the epoch rises").unwrap();
    }
    println!("connected again {:?} after the broker listened", start.elapsed());
    while b.deliveries.try_recv().is_ok() {}
    for key in [room(4), room(5)] {
        a.publish(key, "found").await;
        assert_eq!(b.next().await, (key, "found".into()), "bound before the epoch rose");
    }
}

async fn conforms(subject: &mut impl Subject) {
    every_bound_gateway_gets_everything_in_a_publishers_order(subject).await;
    publishes_may_overlap(subject).await;
    bindings_are_counted_and_linger(subject).await;
    an_epoch_follows_a_loss_when_all_bindings_stand(subject).await;
}

#[tokio::test]
async fn the_memory_broker_conforms() {
    conforms(&mut MemoryExchange::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_conforms_and_its_troubles_show() {
    let mut server = RabbitMq::start().await;
    conforms(&mut server).await;
    it_is_reached_by_tls(&server).await;
    an_overflowing_queue_raises_the_epoch(&server).await;
    a_frozen_broker_is_noticed_and_blocks_nobody(&server).await;
    refused_credentials_show_and_new_ones_are_read(&server).await;
}

async fn it_is_reached_by_tls(server: &RabbitMq) {
    let (uri, authority) = server.tls_files();
    let stranger = rabbit(RabbitSettings::new(uri.clone(), "stranger"));
    reason(&stranger, "TlsFailed").await;
    let end = rabbit(RabbitSettings { ca_file: Some(authority), ..RabbitSettings::new(uri, "encrypted") });
    end.available().await;
    end.broker.bind(room(9)).await.unwrap();
    let before = end.epoch();
    let mut end = end;
    end.publish(room(9), "secret").await;
    assert_eq!(end.next().await, (room(9), "secret".into()));
    // A server that stops answering is noticed, and the session after it works: the socket under TLS was cut off.
    server.freeze();
    eventually("the freeze shows", Duration::from_secs(15), async || !end.broker.state().borrow().component.available)
        .await;
    server.thaw();
    let mut state = end.broker.state();
    let risen = state.wait_for(|state| state.epoch > before);
    timeout(Duration::from_secs(20), risen).await.expect("the epoch rises").unwrap();
    end.hears(room(9), "again").await;
}

async fn an_overflowing_queue_raises_the_epoch(server: &RabbitMq) {
    let mut settings = RabbitSettings::new(server.uri_file(), "small");
    settings.queue_bytes = 4_096;
    let (small, writer) = (rabbit(settings), server.join("writer", LONG));
    small.available().await;
    writer.available().await;
    small.broker.bind(room(6)).await.unwrap();
    let before = small.epoch();
    let body = Bytes::from(vec![b'x'; 1_000]);
    // Nobody reads: the receiver's 1024, the prefetch of 500 and the queue's four fill up, the rest is dropped.
    for _ in 0..1_700 {
        writer.publish(room(6), body.clone()).await;
    }
    let mut state = small.broker.state();
    let risen = state.wait_for(|state| state.epoch > before);
    timeout(Duration::from_secs(10), risen).await.expect("the epoch rises").unwrap();
    assert!(small.broker.state().borrow().component.available);
}

async fn a_frozen_broker_is_noticed_and_blocks_nobody(server: &impl Server) {
    let mut end = server.join("frozen", LONG);
    end.available().await;
    end.broker.bind(room(7)).await.unwrap();
    let before = end.epoch();
    server.freeze();
    let start = Instant::now();
    let refused = end.broker.publish(room(7), Bytes::from_static(b"x")).await;
    assert!(refused.is_err());
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    eventually("the freeze shows", Duration::from_secs(5), async || !end.broker.state().borrow().component.available)
        .await;
    println!("a frozen broker shows after {:?}: {:?}", start.elapsed(), end.broker.state().borrow().component);
    let quick = Instant::now();
    assert!(end.broker.publish(room(7), Bytes::from_static(b"x")).await.is_err());
    end.broker.bind(room(8)).await.unwrap();
    assert!(quick.elapsed() < Duration::from_secs(2), "nobody waits for a broker known to be away");
    tokio::time::sleep(Duration::from_secs(15).saturating_sub(start.elapsed())).await;
    server.thaw();
    let mut state = end.broker.state();
    let risen = state.wait_for(|state| state.epoch > before);
    timeout(Duration::from_secs(20), risen).await.expect("the epoch rises").unwrap();
    while end.deliveries.try_recv().is_ok() {}
    end.hears(room(8), "alive").await;
}

async fn refused_credentials_show_and_new_ones_are_read<S: Addressed>(server: &S) {
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("uri");
    std::fs::write(&file, server.address("wrong")).unwrap();
    let end = server.end_by(file.clone());
    reason(&end, "AuthenticationFailed").await;
    std::fs::write(&file, S::NOBODY_LISTENS).unwrap();
    reason(&end, "ConnectionRefused").await;
    std::fs::write(&file, "no such thing").unwrap();
    reason(&end, S::MALFORMED).await;
    std::fs::write(&file, server.address(S::PASSWORD)).unwrap();
    end.available().await;
}

async fn reason(end: &End, expected: &str) {
    let mut state = end.broker.state();
    let shown = timeout(Duration::from_secs(60), state.wait_for(|state| state.component.reason == expected)).await;
    let component = end.broker.state().borrow().component.clone();
    assert!(shown.is_ok(), "expected {expected}, got {component:?}");
    println!("{component:?}");
    assert!(!component.message.contains("wrong"), "no credentials in {}", component.message);
}
