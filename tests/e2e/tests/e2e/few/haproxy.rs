//! People chat through the tier of HAProxy over TLS, and one of its pods is killed; its certificate is renewed.

use std::{
    env, fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use chat_test_client::{
    Addresses,
    load::{Load, Progress},
};
use e2e::{
    ChatCluster, Crowd, Namespace, World,
    chat_cluster::condition,
    manifest,
    pods::{Part, ip, restarts},
    wait::{Seen, until},
};
use kube::{ResourceExt as _, api::DeleteParams};
use rcgen::{CertifiedKey, KeyPair};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use crate::{
    outside,
    shared::{READY_LIMIT, SETTLE_LIMIT, turn},
};

const LOAD: Load = Load { messages: 4_000, in_flight: 32, body_bytes: 200, per_second: 200 };
/// What is said once more when the certificate is another one.
const AFTER_RENEWAL: Load = Load { messages: 200, ..LOAD };
const HOST: &str = "chat.example.org";
const SECRET: &str = "chat-tls";
/// Time that a HAProxy that ends has; then it cuts off who is left.
const DRAIN_SECONDS: u64 = 120;
/// Time in which every HAProxy has found every gateway: it asks for their addresses and after each of them every few seconds.
const FOUND_WITHIN: Duration = Duration::from_secs(10);
/// HAProxy's port for clients with TLS.
const PORT: u16 = 9443;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn people_chat_through_haproxy_over_tls_and_come_back_when_one_is_killed() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, "e2e-haproxy").await?;
    let mut wanted = manifest::smallest("tier");
    wanted["spec"]["gateways"] = json!({
        "replicas": 2,
        "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000 },
        "expose": { "type": "HAProxy", "haproxy": { "tlsSecretRef": { "name": SECRET }, "drainSeconds": DRAIN_SECONDS } },
    });
    let cluster = ChatCluster::apply(&world, &namespace.name, &wanted).await?;
    let names = ["spec.gateways.expose.haproxy.tlsSecretRef", SECRET];
    cluster.wait_told("Ready", &["SecretNotFound"], &names, SETTLE_LIMIT).await?;
    let [certified, renewed] = [new_pair()?, new_pair()?];
    put_certificate(&cluster, &certified).await?;
    let before = cluster.wait_ready(READY_LIMIT).await?;
    cluster.wait_pods(Part::Balancer, 2, SETTLE_LIMIT).await?;
    // A HAProxy is ready when it knows one gateway; it looks for itself whether the other is, a few seconds later.
    tokio::time::sleep(FOUND_WITHIN).await;

    let way_in = WayIn::open(&cluster, &[&certified, &renewed]).await?;
    let crowd = Crowd::through(&way_in.addresses, 4).await?;
    let mut gateways: Vec<Option<String>> = crowd.devices().map(|device| device.standing().gateway).into();
    gateways.sort();
    ensure!(gateways[1] != gateways[2], "four devices are not two on each gateway: {gateways:?}");
    let progress = Progress::default();
    let trouble = async {
        progress.reach(LOAD.messages / 4).await;
        let started = Instant::now();
        let gone = cluster.ready_pods(Part::Balancer).await?.into_iter().next().context("no HAProxy is ready")?;
        cluster.kill_pod(&gone).await?;
        cluster.wait_pods(Part::Balancer, 2, SETTLE_LIMIT).await?;
        println!("another HAProxy is ready {:.1} s after the end of one", started.elapsed().as_secs_f64());
        Ok::<_, anyhow::Error>(())
    };
    let (report, troubled) = tokio::join!(crowd.chat(LOAD, &progress), trouble);
    troubled?;
    crowd.judge("one of two HAProxies is killed", &report?).assert_clean(LOAD.messages);
    let mut made: Vec<u32> = crowd.devices().iter().map(|device| device.standing().connections).collect();
    made.sort_unstable();
    ensure!(made[3] > 1 && made[0] == 1, "the end of one HAProxy is felt by its clients and by no others: {made:?}");

    let now = cluster.wait_ready(SETTLE_LIMIT).await?;
    let since =
        |object| condition(object, "GatewaysAvailable").map(|condition| condition["lastTransitionTime"].clone());
    ensure!(since(&now) == since(&before), "nobody could get in for a while: {}", now.data["status"]);
    cluster.check_spec_is_the_users().await?;
    renew(&cluster, &crowd, &renewed).await?;
    end_gently(&cluster, &crowd).await?;
    drop((crowd, way_in));
    other_ways_in(&cluster).await?;
    namespace.discard().await
}

type Pair = CertifiedKey<KeyPair>;

fn new_pair() -> Result<Pair> {
    Ok(rcgen::generate_simple_self_signed(vec![HOST.to_owned()])?)
}

async fn put_certificate(cluster: &ChatCluster, pair: &Pair) -> Result<()> {
    let pair = json!({ "tls.crt": pair.cert.pem(), "tls.key": pair.signing_key.serialize_pem() });
    outside::apply(&cluster.world, &cluster.namespace, &[outside::secret(SECRET, &pair)]).await
}

/// A renewed certificate is shown by the HAProxies that are there, and nobody is cut off.
async fn renew(cluster: &ChatCluster, crowd: &Crowd, renewed: &Pair) -> Result<()> {
    let pods = async || {
        let pods = cluster.ready_pods(Part::Balancer).await?;
        let mut seen: Vec<_> = pods.iter().map(|pod| (pod.metadata.uid.clone(), restarts(pod))).collect();
        seen.sort();
        Ok::<_, anyhow::Error>((seen, pods))
    };
    let ((before, tier), there, started) = (pods().await?, crowd.connections(), Instant::now());
    let (connector, name) = (trusting(&[renewed])?, ServerName::try_from(HOST)?);
    put_certificate(cluster, renewed).await?;
    for pod in &tier {
        let at = (ip(pod)?, PORT);
        until("the renewed certificate", SETTLE_LIMIT, || async {
            let shown = connector.connect(name.clone(), TcpStream::connect(at).await?).await;
            Ok(shown.map_or_else(|error| Seen::NotYet(error.to_string()), |_| Seen::Yes(())))
        })
        .await?;
    }
    println!("all HAProxies show the renewed certificate after {:.1} s", started.elapsed().as_secs_f64());
    let report = crowd.chat(AFTER_RENEWAL, &Progress::default()).await?;
    crowd.judge("a renewed certificate", &report).assert_clean(LOAD.messages + AFTER_RENEWAL.messages);
    ensure!(crowd.connections() == there, "clients were cut off: {:?} after {there:?}", crowd.connections());
    ensure!(pods().await?.0 == before, "a HAProxy was replaced for a certificate");
    Ok(())
}

/// Who believes these certificates.
fn trusting(pairs: &[&Pair]) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for pair in pairs {
        roots.add(pair.cert.der().clone())?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A HAProxy that is told to end does not wait to cut its clients off: they are asked to come through another one, and it is gone early.
async fn end_gently(cluster: &ChatCluster, crowd: &Crowd) -> Result<()> {
    let (before, started) = (crowd.connections(), Instant::now());
    let ready = cluster.ready_pods(Part::Balancer).await?.into_iter();
    let oldest = ready.min_by_key(|pod| pod.metadata.creation_timestamp.clone()).context("no HAProxy is ready")?;
    let name = oldest.name_any();
    cluster.pod_api().delete(&name, &DeleteParams::default()).await?;
    until("the HAProxy to be gone", Duration::from_secs(DRAIN_SECONDS / 2), || async {
        let there = cluster.pod_api().get_opt(&name).await?.is_some();
        Ok(if there { Seen::NotYet(format!("{:?} after {before:?}", crowd.connections())) } else { Seen::Yes(()) })
    })
    .await?;
    let moved: Vec<u32> = crowd.connections().iter().zip(&before).map(|(now, then)| now - then).collect();
    println!("it was gone after {:.1} s, moves {moved:?}", started.elapsed().as_secs_f64());
    ensure!(moved.iter().sum::<u32>() > 0, "nobody came through the oldest HAProxy");
    ensure!(moved.iter().all(|moves| *moves <= 1), "somebody moved twice: {moved:?}");
    cluster.wait_pods(Part::Balancer, 2, SETTLE_LIMIT).await.map(drop)
}

/// An Ingress takes the tier's place; a route of an API that is not installed takes nothing's.
async fn other_ways_in(cluster: &ChatCluster) -> Result<()> {
    let expose = |expose: Value| json!({ "spec": { "gateways": { "expose": expose } } });
    let ingress = json!({ "type": "Ingress", "haproxy": null, "ingress": { "host": HOST } });
    cluster.merge(expose(ingress)).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    let ways_in = async || {
        let children = cluster.children().await?.into_iter();
        let named = children.filter_map(|child| Some(format!("{} {}", child.types?.kind, child.metadata.name?)));
        let mut ways: Vec<String> =
            named.filter(|name| name.starts_with("Ingress ") || name.ends_with("-haproxy")).collect();
        ways.sort();
        Ok::<_, anyhow::Error>(ways)
    };
    ensure!(ways_in().await? == ["Ingress tier-gateway"], "{:?}", ways_in().await?);
    let route = json!({ "type": "HTTPRoute", "ingress": null, "httpRoute": { "parentRefs": [{ "name": "public" }] } });
    cluster.merge(expose(route)).await?;
    let told = ["spec.gateways.expose.httpRoute", "install the Gateway API"];
    cluster.wait_told("Ready", &["KindNotServed"], &told, SETTLE_LIMIT).await?;
    ensure!(ways_in().await? == ["Ingress tier-gateway"], "what ran is gone: {:?}", ways_in().await?);
    a_route(cluster).await?;
    ensure!(ways_in().await?.is_empty(), "two ways in: {:?}", ways_in().await?);
    Ok(())
}

/// The definition of the Gateway API itself is installed, and takes the route as the operator wants it.
async fn a_route(cluster: &ChatCluster) -> Result<()> {
    let folder = env::var_os("CHATCLUSTER_GATEWAY_API").filter(|folder| !folder.is_empty());
    let folder = folder.context("no Gateway API: run this test by `cargo xtask test --only e2e`")?;
    let file = Path::new(&folder).join("gateway.networking.k8s.io_httproutes.yaml");
    let definition = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
    cluster.world.kubectl_apply(&definition).await?;
    let served = until("a route", SETTLE_LIMIT, || async {
        let args = ["get", "httproute.gateway.networking.k8s.io/tier-gateway", "-n", &cluster.namespace, "-o", "json"];
        let got = cluster.world.kubectl_any(&args, None).await?;
        Ok(if got.success { Seen::Yes(got.out) } else { Seen::NotYet(got.err) })
    });
    let route: Value = serde_json::from_str(&served.await?)?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    let backend = &route["spec"]["rules"][0]["backendRefs"][0];
    ensure!((&backend["kind"], &backend["name"]) == (&json!("Service"), &json!("tier-gateway")), "{route}");
    ensure!(route["spec"]["parentRefs"][0]["name"] == "public", "{route}");
    // What the API server adds by itself is no difference that would be mended in every pass.
    cluster.merge(json!({ "metadata": { "annotations": { "chatcluster.dev/looked-at": "again" } } })).await?;
    tokio::time::sleep(FOUND_WITHIN).await;
    let args = ["get", "httproute/tier-gateway", "-n", &cluster.namespace, "-o", "json"];
    let later: Value = serde_json::from_str(&cluster.world.kubectl(&args).await?)?;
    let version = |route: &Value| route["metadata"]["resourceVersion"].clone();
    ensure!(version(&later) == version(&route), "written again: {route} {later}");
    // A route of a ChatCluster that wants none goes, and so may the definition.
    cluster.merge(json!({ "spec": { "gateways": { "expose": { "type": "ClusterIP", "httpRoute": null } } } })).await?;
    until("the route to be gone", SETTLE_LIMIT, || async {
        let gone = !cluster.world.kubectl_any(&args, None).await?.success;
        Ok(if gone { Seen::Yes(()) } else { Seen::NotYet("it is there".to_owned()) })
    })
    .await?;
    let printed = cluster.world.kubectl_any(&["delete", "-f", "-"], Some(&definition)).await?;
    ensure!(printed.success, "the definition cannot be removed: {}", printed.err);
    Ok(())
}

/// A port of this machine that leads into TLS to one HAProxy after the other, as a load balancer in front of them would choose.
struct WayIn {
    addresses: Addresses,
    relay: JoinHandle<()>,
}

impl WayIn {
    /// Leads to the HAProxies that are ready at each connection, if they show one of these certificates.
    async fn open(cluster: &ChatCluster, certificates: &[&Pair]) -> Result<Self> {
        let (connector, name) = (trusting(certificates)?, ServerName::try_from(HOST)?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addresses = Addresses::new(vec![listener.local_addr()?.to_string()]);
        let (cluster, turn) = (cluster.clone(), Arc::new(AtomicUsize::new(0)));
        let relay = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (cluster, connector, name) = (cluster.clone(), connector.clone(), name.clone());
                let turn = Arc::clone(&turn);
                tokio::spawn(async move {
                    let pods = cluster.ready_pods(Part::Balancer).await?;
                    let pod =
                        pods.get(turn.fetch_add(1, Relaxed) % pods.len().max(1)).context("no HAProxy is ready")?;
                    let far =
                        tokio::time::timeout(Duration::from_secs(5), TcpStream::connect((ip(pod)?, PORT))).await??;
                    let mut far = connector.connect(name, far).await?;
                    tokio::io::copy_bidirectional(&mut near, &mut far).await?;
                    Ok::<_, anyhow::Error>(())
                });
            }
        });
        Ok(Self { addresses, relay })
    }
}

impl Drop for WayIn {
    fn drop(&mut self) {
        self.relay.abort();
    }
}
