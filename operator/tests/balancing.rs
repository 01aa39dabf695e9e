//! Real HAProxy, out of the image and with the configuration that the operator renders, before gateways of unequal capacity.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

#[path = "balancing/apart.rs"]
mod apart;
#[path = "balancing/certificate.rs"]
mod certificate;
#[path = "balancing/dns.rs"]
mod dns;
#[path = "balancing/gateway.rs"]
mod gateway;
#[path = "balancing/haproxy.rs"]
mod haproxy;
#[path = "balancing/people.rs"]
mod people;
mod support;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use chat_operator::names::path;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use self::{
    dns::Addresses,
    gateway::{Gateway, Remote},
    haproxy::HaProxy,
    people::People,
};

/// Handshakes at the same time.
const AT_ONCE: usize = 100;
const PATIENCE: Duration = Duration::from_secs(30);

/// Gateways, the name they are found by, and HAProxies before them, on loopback addresses of their own.
struct Scene {
    network: [u8; 3],
    gateways: Vec<Gateway>,
    names: Addresses,
    dns: SocketAddr,
    files: BTreeMap<String, String>,
}

/// A client that is connected to a gateway.
struct Client {
    stream: TcpStream,
    gateway: usize,
}

impl Scene {
    /// Gateways with these limits; those of the spec have `connections`.
    async fn new(limits: &[u32], connections: u32, more: Value) -> Self {
        let network = [127, rand::random_range(1..=254), rand::random_range(0..=255)];
        let mut gateways_of_spec = json!({ "connectionsPerGateway": connections, "expose": { "type": "HAProxy" } });
        gateways_of_spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut cluster = support::cluster("minimal");
        cluster.spec.gateways = Some(serde_json::from_value(gateways_of_spec).unwrap());
        let names = Addresses::default();
        let dns = dns::serve(address(network, 253), Arc::clone(&names)).await;
        let mut scene = Self { network, gateways: Vec::new(), names, dns, files: files(cluster) };
        for limit in limits {
            scene.add(*limit);
        }
        scene
    }

    fn add(&mut self, limit: u32) {
        let number = self.gateways.len();
        let at = address(self.network, u8::try_from(number + 1).unwrap());
        self.gateways.push(Gateway::start(at, number, limit));
        self.names.lock().unwrap().push(at);
    }

    fn haproxy(&self, number: u8) -> HaProxy {
        HaProxy::start(address(self.network, 200 + number), &self.files, self.dns)
    }

    /// With certificate and key for TLS.
    fn haproxy_with(&self, (certificate, key): &(String, String)) -> HaProxy {
        HaProxy::start_with(address(self.network, 200), &self.files, self.dns, Some((certificate, key)))
    }

    fn counts(&self) -> Vec<u64> {
        self.gateways.iter().map(Gateway::connections).collect()
    }
}

/// Every gateway has its share of all connections within 5 %.
fn assert_proportional(what: &str, counts: &[u64], shares: &[u64]) {
    let (all, whole): (u64, u64) = (counts.iter().sum(), shares.iter().sum());
    println!("{what}: {counts:?}");
    for (count, share) in counts.iter().zip(shares) {
        let fair = all * share / whole;
        assert!(count.abs_diff(fair) * 20 <= fair, "{what}: {counts:?} for shares {shares:?}");
    }
}

fn address([a, b, c]: [u8; 3], d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

/// What the tier's ConfigMap has.
fn files(cluster: chat_crds::ChatCluster) -> BTreeMap<String, String> {
    let built = chat_operator::build::build(&support::migrated_from(support::fetched(cluster))).unwrap();
    let maps = built.config_maps.into_iter().filter_map(|map| map.data);
    maps.into_iter().find(|files| files.contains_key(path::TIER_FILE)).unwrap()
}

/// The handshake of a WebSocket with these headers beside its own.
fn handshake(headers: &str) -> String {
    format!(
        "GET /v1/ws HTTP/1.1\r\nHost: chat.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

/// Opens a WebSocket; `before` comes before the request, `headers` in it.
async fn connect_with(at: SocketAddr, before: &str, headers: &str) -> Result<Client, String> {
    let attempt = async {
        let mut stream = TcpStream::connect(at).await.map_err(|error| error.to_string())?;
        let request = format!("{before}{}", handshake(headers));
        stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        let head = gateway::head(&mut stream).await.map_err(|error| error.to_string())?;
        let gateway = head.lines().find_map(|line| line.to_lowercase().strip_prefix("x-gateway: ")?.parse().ok());
        gateway.map(|gateway| Client { stream, gateway }).ok_or(head)
    };
    tokio::time::timeout(PATIENCE, attempt).await.map_err(|_| "no answer".to_owned())?
}

async fn connect(at: SocketAddr) -> Client {
    connect_with(at, "", "").await.unwrap()
}

/// Many clients at once, by turns through each of the balancers.
async fn crowd(through: &[&HaProxy], clients: usize) -> Vec<Client> {
    let addresses: Vec<SocketAddr> = through.iter().map(|haproxy| haproxy.clients()).collect();
    let started = Instant::now();
    let crowd: Vec<Client> = stream::iter((0..clients).map(|nth| connect(addresses[nth % addresses.len()])))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    println!("{clients} clients in {:.1} s", started.elapsed().as_secs_f64());
    crowd
}

impl Client {
    /// Whether what it sends comes back.
    async fn is_alive(&mut self) -> bool {
        let mut back = [0; 4];
        let echo =
            async { self.stream.write_all(b"ping").await.is_ok() && self.stream.read_exact(&mut back).await.is_ok() };
        tokio::time::timeout(PATIENCE, echo).await == Ok(true)
    }
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Everybody goes through as many HAProxies as one process of 20,000 files allows; gateways and clients are processes, too.
#[tokio::test(flavor = "multi_thread")]
async fn connections_follow_capacity_and_a_gateway_that_goes_gets_nobody_new() {
    let is_long = std::env::var_os("CHATCLUSTER_LONG").is_some_and(|value| value == "1");
    let (clients, haproxies) = if is_long { (20_000, 3) } else { (2_000, 2) };
    let unit = u32::try_from(clients / 4).unwrap();
    let limits = [unit, 2 * unit, 3 * unit, 4 * unit];
    let shares = limits.map(u64::from);
    let scene = Scene::new(&[], 2 * unit, json!({})).await;
    let mut gateways: Vec<Remote> = Vec::new();
    for (number, limit) in limits.into_iter().enumerate() {
        let at = address(scene.network, u8::try_from(number + 1).unwrap());
        gateways.push(Remote::start(at, number, limit));
        scene.names.lock().unwrap().push(at);
    }
    let tier: Vec<HaProxy> = (0..haproxies).map(|number| scene.haproxy(number)).collect();
    for haproxy in &tier {
        haproxy.wait_weights(&[64, 128, 192, 256]).await;
        assert_eq!(haproxy.ask("/readyz").await.0, 200);
        assert_eq!(haproxy.ask("/healthz").await.0, 200);
    }
    let through: Vec<SocketAddr> = tier.iter().map(HaProxy::clients).collect();
    let counts = |gateways: &mut [Remote]| gateways.iter_mut().map(Remote::connections).collect::<Vec<_>>();

    let mut people = People::come(&through, clients, 4);
    assert_proportional("all gateways", &counts(&mut gateways), &shares);
    assert!(gateways.iter_mut().all(|gateway| gateway.refused() == 0));

    // Cordoned: nobody comes any more, and everybody stays.
    gateways[2].close(true);
    for haproxy in &tier {
        eventually("it is known to one", async || haproxy.taking().await == 3).await;
    }
    let before = gateways[2].connections();
    let more = People::come(&through, clients / 5, 4);
    let now = gateways[2].connections();
    assert_eq!((now, more.at(2)), (before, 0), "somebody new came to a gateway that is being emptied");
    // For longer than it takes until its checks, which fail, make it a server that is down.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let (asked, alive) = people.alive(2);
    assert!(
        asked >= 50 && alive == asked,
        "clients of a gateway that is being emptied were cut off: {alive} of {asked}"
    );
    gateways[2].close(false);
    for haproxy in &tier {
        eventually("all are back", async || haproxy.taking().await == 4).await;
    }
    drop(more);
    eventually("they have left", async || counts(&mut gateways).iter().sum::<u64>() == clients as u64).await;

    // Killed: everybody who was there comes back, and finds a place at the others.
    let lost = gateways[3].connections();
    drop(gateways.pop());
    let back = People::come(&through, usize::try_from(lost).unwrap(), 4);
    assert_eq!(back.at(3), 0);
    assert_proportional("without the largest", &counts(&mut gateways), &shares[..3]);
    println!("memory of one: {}", resident(&tier[0]));
}

fn resident(haproxy: &HaProxy) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", haproxy.id())).unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_all_gateways_full_waits_for_a_place() {
    let scene = Scene::new(&[3, 3], 3, json!({})).await;
    let haproxy = scene.haproxy(0);
    haproxy.wait_weights(&[128, 128]).await;
    let mut there = crowd(&[&haproxy], 6).await;
    assert_eq!(scene.counts(), [3, 3]);
    let (at, started) = (haproxy.clients(), Instant::now());
    let waiting = tokio::spawn(async move { connect_with(at, "", "").await });
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!waiting.is_finished(), "nobody is to be turned away at once");
    assert_eq!(scene.counts(), [3, 3], "and nobody gets in");
    let request = "GET /v1/sessions HTTP/1.1\r\nHost: chat.example.org\r\nConnection: close\r\n\r\n";
    let (mut stream, mut answer) = (TcpStream::connect(at).await.unwrap(), String::new());
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "a request that takes no place waits for one: {answer}");
    assert!(!waiting.is_finished());
    let gone = there.pop().unwrap();
    let place = gone.gateway;
    drop(gone);
    let client = waiting.await.unwrap().unwrap();
    assert_eq!(client.gateway, place);
    println!("got a place after {:.1} s", started.elapsed().as_secs_f64());
    // Who waits too long is told.
    let told = connect_with(at, "", "").await.err().unwrap();
    assert!(told.starts_with("HTTP/1.1 503"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_come_and_go_by_their_name_and_a_stop_cuts_nobody_off() {
    let mut scene = Scene::new(&[100], 100, json!({})).await;
    let mut haproxy = scene.haproxy(0);
    haproxy.wait_weights(&[128]).await;
    let mut first = connect(haproxy.clients()).await;
    scene.add(100);
    haproxy.wait_weights(&[128, 128]).await;
    let second = connect(haproxy.clients()).await;
    assert_eq!((first.gateway, second.gateway), (0, 1));
    // A name server that knows nothing for a moment is no reason to forget anybody.
    let known = std::mem::take(&mut *scene.names.lock().unwrap());
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(connect_with(haproxy.clients(), "", "").await.is_ok());
    *scene.names.lock().unwrap() = known;

    haproxy.stop();
    eventually("its port is closed", async || TcpStream::connect(haproxy.clients()).await.is_err()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(first.is_alive().await, "a stop cut off who was there: {}", haproxy.log());
    assert!(!haproxy.has_ended());
    drop((first, second));
    eventually("it ends when all have left", async || haproxy.has_ended()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_are_told_the_clients_address_and_no_other() {
    let expose = json!({ "type": "HAProxy", "haproxy": { "proxyProtocol": true } });
    let scene = Scene::new(&[100], 100, json!({ "expose": expose, "trustedProxies": ["203.0.113.0/24"] })).await;
    let haproxy = scene.haproxy(0);
    haproxy.wait_weights(&[128]).await;
    let from = async |peer: &str, headers: &str| {
        let before = format!("PROXY TCP4 {peer} 192.0.2.1 40000 9080\r\n");
        let _client = connect_with(haproxy.clients(), &before, headers).await.unwrap();
        scene.gateways[0].state.told.lock().unwrap().clone()
    };
    let lies = "X-Forwarded-For: 10.9.9.9\r\nForwarded: for=10.9.9.9\r\n";
    assert_eq!(from("198.51.100.7", "").await, ["x-forwarded-for: 198.51.100.7"]);
    assert_eq!(from("198.51.100.7", lies).await, ["x-forwarded-for: 198.51.100.7"]);
    // A proxy that the spec trusts has put its client last.
    let through = "X-Forwarded-For: 10.9.9.9, 198.51.100.8\r\n";
    assert_eq!(from("203.0.113.5", through).await, ["x-forwarded-for: 198.51.100.8"]);
    assert_eq!(from("203.0.113.5", "").await, ["x-forwarded-for: 203.0.113.5"]);
    assert!(connect_with(haproxy.clients(), "", "").await.is_err(), "nobody gets in without the PROXY protocol");
}

/// Nobody is cut off, and the process stays: also for a certificate that is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_taken_while_people_are_connected() {
    let expose = json!({ "type": "HAProxy", "haproxy": { "tlsSecretRef": { "name": "my-certificate" } } });
    let scene = Scene::new(&[100], 100, json!({ "expose": expose })).await;
    let [first, second, third] = [certificate::pair(), certificate::pair(), certificate::pair()];
    let pem = |pair: &rcgen::CertifiedKey<rcgen::KeyPair>| (pair.cert.pem(), pair.signing_key.serialize_pem());
    let mut haproxy = scene.haproxy_with(&pem(&first));
    haproxy.wait_weights(&[128]).await;
    let at = haproxy.clients_over_tls();
    let mut early = certificate::connect(at, &first).await.unwrap();

    // The key of another one, and a chain that is longer than HAProxy's buffer.
    let (certificate, key) = pem(&second);
    for (nth, (wrong, key)) in [(certificate.clone(), pem(&first).1), (certificate.repeat(60), key)].iter().enumerate()
    {
        haproxy.certificate().put(wrong, key);
        let refused = || haproxy.log().matches("is refused, and the one before stays").count();
        eventually("what is wrong is refused", async || refused() == nth + 1).await;
        assert!(certificate::connect(at, &first).await.is_ok(), "the one before is shown: {}", haproxy.log());
    }
    // With empty lines, as people paste them together.
    for (nth, pair) in [&second, &third].into_iter().enumerate() {
        let (certificate, key) = pem(pair);
        haproxy.certificate().put(&format!("\n{certificate}\n\n"), &format!("{key}\r\n\n"));
        eventually("the renewed one is shown", async || certificate::connect(at, pair).await.is_ok()).await;
        let taken = haproxy.log().matches("a renewed certificate is in force").count();
        assert_eq!(taken, nth + 1, "{}", haproxy.log());
    }
    assert!(certificate::connect(at, &first).await.is_err(), "the first one is shown still");
    assert!(certificate::is_alive(&mut early).await, "who was there was cut off: {}", haproxy.log());
    assert!(!haproxy.log().contains("PRIVATE KEY"), "the log has the key");

    haproxy.stop();
    eventually("its port is closed", async || TcpStream::connect(at).await.is_err()).await;
    assert!(certificate::is_alive(&mut early).await && !haproxy.has_ended());
    drop(early);
    eventually("it ends when all have left", async || haproxy.has_ended()).await;
}
