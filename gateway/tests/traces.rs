//! Traces of messages over two gateways, as the processes they will be, on real brokers, at a collector that reads OTLP by OpenTelemetry's own types.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use std::collections::BTreeSet;

use chat_gateway_config::Tracing;
use serde_json::json;
use support::{
    collector::{Collector, Manner, Recorded, number, text},
    rabbitmq::RabbitMq,
    redis::Redis,
    scene::{MINUTE, Scene},
    stage::{BrokerService, Gateway, Stage},
};
use uuid::Uuid;

/// Stages at the sender's gateway, in their order.
const STAGES: [&str; 9] =
    ["frame", "wait", "rate_limit", "authenticate", "authorize", "idempotency", "commit", "ack", "publish"];

const SECRET: &str = "nobody but the room reads this";

fn tracing(endpoint: &str, sampling_rate_per_million: u32) -> Option<Tracing> {
    Some(Tracing { endpoint: endpoint.parse().unwrap(), sampling_rate_per_million })
}

/// Two gateways, each with what it is to trace.
async fn scene<B: BrokerService>(stage: Stage<B>, traced: [Option<Tracing>; 2]) -> Scene<B> {
    let [a, b] = traced.map(|tracing| {
        let mut config = stage.config();
        config.tracing = tracing;
        config
    });
    let (a, b) = (stage.gateway_with("gateway-a", &a), stage.gateway_with("gateway-b", &b));
    tokio::join!(a.wait_ready(), b.wait_ready());
    Scene::on(stage, a, b).await
}

/// The value of a counter of `/metrics`.
async fn counter(gateway: &Gateway, name: &str) -> u64 {
    let (status, metrics) = gateway.admin("/metrics", None).await;
    assert_eq!(status, 200);
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    line.trim().parse().unwrap()
}

/// The spans of one trace.
struct Trace(Vec<Recorded>);

impl Trace {
    fn of_message(all: &[Recorded], message: Uuid) -> Option<Self> {
        let id = message.to_string();
        let sent = |recorded: &&Recorded| text(&recorded.span.attributes, "messaging.message.id").as_ref() == Some(&id);
        let root = all.iter().find(sent)?.span.trace_id.clone();
        Some(Self(all.iter().filter(|recorded| recorded.span.trace_id == root).cloned().collect()))
    }

    fn all(&self, instance: &str, name: &str) -> Vec<&Recorded> {
        self.0.iter().filter(|recorded| recorded.instance == instance && recorded.span.name == name).collect()
    }

    fn one(&self, instance: &str, name: &str) -> &opentelemetry_proto::tonic::trace::v1::Span {
        match self.all(instance, name)[..] {
            [one] => &one.span,
            ref others => panic!("{} spans {name} of {instance} in {:#?}", others.len(), self.0),
        }
    }
}

async fn one_trace_over<B: BrokerService>(system: &str) {
    let collector = Collector::start(Manner::Takes).await;
    let traced = || tracing(&collector.endpoint, 1_000_000);
    let mut scene = scene::<B>(Stage::start().await, [traced(), traced()]).await;
    let (room, message) = (scene.rooms[0], Uuid::now_v7());
    let ack = scene.alice.send_as(room, message, SECRET).await.unwrap();
    for reader in [&scene.alice, &scene.bob, &scene.carol] {
        assert!(reader.wait_position(room, ack.seq, MINUTE).await);
    }
    // Nine stages, the root, the fan-out with one write here, and what the other gateway does for two readers.
    let is_whole = |all: &[Recorded]| Trace::of_message(all, message).is_some_and(|trace| trace.0.len() >= 16);
    let trace = Trace::of_message(&collector.until("a whole trace", is_whole).await, message).unwrap();
    let (a, b) = ("gateway-a", "gateway-b");
    assert_eq!(trace.0.len(), 16, "{:#?}", trace.0);

    let root = trace.one(a, "send");
    assert!(root.parent_span_id.is_empty() && root.status.is_none(), "{root:?}");
    assert_eq!(text(&root.attributes, "messaging.destination.name"), Some(room.to_string()));
    assert_eq!(number(&root.attributes, "messaging.message.body.size"), i64::try_from(SECRET.len()).ok());
    assert_eq!(number(&root.attributes, "chat.message.seq"), i64::try_from(ack.seq).ok());
    let mut before = root.start_time_unix_nano;
    for name in STAGES {
        let stage = trace.one(a, name);
        assert_eq!(stage.parent_span_id, root.span_id, "{name}");
        assert!(stage.start_time_unix_nano >= before, "{name} begins after what is before it");
        assert!(stage.end_time_unix_nano >= stage.start_time_unix_nano, "{name}");
        assert!(stage.status.is_none(), "{name}");
        before = stage.start_time_unix_nano;
    }
    let publish = trace.one(a, "publish");
    assert_eq!(text(&publish.attributes, "messaging.system").as_deref(), Some(system));
    assert_eq!(text(&trace.one(a, "commit").attributes, "db.system.name").as_deref(), Some("postgresql"));
    assert_eq!(trace.one(a, "fan_out").parent_span_id, root.span_id);
    assert_eq!(trace.one(a, "write").parent_span_id, trace.one(a, "fan_out").span_id);

    let receive = trace.one(b, "receive");
    assert_eq!(receive.parent_span_id, publish.span_id, "the broker carried the context");
    assert!(receive.start_time_unix_nano >= publish.start_time_unix_nano);
    let fan_out = trace.one(b, "fan_out");
    assert_eq!(fan_out.parent_span_id, receive.span_id);
    assert_eq!(number(&fan_out.attributes, "chat.fan_out.connections"), Some(2));
    let writes = trace.all(b, "write");
    let connections: BTreeSet<_> = writes.iter().map(|write| text(&write.span.attributes, "session.id")).collect();
    assert_eq!(connections.len(), 2, "{writes:?}");
    assert!(writes.iter().all(|write| write.span.parent_span_id == fan_out.span_id && write.span.status.is_none()));

    a_refusal_is_an_error(&scene, &collector).await;
    // What is not exported yet when a gateway ends is exported then.
    scene.alice.send(room, SECRET).await.unwrap();
    for gateway in [&mut scene.a, &mut scene.b] {
        gateway.process.signal("TERM");
        assert_eq!(gateway.process.wait(), Some(0), "{}", gateway.log());
    }
    let roots = collector.spans().iter().filter(|recorded| recorded.span.name == "send").count();
    assert_eq!(roots, 3);
    nothing_secret_was_exported(&scene, &collector);
}

/// Carol may not write where she is no member: the trace says what refused her, and nothing after it was done.
async fn a_refusal_is_an_error<B: BrokerService>(scene: &Scene<B>, collector: &Collector) {
    let (strange, message) = (*scene.rooms.last().unwrap(), Uuid::now_v7());
    let request = json!({ "type": "send", "room": strange, "message_id": message, "body": SECRET });
    scene.carol.request(request).await.unwrap_err();
    let known = |all: &[Recorded]| Trace::of_message(all, message).is_some();
    let trace = Trace::of_message(&collector.until("a refusal", known).await, message).unwrap();
    for name in ["send", "authorize"] {
        let span = trace.one("gateway-b", name);
        assert_eq!(text(&span.attributes, "error.type").as_deref(), Some("not_found"), "{span:?}");
        assert_eq!(span.status.as_ref().unwrap().code, 2);
    }
    assert!(trace.all("gateway-b", "commit").is_empty());
}

fn nothing_secret_was_exported<B: BrokerService>(scene: &Scene<B>, collector: &Collector) {
    let exported = String::from_utf8_lossy(&collector.bytes()).into_owned();
    assert!(exported.contains("rate_limit"));
    let tokens = [&scene.alice, &scene.bob, &scene.carol].map(|client| client.account().token.clone());
    let secrets = tokens.iter().map(String::as_str).chain([
        SECRET,
        "room 0",
        "alice",
        "carol",
        "a good password",
        "gateway-password",
        "eyJ",
        "127.0.0.1",
    ]);
    for secret in secrets {
        assert!(!exported.contains(secret), "{secret} is in what was exported");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_senders_frame_to_the_sockets_of_two_gateways_over_rabbitmq() {
    one_trace_over::<RabbitMq>("rabbitmq").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_senders_frame_to_the_sockets_of_two_gateways_over_redis() {
    one_trace_over::<Redis>("redis").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_exported_where_nothing_is_sampled() {
    let collector = Collector::start(Manner::Takes).await;
    let mut scene = scene::<Redis>(Stage::start().await, [tracing(&collector.endpoint, 0), None]).await;
    scene.chat("tracing without samples", 200, async |_, _, _| {}).await;
    for gateway in [&mut scene.a, &mut scene.b] {
        assert_eq!(counter(gateway, "chat_gateway_spans_exported_total").await, 0);
        assert_eq!(counter(gateway, "chat_gateway_spans_dropped_total").await, 0);
        gateway.process.signal("TERM");
        assert_eq!(gateway.process.wait(), Some(0), "{}", gateway.log());
    }
    assert_eq!(collector.exports(), 0);
}

/// A collector that hangs, one that refuses, and none at all: chat goes on as if there were no traces.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_collector_costs_no_message() {
    let (hangs, refuses) = (Collector::start(Manner::Hangs).await, Collector::start(Manner::Refuses).await);
    let traced = [tracing(&hangs.endpoint, 1_000_000), tracing(&refuses.endpoint, 1_000_000)];
    let mut scene = scene::<RabbitMq>(Stage::start().await, traced).await;
    // More spans than may wait.
    scene.chat("collectors that hang and refuse", 600, async |_, _, _| {}).await;
    assert!(hangs.exports() > 0 && refuses.exports() > 0);
    for gateway in [&mut scene.a, &mut scene.b] {
        assert!(counter(gateway, "chat_gateway_spans_dropped_total").await > 0, "{}", gateway.name);
        assert_eq!(counter(gateway, "chat_gateway_spans_exported_total").await, 0);
        gateway.process.signal("TERM");
        assert_eq!(gateway.process.wait(), Some(0), "a collector holds up no end: {}", gateway.log());
        let told = gateway.log().matches("spans could not be exported").count();
        assert!(told <= 2, "told {told} times:\n{}", gateway.log());
    }
    let nowhere = tracing(&format!("http://127.0.0.1:{}", support::free_port()), 1_000_000);
    let mut config = scene.stage.config();
    config.tracing = nowhere;
    scene.a = scene.stage.gateway_with("gateway-c", &config);
    scene.a.wait_ready().await;
    config = scene.stage.config();
    config.tracing = tracing(&refuses.endpoint, 1_000_000);
    scene.b = scene.stage.gateway_with("gateway-d", &config);
    scene.b.wait_ready().await;
    scene.gateways_changed();
    scene.chat("no collector", 200, async |_, _, _| {}).await;
    scene.ledger.verify().assert_clean(800);
    scene.nothing_secret_was_logged();
}
