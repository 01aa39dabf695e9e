//! The token of the admin port, the authorities of issuers and the password of a managed shard change while gateways run: nobody is restarted, operator and
//! gateways agree at every moment, wherever the operator dies and however long kubelets take. Where gateways do not say that they follow the files, everything is as it was before they could.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

#[path = "rotation/servers.rs"]
mod servers;
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Json,
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chat_gateway_config::{
    AdminTokens,
    stats::{Component, GatewayStats, HealthCounters, MessageCounters, ShardStats, Taken},
};
use chat_operator::{context::Context, names::ClusterKey, reconcile::reconcile};
use kube::Client;
use serde_json::{Value, json};

use servers::{RABBITMQ, REDIS, SHARD, SHARDS, Server, Ways};
use support::api_server::{ApiServer, Death, Write, chat_cluster};

/// Passes after which a course has to have come to its end.
const ENOUGH: usize = 80;
/// Gateways that there can be in one test.
const ADDRESSES: u8 = 6;
const SECRET: &str = "/api/v1/namespaces/chat/secrets/demo-admin-token";
const CA: &str = "/api/v1/namespaces/chat/secrets/my-issuer-ca";

/// One gateway and its node.
#[derive(Clone, Debug)]
struct Gateway {
    pod: String,
    /// The file as the kubelet brought it last; `None` once the pod's volumes stay as they are.
    file: String,
    /// Those with the ways to RabbitMQ and Redis.
    ways: Ways,
    /// Passes that a change of the Secret takes to get here, and those that are over.
    lag: usize,
    waited: usize,
    /// Whether it is of a version that reads the file anew.
    follows: bool,
    is_ending: bool,
}

/// Everything around the operator.
#[derive(Clone)]
struct World {
    server: ApiServer,
    client: Client,
    version: String,
    /// By address.
    gateways: Arc<Mutex<BTreeMap<String, Gateway>>>,
    /// Requests that a gateway refused.
    refused: Arc<Mutex<Vec<String>>>,
    /// Managed servers by their Secrets.
    servers: Arc<Mutex<BTreeMap<&'static str, Server>>>,
    addresses: Vec<String>,
}

fn key() -> ClusterKey {
    ClusterKey::new("chat", "demo")
}

fn text(secret: &Value) -> String {
    let data = secret["data"]["token"].as_str().unwrap_or_default();
    String::from_utf8(STANDARD.decode(data).unwrap()).unwrap()
}

/// What a person asks for stays on the Secrets whatever the operator applies.
fn asks(path: &str, object: &mut Value, request: &str) {
    if [SECRET, SHARD].contains(&path) {
        object["metadata"]["annotations"]["chatcluster.dev/rotate"] = json!(request);
    }
}

impl World {
    /// A ChatCluster with two gateways, settled; its issuer has authorities of its own.
    async fn new(follows: bool) -> Self {
        Self::with(follows, |_| ()).await
    }

    /// The same with a change of its spec.
    async fn with(follows: bool, change: impl FnOnce(&mut Value)) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let (server, client) = ApiServer::empty().await;
        let process = std::process::id().to_be_bytes();
        let address = |_| format!("127.{}.{}.{}", process[2], process[3], NEXT.fetch_add(1, Ordering::Relaxed));
        let world = Self {
            server,
            client,
            version: "n".to_owned(),
            gateways: Arc::default(),
            refused: Arc::default(),
            servers: Arc::default(),
            addresses: (0..ADDRESSES).map(address).collect(),
        };
        support::put_user_secrets(&world.server);
        let mut cluster = serde_json::to_value(support::cluster("external-backends")).unwrap();
        cluster["spec"]["auth"]["oidc"] = json!([{
            "issuer": "https://id.example.com", "audience": "chat", "caSecretRef": { "name": "my-issuer-ca", "key": "roots.pem" }
        }]);
        change(&mut cluster["spec"]);
        world.server.put(&chat_cluster("demo"), cluster);
        for address in &world.addresses {
            let state = (world.clone(), address.clone());
            let gateway = Router::new().route("/stats", get(stats)).with_state(state);
            let listener = tokio::net::TcpListener::bind((address.as_str(), 8_081)).await.unwrap();
            tokio::spawn(async move { axum::serve(listener, gateway).await });
        }
        world.work(follows);
        world.course(follows).await;
        assert_eq!(world.gateways.lock().unwrap().len(), 2);
        world
    }

    /// Has a request served for each kind of kubelets: once undisturbed, and once for each way in which the operator may die at one of the writes. No template
    /// changes by it. `begin` takes the kind, and asks; `wrote` looks at the undisturbed writes, `done` at each end.
    async fn dies_at_each_write<L: Clone + std::fmt::Debug>(
        &self,
        lags: impl IntoIterator<Item = L>,
        begin: impl Fn(L),
        wrote: impl Fn(&[Write]),
        done: impl Fn(&str),
    ) {
        let (objects, templates) = (self.server.objects(), self.templates());
        let gateways = self.gateways.lock().unwrap().clone();
        let servers = self.servers.lock().unwrap().clone();
        for lag in lags {
            let serve = async |death: Option<Death>, place: &str| {
                self.server.restore(objects.clone());
                self.gateways.lock().unwrap().clone_from(&gateways);
                self.servers.lock().unwrap().clone_from(&servers);
                begin(lag.clone());
                self.server.kill(death);
                self.course(true).await;
                done(place);
                assert_eq!(self.templates(), templates, "{place}");
            };
            serve(None, &format!("{lag:?}")).await;
            let writes = self.server.writes();
            wrote(&writes);
            for (at, write) in writes.iter().enumerate() {
                for is_written in [false, true] {
                    let death = Death { at, is_written };
                    serve(Some(death), &format!("{lag:?}, {death:?} of {} {}", write.method, write.path)).await;
                }
            }
        }
    }

    fn operator(&self) -> Context {
        let mut context = support::context(self.client.clone());
        let environment = Arc::make_mut(&mut context.environment);
        environment.identity.clone_from(&self.version);
        if self.version != "n" {
            environment.images.gateway.push_str(&self.version);
        }
        context
    }

    /// Passes until nothing changes any more; an operator that died is followed by another one. Gateways that come are of this version.
    async fn course(&self, follows: bool) {
        let mut context = self.operator();
        let mut quiet = 0;
        for _ in 0..ENOUGH {
            let before = self.server.writes().len();
            // Its view is renewed by rounds that nobody makes here.
            context.poller.forget(&key());
            let key = key();
            let died = tokio::select! {
                pass = reconcile(&context, &key) => {
                    let pass = pass.unwrap();
                    assert!(pass.error.is_none(), "{:?}", pass.error);
                    false
                }
                () = self.server.death() => true,
            };
            if died {
                context = self.operator();
            }
            let works = self.work(follows);
            let is_quiet = !died && !works && self.server.writes().len() == before;
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet == 3 {
                return;
            }
        }
        panic!("no end: {} {:#?}", self.server.get(SECRET).unwrap(), self.gateways.lock().unwrap());
    }

    /// What the rest of Kubernetes does meanwhile; whether it did anything.
    fn work(&self, follows: bool) -> bool {
        let mut works = false;
        for (path, mut job) in self.server.list("/jobs/") {
            if job["status"].is_null() && self.migrate(&job) {
                works = true;
                job["status"] = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
                self.server.put(&path, job);
            }
        }
        for (path, mut set) in self.server.list("/statefulsets/") {
            if set["status"].is_null() {
                works = true;
                set["status"] = json!({
                    "observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1,
                    "currentRevision": "r", "updateRevision": "r"
                });
                self.server.put(&path, set);
            }
        }
        works |= self.serve();
        let secret = self.server.get(SECRET).map(|secret| text(&secret)).unwrap_or_default();
        let ways = self.ways();
        let mut gateways = self.gateways.lock().unwrap();
        let is_behind =
            |gateway: &&mut Gateway| !gateway.is_ending && (&gateway.file, &gateway.ways) != (&secret, &ways);
        for gateway in gateways.values_mut().filter(is_behind) {
            works = true;
            gateway.waited += 1;
            if gateway.waited > gateway.lag {
                (gateway.file, gateway.ways, gateway.waited) = (secret.clone(), ways.clone(), 0);
            }
        }
        for (path, mut deployment) in self.server.list("/deployments/") {
            let template = &deployment["spec"]["template"]["metadata"];
            let count = &deployment["spec"]["replicas"];
            for nth in 0..count.as_i64().unwrap_or(1) {
                let name = format!("{}-{nth}", deployment["metadata"]["name"].as_str().unwrap());
                let path = format!("/api/v1/namespaces/chat/pods/{name}");
                if self.server.get(&path).is_none() {
                    works = true;
                    let address = self.addresses.iter().find(|address| !gateways.contains_key(*address)).unwrap();
                    let gateway = Gateway {
                        pod: name.clone(),
                        file: secret.clone(),
                        ways: ways.clone(),
                        lag: 0,
                        waited: 0,
                        follows,
                        is_ending: false,
                    };
                    gateways.insert(address.clone(), gateway);
                    self.server.put(&path, json!({
                        "apiVersion": "v1", "kind": "Pod",
                        "metadata": {
                            "name": name, "namespace": "chat", "labels": template["labels"], "annotations": template["annotations"]
                        },
                        "spec": { "containers": [] },
                        "status": { "phase": "Running", "podIP": address, "conditions": [{ "type": "Ready", "status": "True" }] }
                    }));
                }
            }
            let status = json!({
                "observedGeneration": 1, "replicas": count, "readyReplicas": count, "updatedReplicas": count, "availableReplicas": count
            });
            if deployment["status"] != status {
                works = true;
                deployment["status"] = status;
                self.server.put(&path, deployment);
            }
        }
        works
    }

    /// Somebody asks for another token.
    fn ask(&self, policy: fn(&str, &mut Value)) {
        self.server.admit(policy);
        for path in [SECRET, SHARD, RABBITMQ, REDIS] {
            if let Some(mut secret) = self.server.get(path) {
                policy(path, &mut secret);
                self.server.put(path, secret);
            }
        }
    }

    fn lags(&self, lags: [usize; 2]) {
        for (gateway, lag) in self.gateways.lock().unwrap().values_mut().zip(lags) {
            (gateway.lag, gateway.waited) = (lag, 0);
        }
    }

    fn each(&self, change: impl FnMut(&mut Gateway)) {
        self.gateways.lock().unwrap().values_mut().for_each(change);
    }

    /// Names and templates of what runs.
    fn templates(&self) -> BTreeMap<String, Value> {
        let all = ["/deployments/", "/statefulsets/"].into_iter().flat_map(|part| self.server.list(part));
        all.map(|(path, deployment)| (path, deployment["spec"]["template"].clone())).collect()
    }

    fn token(&self) -> String {
        text(&self.server.get(SECRET).unwrap())
    }

    fn noted(&self, key: &str) -> Value {
        self.server.get(SECRET).unwrap()["metadata"]["annotations"][format!("chatcluster.dev/{key}")].clone()
    }

    /// The rotation has come to its end, and nobody was refused on the way.
    fn is_rotated(&self, old: &str, request: &str, place: &str) {
        let token = self.token();
        assert!(token != old && !token.contains('\n') && token.len() == 43, "{place}");
        assert_eq!((self.noted("rotated"), self.noted("rotation")), (json!(request), Value::Null), "{place}");
        assert!(self.gateways.lock().unwrap().values().all(|gateway| gateway.file == token), "{place}");
        assert_eq!(*self.refused.lock().unwrap(), [""; 0], "{place}");
    }

    /// Values of the managed shard's Secret by key.
    fn shard(&self) -> BTreeMap<String, String> {
        let secret = self.server.get(SHARD).unwrap();
        let decoded = |value: &Value| String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap();
        secret["data"].as_object().unwrap().iter().map(|(key, value)| (key.clone(), decoded(value))).collect()
    }

    /// The shard has another password than before, and everything that has to know of it knows the same.
    fn has_another_password(&self, before: &BTreeMap<String, String>, request: &str, place: &str) {
        let now = self.shard();
        for (password, uri) in [("gatewayPassword", "uri"), ("password", "migrationUri")] {
            assert_ne!(now[password], before[password], "{place}");
            assert!(now[uri].contains(&format!(":{}@", now[password])), "{place}");
            assert!(!now[uri].contains('\n'), "{place}");
        }
        let named: Vec<&String> = now.keys().filter(|key| key.starts_with("uri-")).collect();
        let [named] = named.as_slice() else { panic!("{place}: {named:?}") };
        assert_eq!(now[*named], now["uri"], "{place}");
        let annotations = &self.server.get(SHARD).unwrap()["metadata"]["annotations"];
        assert_eq!(annotations["chatcluster.dev/rotated"], request, "{place}");
        assert_eq!(annotations["chatcluster.dev/rotation"], Value::Null, "{place}");
        let served = self.server.get(SHARDS).unwrap();
        assert_eq!(served["data"]["a"], json!(STANDARD.encode(&now["uri"])), "{place}");
        // What tells PostgreSQL of it starts with this URI or not at all, and has come to its end.
        let jobs = self.server.list("/jobs/");
        let [(_, job)] = jobs.as_slice() else { panic!("{place}: {} migrations", jobs.len()) };
        assert!(job["spec"].to_string().contains(&format!("\"{named}\"")), "{place}: {job}");
        assert_eq!(job["status"]["conditions"][0]["type"], "Complete", "{place}");
        self.knows_only(&now["uri"], &now["migrationUri"], place);
    }

    fn change_authorities(&self, name: &str) {
        let mut secret = self.server.get(CA).unwrap();
        let body = STANDARD.encode(format!("certificate {name}"));
        let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        secret["data"]["roots.pem"] = json!(STANDARD.encode(pem));
        self.server.put(CA, secret);
    }
}

async fn stats(
    State((world, address)): State<(World, String)>,
    headers: HeaderMap,
) -> Result<Json<GatewayStats>, StatusCode> {
    let gateway = world.gateways.lock().unwrap().get(&address).cloned().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let tokens = AdminTokens::parse(&gateway.file).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let given = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let fits = if gateway.follows { tokens.accept(given) } else { given == gateway.file };
    if !fits {
        world.refused.lock().unwrap().push(format!("{} at {:?}", gateway.pod, tokens.ids()));
        return Err(StatusCode::UNAUTHORIZED);
    }
    let mut tried = BTreeMap::new();
    for (path, ways) in &gateway.ways {
        let (ids, is_taken) = world.tried(path, ways);
        if !is_taken {
            world.refused.lock().unwrap().push(format!("{} by the server of {path}", gateway.pod));
        }
        tried.insert(*path, if gateway.follows { ids } else { Vec::new() });
    }
    let component = Component { available: true, reason: "Connected".to_owned(), message: String::new() };
    let shard = |uris| ShardStats { name: "a".to_owned(), slots: 1_024, component: component.clone(), uris };
    let admin_tokens = if gateway.follows { tokens.ids() } else { Vec::new() };
    Ok(Json(GatewayStats {
        gateway: gateway.pod,
        connections: 0,
        rooms: 0,
        draining: false,
        cordoned: false,
        clock_ms: None,
        limit: 10_000,
        ready_seconds: Some(60),
        messages: MessageCounters::default(),
        health: HealthCounters::default(),
        delivery: None,
        broker: component.clone(),
        redis: component.clone(),
        shards: tried.remove(SHARDS).into_iter().map(shard).collect(),
        issuers: Vec::new(),
        live: Some(Taken {
            admin_tokens,
            rabbitmq_uris: tried.remove(RABBITMQ).unwrap_or_default(),
            redis_urls: tried.remove(REDIS).unwrap_or_default(),
            ..Taken::default()
        }),
    }))
}

#[tokio::test]
async fn a_token_is_replaced_while_the_operator_dies_at_each_of_its_writes() {
    let world = World::new(true).await;
    let old = world.token();
    assert_eq!(world.templates().len(), 1);
    let begin = |lags| {
        world.lags(lags);
        world.ask(|path, object| asks(path, object, "1"));
    };
    let wrote = |writes: &[Write]| {
        assert_eq!(writes.iter().filter(|write| write.path == SECRET).count(), 3, "{writes:#?}");
    };
    // Kubelets that bring a change at once, and such that take their time.
    let lags = [[0, 0], [0, 5], [5, 0], [3, 4]];
    world.dies_at_each_write(lags, begin, wrote, |place| world.is_rotated(&old, "1", place)).await;
}

#[tokio::test]
async fn each_request_is_served_once_and_one_in_between_afterwards() {
    let world = World::new(true).await;
    let (first, templates) = (world.token(), world.templates());
    world.ask(|path, object| asks(path, object, "1"));
    world.course(true).await;
    world.is_rotated(&first, "1", "the first");
    let second = world.token();
    world.course(true).await;
    assert_eq!(world.token(), second, "it is served");

    // Both are kept apart by kubelets that are late.
    world.lags([6, 6]);
    world.ask(|path, object| asks(path, object, "2"));
    let context = world.operator();
    reconcile(&context, &key()).await.unwrap();
    assert_eq!((world.noted("rotated"), world.noted("rotation")), (json!("2"), json!("Announced")));
    let third = world.token().lines().nth(1).unwrap().to_owned();
    world.ask(|path, object| asks(path, object, "3"));
    world.course(true).await;
    world.is_rotated(&third, "3", "the one that came in between");
    assert_ne!(world.token(), second);
    assert_eq!(world.templates(), templates);
}

#[tokio::test]
async fn gateways_that_do_not_follow_the_file_are_waited_for() {
    let world = World::new(false).await;
    let (old, templates) = (world.token(), world.templates());
    world.ask(|path, object| asks(path, object, "1"));
    world.course(false).await;
    assert_eq!(
        (world.token(), world.noted("rotation"), world.noted("rotated")),
        (old.clone(), json!("Waiting"), Value::Null)
    );

    // One of the two is not enough.
    let mut is_first = true;
    world.each(|gateway| gateway.follows = std::mem::take(&mut is_first));
    world.course(true).await;
    assert_eq!((world.token(), world.noted("rotation")), (old.clone(), json!("Waiting")));
    world.each(|gateway| gateway.follows = true);
    world.course(true).await;
    world.is_rotated(&old, "1", "they follow");
    assert_eq!(world.templates(), templates);
}

#[tokio::test]
async fn one_that_ends_need_not_read_what_it_will_not_get_any_more() {
    let world = World::new(true).await;
    let old = world.token();
    world.lags([2, 2]);
    world.ask(|path, object| asks(path, object, "1"));
    let context = world.operator();
    reconcile(&context, &key()).await.unwrap();
    // It has both, and its pod is being deleted: nothing changes in its volumes any more.
    let mut ending = String::new();
    let announced = world.token();
    world.each(|gateway| {
        if ending.is_empty() {
            (gateway.file, gateway.is_ending) = (announced.clone(), true);
            ending.clone_from(&gateway.pod);
        }
    });
    let path = format!("/api/v1/namespaces/chat/pods/{ending}");
    let mut pod = world.server.get(&path).unwrap();
    pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    world.server.put(&path, pod);
    world.course(true).await;
    assert_eq!(world.noted("rotation"), Value::Null);
    assert!(!world.token().contains(&old));
    assert_eq!(*world.refused.lock().unwrap(), [""; 0], "it accepts what is shown");
}

#[tokio::test]
async fn authorities_of_an_issuer_change_without_another_revision_where_gateways_follow_them() {
    let world = World::new(true).await;
    let templates = world.templates();
    for name in ["b", "c"] {
        world.change_authorities(name);
        world.course(true).await;
        assert_eq!(world.templates(), templates, "{name}");
    }

    let world = World::new(false).await;
    let templates = world.templates();
    world.change_authorities("b");
    // The rollout itself is another test's.
    let context = world.operator();
    drop(reconcile(&context, &key()).await.unwrap());
    let after = world.templates();
    assert!(after.len() == 2 && templates.keys().all(|name| after.contains_key(name)), "{:?}", after.keys());
}

#[tokio::test]
async fn what_changed_before_restarts_nobody_when_another_operator_comes() {
    let mut world = World::new(true).await;
    let (old, templates) = (world.token(), world.templates());
    let pending = |world: &World| world.server.get(&chat_cluster("demo")).unwrap()["status"]["pendingChanges"].clone();
    world.change_authorities("b");
    world.ask(|path, object| asks(path, object, "1"));
    world.course(true).await;
    world.is_rotated(&old, "1", "by the first operator");

    // It makes gateways of another image. That waits, and goes on waiting whatever changes meanwhile.
    world.version = "n+1".to_owned();
    world.course(true).await;
    assert_eq!(world.templates(), templates);
    let waits = pending(&world);
    assert_eq!(waits["count"], 1, "{waits}");
    let paths: BTreeSet<&str> = waits["objects"][0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|change| change["path"].as_str())
        .collect();
    assert!(!paths.contains("metadata.annotations[chatcluster.dev/config-hash]"), "{paths:?}");
    let second = world.token();
    world.change_authorities("c");
    world.ask(|path, object| asks(path, object, "2"));
    world.course(true).await;
    world.is_rotated(&second, "2", "by the second operator");
    assert_eq!(world.templates(), templates);
    assert_eq!(pending(&world)["hash"], waits["hash"]);
}

#[tokio::test]
async fn a_secret_that_is_deleted_is_made_anew_and_nobody_is_restarted() {
    let world = World::new(true).await;
    let (old, templates) = (world.token(), world.templates());
    world.server.remove(SECRET);
    world.course(true).await;
    assert!(world.token() != old && !world.token().contains('\n'));
    assert_eq!(world.templates(), templates);
}

#[tokio::test]
async fn a_managed_shard_gets_another_password_while_the_operator_dies_at_each_of_its_writes() {
    let managed = |spec: &mut Value| {
        spec["database"] = json!({ "shards": [{ "name": "a", "managed": { "storage": { "size": "1Gi" } } }] });
    };
    let world = World::with(true, managed).await;
    let (before, templates) = (world.shard(), world.templates());
    assert_eq!(before.len(), 4, "{:?}", before.keys());
    let begin = |lags| {
        world.lags(lags);
        world.ask(|path, object| asks(path, object, "1"));
    };
    let wrote = |writes: &[Write]| {
        let made = |part: &str| writes.iter().filter(|write| write.path.contains(part)).count();
        assert!(made("/jobs/") >= 2 && (3..=4).contains(&made("/demo-shard-a")), "{writes:#?}");
    };
    let done = |place: &str| world.has_another_password(&before, "1", place);
    world.dies_at_each_write([[0, 0], [0, 5], [3, 1]], begin, wrote, done).await;
    let first = world.shard();
    world.server.kill(None);
    world.ask(|path, object| asks(path, object, "2"));
    world.course(true).await;
    world.has_another_password(&first, "2", "once more");
    assert_eq!(world.templates(), templates);
}
