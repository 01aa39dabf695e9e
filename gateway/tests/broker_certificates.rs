//! A Redis and a RabbitMQ that take nobody without a certificate, and a certificate of another authority that takes the place of the first while people
//! chat: nothing that was acknowledged is lost, no gateway is restarted, and the server sees the new one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

use chat_gateway_config::{Broker, GatewayConfig, Redis as RedisConfig};
use support::{
    authority::Authority,
    eventually, free_port,
    rabbitmq::RabbitMq,
    redis::Redis,
    scene::{MINUTE, Scene},
    server::Service as _,
    stage::{ADMIN_TOKEN, BrokerService, Gateway, Stage},
    wallet::Wallet,
};

/// Texts in the middle of which the certificate is renewed.
const TEXTS: u64 = 2_000;
const NAME: &str = "chat_gateway";

/// Waits until a gateway says of both what it is not trusted for.
async fn untrusted(gateway: &Gateway, words: &str) {
    eventually(&format!("{} says: {words}", gateway.name), MINUTE, async || {
        let (status, _) = gateway.admin("/stats", Some(ADMIN_TOKEN)).await;
        if status != 200 {
            return false;
        }
        let stats = gateway.stats().await;
        [stats.broker, stats.redis].iter().all(|one| one.reason == "TlsFailed" && one.message.contains(words))
    })
    .await;
}

/// Whether a gateway has all it needs.
async fn is_whole(gateway: &Gateway) -> bool {
    let stats = gateway.stats().await;
    stats.broker.available && stats.redis.available
}

/// A configuration of a stage, on ports that are free, with these ways to broker and Redis.
fn with<B: BrokerService>(stage: &Stage<B>, broker: Broker, redis: RedisConfig) -> GatewayConfig {
    GatewayConfig { broker, redis: Some(redis), ..stage.config() }
}

fn nothing_private_was_logged<B: BrokerService>(scene: &Scene<B>) {
    scene.nothing_secret_was_logged();
    for log in [scene.a.log(), scene.b.log()] {
        assert!(!log.contains("PRIVATE"), "a key was logged: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_asks_for_certificates_which_are_renewed_while_people_chat() {
    let stage: Stage<Redis> = Stage::start().await;
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let ports = [free_port(), free_port()];
    let demand = async |stage: &Stage<Redis>, clients: &[&Authority]| {
        stage.broker.demand_certificates(ports[0], &first, clients).await;
        stage.redis.demand_certificates(ports[1], &first, clients).await;
    };
    demand(&stage, &[&first]).await;
    let wallet = Wallet::new(&first.certificate(), &second.client(NAME, 1));
    let (broker, redis) =
        (wallet.redis(stage.broker.tls_url_file(ports[0])), wallet.redis(stage.redis.tls_url_file(ports[1])));

    let bare = |redis: &RedisConfig| RedisConfig { client_certificate: None, ..redis.clone() };
    let without = with(&stage, Broker::RedisPubSub(bare(&broker)), bare(&redis));
    let without = stage.gateway_with("without", &without);
    untrusted(&without, "is shown none; set tls.clientCertificateSecretRef").await;
    drop(without);

    // A gateway with a certificate that is refused says so, and is well as soon as it has another one.
    let config = || with(&stage, Broker::RedisPubSub(broker.clone()), redis.clone());
    let a = stage.gateway_with("gateway-a", &config());
    untrusted(&a, "the server refuses the certificate that it is shown").await;
    wallet.show(&first.client(NAME, 2));
    a.wait_ready().await;
    let b = stage.gateway_with("gateway-b", &config());
    b.wait_ready().await;

    let mut scene = Scene::on(stage, a, b).await;
    scene
        .chat("a renewed certificate", TEXTS, async |stage, a, b| {
            demand(stage, &[&first, &second]).await;
            wallet.show(&second.client(NAME, 3));
            assert!(is_whole(a).await && is_whole(b).await, "what stands goes on");
            // From now on the first authority's certificates are refused, so whoever comes again has shown the second's.
            demand(stage, &[&second]).await;
            stage.broker.cut_off().await;
            stage.redis.cut_off().await;
            eventually("both are there again", MINUTE, async || is_whole(a).await && is_whole(b).await).await;
        })
        .await;
    // The old one would not have done.
    wallet.show(&first.client(NAME, 4));
    scene.stage.broker.cut_off().await;
    scene.stage.redis.cut_off().await;
    untrusted(&scene.a, "the server refuses the certificate that it is shown").await;
    wallet.show(&second.client(NAME, 5));
    eventually("both are there again", MINUTE, async || is_whole(&scene.a).await && is_whole(&scene.b).await).await;
    nothing_private_was_logged(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_asks_for_certificates_which_are_renewed_while_people_chat() {
    let stage: Stage<RabbitMq> = Stage::start().await;
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    stage.broker.demand_certificates(&[&first, &second]);
    stage.broker.kill();
    stage.broker.up().await;
    stage.broker.ctl(&["await_startup"]);
    // Without a password: who it is says the certificate alone.
    stage.broker.ctl(&["add_user", NAME, "unused"]);
    stage.broker.ctl(&["clear_password", NAME]);
    stage.broker.ctl(&["set_permissions", "-p", "/", NAME, ".*", ".*", ".*"]);
    let wallet = Wallet::new(&stage.broker.authority(), &first.client(NAME, 1));
    let redis = || RedisConfig::at(stage.redis.url_file("secret"));
    let external = Broker::Rabbitmq(wallet.rabbitmq(stage.broker.tls_uri_file("", "?auth_mechanism=external")));
    let password = Broker::Rabbitmq(wallet.rabbitmq(stage.broker.tls_uri_file("guest:guest@", "")));
    let a = stage.gateway_with("gateway-a", &with(&stage, external, redis()));
    let b = stage.gateway_with("gateway-b", &with(&stage, password, redis()));
    a.wait_ready().await;
    b.wait_ready().await;

    let shown = |stage: &Stage<RabbitMq>| {
        let asked = ["-q", "list_connections", "user", "auth_mechanism", "peer_cert_issuer", "state"];
        let told = stage.broker.asked(&asked);
        let mut lines: Vec<String> = told.lines().skip(1).map(|line| line.replace('\t', " ")).collect();
        lines.sort();
        lines
    };
    let of = |issuer: &str| {
        let external = format!("{NAME} EXTERNAL CN={issuer} running");
        let plain = format!("guest PLAIN CN={issuer} running");
        vec![external.clone(), external, plain.clone(), plain]
    };
    assert_eq!(shown(&stage), of("first"));
    let mut scene = Scene::on(stage, a, b).await;
    scene
        .chat("a renewed certificate", TEXTS, async |stage, a, b| {
            wallet.show(&second.client(NAME, 2));
            assert!(is_whole(a).await && is_whole(b).await, "what stands goes on");
            stage.broker.ctl(&["close_all_connections", "the certificate is renewed"]);
            eventually("the server sees the new one", MINUTE, async || shown(stage) == of("second")).await;
            eventually("both are there again", MINUTE, async || is_whole(a).await && is_whole(b).await).await;
        })
        .await;
    nothing_private_was_logged(&scene);
}
