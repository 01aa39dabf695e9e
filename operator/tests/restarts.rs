//! Shards that come and go while the operator dies: at each of its writes, before and after, and with what it made taken away. An API server, a
//! gateway and movers that are tables stand around real passes; whatever happens, the end is the same, and no slot moves twice.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, response::Json, routing::get};
use chat_gateway_config::{
    SlotList,
    slots::{MovedSlot, OwnedSlots, ShardSlots, SlotSize, SlotsAnswer},
    stats::{Component, GatewayStats, HealthCounters, MessageCounters, ShardStats},
};
use chat_operator::{context::Context, lease::Candidate, names::ClusterKey, reconcile::reconcile};
use k8s_openapi::ByteString;
use kube::Client;
use serde_json::{Value, json};

use support::{
    api_server::{ApiServer, Death, chat_cluster},
    audit_log::AuditLog,
};

const SLOTS: u32 = 12;
/// Passes after which a course has to have come to its end.
const ENOUGH: usize = 60;
const SHARDS_SECRET: &str = "/api/v1/namespaces/chat/secrets/demo-gateway-shards";

/// Slots at shards.
#[derive(Clone, Default)]
struct Table {
    owners: BTreeMap<u32, (String, u64)>,
    moved: Vec<(String, MovedSlot)>,
    /// Shards that have rows of slots which are somebody else's by now.
    left: BTreeSet<(String, u32)>,
}

/// Everything around the operator.
#[derive(Clone)]
struct World {
    server: ApiServer,
    client: Client,
    table: Arc<Mutex<Table>>,
    is_silent: Arc<AtomicBool>,
    address: String,
    /// Uids of the Jobs that moved slots, by source and destination.
    jobs: BTreeMap<(String, String), BTreeSet<String>>,
    /// The same of those that cleaned up.
    cleaners: BTreeMap<(String, String), BTreeSet<String>>,
}

/// See [`World::begin`].
struct Settled {
    objects: BTreeMap<String, Value>,
    table: Table,
}

/// What is compared.
#[derive(Debug, PartialEq)]
struct End {
    owners: BTreeMap<u32, (String, u64)>,
    objects: BTreeSet<String>,
    rebalances: Vec<[Value; 4]>,
    balanced: Value,
}

fn key() -> ClusterKey {
    ClusterKey::new("chat", "demo")
}

fn cluster(shards: &[&str], generation: i64) -> Value {
    let mut cluster = serde_json::to_value(support::cluster("external-backends")).unwrap();
    cluster["metadata"]["generation"] = json!(generation);
    let shards = shards.iter().map(|name| json!({ "name": name, "urlSecretRef": { "name": format!("shard-{name}") } }));
    cluster["spec"]["database"] = json!({ "slots": SLOTS, "shards": shards.collect::<Vec<_>>() });
    cluster
}

fn secret(name: &str, values: &[(String, String)]) -> Value {
    let data: BTreeMap<&String, ByteString> =
        values.iter().map(|(key, value)| (key, ByteString(value.clone().into_bytes()))).collect();
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "chat" }, "data": data })
}

impl World {
    /// A ChatCluster with slots spread over `shards`, settled.
    async fn new(shards: &[&str]) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let (server, client) = ApiServer::empty().await;
        let process = std::process::id().to_be_bytes();
        let address = format!("127.{}.{}.{}", process[2], process[3], NEXT.fetch_add(1, Ordering::Relaxed));
        let owner = |slot: u32| shards[slot as usize * shards.len() / SLOTS as usize].to_owned();
        let owners = (0..SLOTS).map(|slot| (slot, (owner(slot), 1))).collect();
        let world = Self {
            server,
            client,
            table: Arc::new(Mutex::new(Table { owners, ..Table::default() })),
            is_silent: Arc::default(),
            address,
            jobs: BTreeMap::new(),
            cleaners: BTreeMap::new(),
        };
        support::put_user_secrets(&world.server);
        for name in ["a", "b", "c"] {
            let uri = |user: &str| format!("postgresql://{user}:made-up@db-{name}.example.com:5432/chat");
            let values = [("uri".to_owned(), uri("gateway")), ("migrationUri".to_owned(), uri("owner"))];
            let name = format!("shard-{name}");
            world.server.put(&format!("/api/v1/namespaces/chat/secrets/{name}"), secret(&name, &values));
        }
        world.server.put(&chat_cluster("demo"), cluster(shards, 1));
        let gateway = Router::new().route("/stats", get(stats)).route("/slots", get(slots)).with_state(world.clone());
        let listener = tokio::net::TcpListener::bind((world.address.as_str(), 8_081)).await.unwrap();
        tokio::spawn(async move { axum::serve(listener, gateway).await });
        let mut world = world;
        world.course(|_, _| ()).await;
        world
    }

    /// An operator that knows nothing but what its watches bring.
    fn operator(&self) -> Context {
        let context = support::context(self.client.clone());
        if !self.server.list("/shardrebalances/").is_empty() {
            context.memory.name(&key());
        }
        context
    }

    /// Passes until nothing changes any more, with `happens` before each; an operator that died is followed by another one.
    async fn course(&mut self, mut happens: impl FnMut(usize, &mut Self)) -> End {
        let mut context = self.operator();
        let mut quiet = 0;
        for nth in 0..ENOUGH {
            happens(nth, self);
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
            let works = self.work();
            let is_quiet = !died && !works && self.server.writes().len() == before;
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet == 3 {
                return self.end();
            }
        }
        let last: Vec<String> =
            self.server.writes().iter().rev().take(8).map(|write| format!("{} {}", write.method, write.path)).collect();
        panic!("no end: {last:#?}");
    }

    /// What the rest of Kubernetes and the movers do meanwhile; whether they did anything.
    fn work(&mut self) -> bool {
        let mut works = false;
        for (path, mut deployment) in self.server.list("/deployments/") {
            let (count, labels) =
                (&deployment["spec"]["replicas"], &deployment["spec"]["template"]["metadata"]["labels"]);
            for nth in 0..count.as_i64().unwrap_or(1) {
                let name = format!("{}-{nth}", deployment["metadata"]["name"].as_str().unwrap());
                let path = format!("/api/v1/namespaces/chat/pods/{name}");
                if self.server.get(&path).is_none() {
                    works = true;
                    self.server.put(&path, json!({
                        "apiVersion": "v1", "kind": "Pod",
                        "metadata": { "name": name, "namespace": "chat", "labels": labels },
                        "spec": { "containers": [] },
                        "status": { "phase": "Running", "podIP": self.address, "conditions": [{ "type": "Ready", "status": "True" }] }
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
        let mut pairs = BTreeSet::new();
        for (path, mut job) in self.server.list("/jobs/") {
            if !job["status"].is_null() {
                continue;
            }
            works = true;
            let args = &job["spec"]["template"]["spec"]["containers"][0]["args"];
            let args: Vec<String> = serde_json::from_value(args.clone()).unwrap();
            let argument = |name: &str| args.iter().skip_while(|arg| *arg != name).nth(1).cloned();
            if args[0] == "move" {
                let pair = (argument("--from").unwrap(), argument("--to").unwrap());
                let slots = argument("--slots").unwrap();
                assert!(args.iter().all(|arg| arg != "--abort"), "{args:?}");
                assert!(pairs.insert(pair.clone()), "two movers for {pair:?}");
                let uid = job["metadata"]["uid"].as_str().unwrap().to_owned();
                let is_cleaner = args.iter().any(|arg| arg == "--clean");
                let jobs = if is_cleaner { &mut self.cleaners } else { &mut self.jobs };
                jobs.entry(pair.clone()).or_default().insert(uid);
                if if is_cleaner { self.clean_one(&pair, &slots) } else { self.move_one(&pair, &slots) } {
                    continue;
                }
            }
            job["status"] = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
            self.server.put(&path, job);
        }
        works
    }

    /// Moves one of the slots that are left; whether there was one.
    fn move_one(&self, (from, to): &(String, String), slots: &str) -> bool {
        let slots: SlotList = slots.parse().unwrap();
        let mut table = self.table.lock().unwrap();
        let is_left = |slot: &u32| table.owners[slot].0 == *from;
        let Some(slot) = slots.iter().map(|slot| u32::try_from(slot).unwrap()).find(is_left) else { return false };
        let epoch = table.owners[&slot].1 + 1;
        table.owners.insert(slot, (to.clone(), epoch));
        table.left.insert((from.clone(), slot));
        table.left.remove(&(to.clone(), slot));
        table.moved.push((
            to.clone(),
            MovedSlot {
                slot,
                from: from.clone(),
                move_id: String::new(),
                rows: 10,
                bytes: 100,
                pause_ms: Some(20),
                at_ms: jiff::Timestamp::now().as_millisecond(),
                cleaned: false,
            },
        ));
        true
    }

    /// Deletes what is left of one of the slots; whether there was something.
    fn clean_one(&self, (from, to): &(String, String), slots: &str) -> bool {
        let slots: SlotList = slots.parse().unwrap();
        let mut table = self.table.lock().unwrap();
        let is_left = |slot: &u32| table.left.contains(&(from.clone(), *slot));
        let Some(slot) = slots.iter().map(|slot| u32::try_from(slot).unwrap()).find(is_left) else { return false };
        assert_eq!(table.owners[&slot].0, *to, "rows are deleted when their owner has them");
        table.left.remove(&(from.clone(), slot));
        for (at, moved) in &mut table.moved {
            moved.cleaned |= at == to && moved.from == *from && moved.slot == slot;
        }
        true
    }

    /// Lets hours pass for what has moved.
    fn wait(&self) {
        for (_, moved) in &mut self.table.lock().unwrap().moved {
            moved.at_ms -= 7_200_000;
        }
    }

    /// What a course begins with, to be begun again.
    fn settled(&self) -> Settled {
        Settled { objects: self.server.objects(), table: self.table.lock().unwrap().clone() }
    }

    /// Begins again, with another list of shards.
    fn begin(&mut self, Settled { objects, table }: &Settled, shards: &[&str], death: Option<Death>) {
        self.server.restore(objects.clone());
        self.table.lock().unwrap().clone_from(table);
        self.jobs.clear();
        let mut changed = cluster(shards, 2);
        changed["status"] = objects[&chat_cluster("demo")]["status"].clone();
        self.server.put(&chat_cluster("demo"), changed);
        self.server.kill(death);
    }

    fn end(&self) -> End {
        let objects = self.server.objects();
        let rebalances = self.server.list("/shardrebalances/").into_iter().map(|(_, object)| {
            let status = &object["status"];
            [
                object["metadata"]["name"].clone(),
                status["conditions"][0]["reason"].clone(),
                status["plan"].clone(),
                status["progress"]["slotsMoved"].clone(),
            ]
        });
        let conditions = objects[&chat_cluster("demo")]["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let balanced = conditions.iter().find(|condition| condition["type"] == "ShardsBalanced");
        End {
            owners: self.table.lock().unwrap().owners.clone(),
            rebalances: rebalances.collect(),
            objects: objects.into_keys().collect(),
            balanced: balanced.map(|condition| condition["status"].clone()).unwrap_or_default(),
        }
    }

    /// The gateway's shards: what its Secret has.
    fn served(&self) -> Vec<String> {
        let secret = self.server.get(SHARDS_SECRET).unwrap_or_default();
        secret["data"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    }
}

async fn stats(State(world): State<World>) -> Result<Json<GatewayStats>, StatusCode> {
    if world.is_silent.load(Ordering::Relaxed) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let component = Component { available: true, reason: "Connected".to_owned(), message: String::new() };
    let table = world.table.lock().unwrap();
    let slots = |name: &String| table.owners.values().filter(|(owner, _)| owner == name).count() as u32;
    let shards = world.served();
    let shards = shards.iter().map(|name| ShardStats {
        name: name.clone(),
        slots: slots(name),
        component: component.clone(),
        uris: Vec::new(),
    });
    Ok(Json(GatewayStats {
        gateway: "gateway".to_owned(),
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
        shards: shards.collect(),
        issuers: Vec::new(),
        live: None,
    }))
}

async fn slots(State(world): State<World>) -> Result<Json<SlotsAnswer>, StatusCode> {
    if world.is_silent.load(Ordering::Relaxed) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let table = world.table.lock().unwrap();
    let shards = world.served().into_iter().map(|name| {
        let owned: Vec<(u32, u64)> = table
            .owners
            .iter()
            .filter(|(_, (owner, _))| *owner == name)
            .map(|(slot, (_, epoch))| (*slot, *epoch))
            .collect();
        ShardSlots {
            owned: owned.iter().map(|(slot, epoch)| OwnedSlots { first: *slot, last: *slot, epoch: *epoch }).collect(),
            moved: table
                .moved
                .iter()
                .filter(|(to, moved)| *to == name && !moved.cleaned && table.owners[&moved.slot].0 == name)
                .map(|(_, moved)| moved.clone())
                .collect(),
            sizes: owned
                .iter()
                .map(|(slot, _)| *slot)
                .chain(table.left.iter().filter(|(shard, _)| *shard == name).map(|(_, slot)| *slot))
                .map(|slot| SlotSize { slot, rows: 10, bytes: 100 })
                .collect(),
            name,
            ..ShardSlots::default()
        }
    });
    Ok(Json(SlotsAnswer { slots: SLOTS, shards: shards.collect() }))
}

/// The course from one list of shards to another, again and again: first undisturbed, then with a death at each write.
async fn dies_everywhere(from: &[&str], to: &[&str]) {
    let mut world = World::new(from).await;
    let start = world.settled();
    world.begin(&start, to, None);
    let undisturbed = world.course(|_, _| ()).await;
    let writes = world.server.writes();
    assert_eq!((&undisturbed.balanced, undisturbed.rebalances.len()), (&json!("True"), 1), "{undisturbed:#?}");
    assert!(undisturbed.rebalances.iter().all(|[_, state, ..]| state == "Completed"), "{undisturbed:#?}");
    let pairs: Vec<_> = world.jobs.keys().cloned().collect();
    assert_eq!(pairs.len(), 2, "{pairs:?}");
    let of = |part: &str| writes.iter().filter(|write| write.path.contains(part)).count();
    assert!(of("/shardrebalances") >= 4 && of("/jobs/") >= 4 && of("/secrets/") >= 1, "{writes:#?}");
    for (at, write) in writes.iter().enumerate() {
        for is_written in [false, true] {
            let death = Death { at, is_written };
            world.begin(&start, to, Some(death));
            let end = world.course(|_, _| ()).await;
            let place = format!("{death:?} of {} {}", write.method, write.path);
            assert_eq!(end, undisturbed, "{place}");
            assert!(end.owners.values().all(|(_, epoch)| *epoch <= 2), "a slot has moved twice: {place}");
            let jobs: Vec<_> = world.jobs.iter().map(|(pair, uids)| (pair.clone(), uids.len())).collect();
            assert_eq!(jobs, pairs.iter().map(|pair| (pair.clone(), 1)).collect::<Vec<_>>(), "{place}");
        }
    }
}

#[tokio::test]
async fn a_shard_comes_while_the_operator_dies_at_each_of_its_writes() {
    dies_everywhere(&["a", "b"], &["a", "b", "c"]).await;
}

#[tokio::test]
async fn a_shard_goes_while_the_operator_dies_at_each_of_its_writes() {
    dies_everywhere(&["a", "b", "c"], &["a", "b"]).await;
}

#[tokio::test]
async fn what_the_operator_made_is_made_anew_when_somebody_deletes_it() {
    let mut world = World::new(&["a", "b"]).await;
    let start = world.settled();
    world.begin(&start, &["a", "b", "c"], None);
    let mut passes = 0;
    let undisturbed = world.course(|nth, _| passes = nth).await;
    for kind in [SHARDS_SECRET, "/configmaps/", "/jobs/"] {
        for deleted in 0..passes {
            world.begin(&start, &["a", "b", "c"], None);
            let disturb = |nth: usize, world: &mut World| {
                let objects = if nth == deleted { world.server.list(kind) } else { Vec::new() };
                objects.iter().for_each(|(path, _)| drop(world.server.remove(path)));
            };
            let end = world.course(disturb).await;
            assert_eq!(end, undisturbed, "{kind} deleted before pass {deleted}");
        }
    }
}

fn movers(world: &World) -> Vec<(String, Value)> {
    world.server.list("/jobs/demo-move")
}

#[tokio::test]
async fn of_two_movers_for_one_pair_the_one_that_nobody_wants_goes() {
    let mut world = World::new(&["a", "b"]).await;
    world.server.put(&chat_cluster("demo"), cluster(&["a", "b", "c"], 2));
    let mut twin = None;
    world
        .course(|_, world| {
            if let (Some((path, mut job)), None) = (movers(world).pop(), &twin) {
                job["metadata"]["name"] = json!("demo-move-0000000000");
                job["metadata"]["uid"] = Value::Null;
                job["status"] = json!({ "active": 1 });
                let path = path.rsplit_once('/').map(|(folder, _)| format!("{folder}/demo-move-0000000000")).unwrap();
                world.server.put(&path, job);
                twin = Some(path);
            } else if let Some(path) = &twin {
                assert!(world.server.get(path).is_none(), "it stays no longer than a pass");
            }
        })
        .await;
    assert!(twin.is_some());
    assert!(world.jobs.values().all(|jobs| jobs.len() == 1), "the other one went on: {:?}", world.jobs);
}

#[tokio::test]
async fn movers_go_on_while_no_gateway_answers_also_past_a_start_of_the_operator() {
    let mut world = World::new(&["a", "b"]).await;
    world.server.put(&chat_cluster("demo"), cluster(&["a", "b", "c"], 2));
    let context = world.operator();
    while movers(&world).is_empty() {
        context.poller.forget(&key());
        reconcile(&context, &key()).await.unwrap();
        world.work();
    }
    let names = |world: &World| movers(world).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let before = names(&world);
    world.is_silent.store(true, Ordering::Relaxed);
    for context in [context, world.operator()] {
        context.poller.forget(&key());
        reconcile(&context, &key()).await.unwrap();
        assert_eq!(names(&world), before);
    }
    world.is_silent.store(false, Ordering::Relaxed);
    let end = world.course(|_, _| ()).await;
    assert_eq!(end.balanced, json!("True"), "{end:#?}");
}

#[tokio::test]
async fn what_sources_have_left_is_deleted_in_one_go_also_past_a_start_of_the_operator() {
    let mut world = World::new(&["a", "b"]).await;
    let start = world.settled();
    world.begin(&start, &["a", "b", "c"], None);
    world.course(|_, _| ()).await;
    assert_eq!((world.cleaners.len(), world.table.lock().unwrap().left.len()), (0, 4), "an hour has not passed");
    world.wait();
    world.course(|_, _| ()).await;
    assert!(world.table.lock().unwrap().left.is_empty());
    let pairs: Vec<_> =
        world.cleaners.iter().map(|((from, to), jobs)| (from.as_str(), to.as_str(), jobs.len())).collect();
    assert_eq!(pairs, [("a", "c", 1), ("b", "c", 1)]);
    assert!(movers(&world).is_empty(), "nor is a Job left");
}

#[tokio::test]
async fn what_is_left_of_a_slot_that_has_gone_on_is_deleted_too() {
    let mut world = World::new(&["a", "b"]).await;
    let go_on = |world: &World| {
        let mut table = world.table.lock().unwrap();
        // From a over b to c, and from a over b back to a.
        for slot in [4, 0] {
            let has_left = ["a", "b"].map(|shard| (shard.to_owned(), slot));
            table.left.extend(has_left);
        }
        table.left.remove(&("a".to_owned(), 0));
    };
    world.begin(&world.settled(), &["a", "b", "c"], None);
    world.course(|_, _| ()).await;
    go_on(&world);
    let before = world.table.lock().unwrap().left.clone();
    assert_eq!(world.table.lock().unwrap().owners[&4].0, "c");
    world.course(|_, _| ()).await;
    assert!(world.table.lock().unwrap().left.contains(&("b".to_owned(), 4)), "an hour has not passed: {before:?}");
    world.wait();
    world.course(|_, _| ()).await;
    assert!(world.table.lock().unwrap().left.is_empty(), "{:?}", world.table.lock().unwrap().left);
}

#[tokio::test]
async fn a_leader_whose_lease_is_deleted_makes_it_anew_and_leads_on() {
    const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/chat/leases/chat-operator";
    let (server, client) = ApiServer::empty().await;
    let leader = Candidate::new(client.clone(), "chat", "chat-operator", "one");
    let held = leader.acquire().await;
    server.remove(LEASE).unwrap();
    let renewed = async {
        while server.get(LEASE).is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    leader.lead(held, renewed).await.unwrap();
    assert_eq!(server.get(LEASE).unwrap()["spec"]["holderIdentity"], "one");
}

/// Who moved whose data, and which gateway had to go, can be read afterwards.
#[tokio::test]
async fn moves_and_drains_are_in_the_audit_log() {
    let mut world = World::new(&["a", "b"]).await;
    let log = AuditLog::start();
    world.server.put(&chat_cluster("demo"), cluster(&["a", "b", "c"], 2));
    world.course(|_, _| ()).await;
    let records = log.take();
    let of = |act: &'static str| records.iter().filter(move |record| record["act"] == act);
    assert!(records.iter().all(|record| record["generation"] == 2 && record["outcome"] == "done"), "{records:#?}");
    let states: Vec<&Value> = of("rebalance").map(|record| &record["state"]).collect();
    assert_eq!(states, ["Running", "Completed"]);
    let is_mover = |record: &&Value| record["object"].as_str().unwrap().starts_with("Job demo-move-");
    assert_eq!(of("create").filter(is_mover).count(), 2, "one for each pair of shards");
    let moved: BTreeMap<u32, (Value, Value)> = of("move-slot")
        .map(|record| {
            let slot = record["slot"].as_u64().unwrap();
            (u32::try_from(slot).unwrap(), (record["from_shard"].clone(), record["to_shard"].clone()))
        })
        .collect();
    assert_eq!(moved.len(), of("move-slot").count(), "each once");
    let expected: BTreeMap<u32, (Value, Value)> = {
        let table = world.table.lock().unwrap();
        table.moved.iter().map(|(to, moved)| (moved.slot, (json!(moved.from), json!(to)))).collect()
    };
    assert_eq!(moved, expected);

    let context = world.operator();
    for (generation, replicas, act) in [(3, 1, "drain-gateway"), (4, 2, "keep-gateway")] {
        let mut cluster = cluster(&["a", "b", "c"], generation);
        cluster["spec"]["gateways"]["replicas"] = json!(replicas);
        world.server.put(&chat_cluster("demo"), cluster);
        for _ in 0..4 {
            context.poller.forget(&key());
            reconcile(&context, &key()).await.unwrap();
            world.work();
        }
        let records = log.take();
        let drains: Vec<&Value> =
            records.iter().filter(|record| record["object"].as_str().unwrap().starts_with("Pod ")).collect();
        assert_eq!(drains.iter().map(|record| &record["act"]).collect::<Vec<_>>(), [act], "{records:#?}");
        assert_eq!(drains[0]["generation"], generation);
    }
}
