//! A new operator that would make pods differently restarts none: it tells what it would change, and changes it when it may, one part after the other.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

mod support;

use std::{collections::BTreeMap, sync::Arc};

use chat_crds::{ChatCluster, chat_cluster::PendingChanges};
use chat_operator::{context::Context, names::ClusterKey, reconcile::reconcile};
use kube::Client;
use serde_json::{Value, json};

use support::{
    api_server::{ApiServer, chat_cluster},
    audit_log::AuditLog,
};

/// The workloads of the ChatCluster of these tests, in the order in which they are changed; the gateways' have another name in each revision.
const WORKLOADS: [&str; 5] = ["demo-rabbitmq", "demo-redis", "demo-shard-a", "demo-haproxy", "demo-gateway"];

/// A ChatCluster, and what the rest of Kubernetes makes of its children.
struct World {
    server: ApiServer,
    client: Client,
}

impl World {
    /// Operator `n` has made everything.
    async fn settled(spec: Value) -> Self {
        let (server, client) = ApiServer::empty().await;
        Self::settle(server, client, spec).await
    }

    /// The same where something is there already.
    async fn settle(server: ApiServer, client: Client, spec: Value) -> Self {
        let cluster = json!({
            "apiVersion": "chatcluster.dev/v1alpha1", "kind": "ChatCluster",
            "metadata": { "name": "demo", "namespace": "chat", "uid": "00000000-0000-0000-0000-000000000001", "generation": 1 },
            "spec": spec,
        });
        server.put(&chat_cluster("demo"), cluster);
        let world = Self { server, client };
        world.passes("n").await;
        assert_eq!(world.pending(), None);
        world
    }

    /// A process of the operator of a version: later ones bring other images.
    fn operator(&self, version: &str) -> Context {
        let mut context = support::context(self.client.clone());
        let environment = Arc::make_mut(&mut context.environment);
        environment.identity = version.to_owned();
        if version != "n" {
            let images = &mut environment.images;
            for image in [
                &mut images.gateway,
                &mut images.postgresql,
                &mut images.rabbitmq,
                &mut images.redis,
                &mut images.haproxy,
            ] {
                image.push_str(version);
            }
        }
        context
    }

    /// Some passes of a process that starts, each followed by what Kubernetes does.
    async fn passes(&self, version: &str) {
        let context = self.operator(version);
        for _ in 0..4 {
            self.pass(&context).await;
            self.work();
        }
    }

    async fn pass(&self, context: &Context) {
        let pass = reconcile(context, &ClusterKey::new("chat", "demo")).await.unwrap();
        assert!(pass.error.is_none(), "{:?}", pass.error);
    }

    /// Everything that was ordered is there.
    fn work(&self) {
        for part in ["/jobs/", "/statefulsets/", "/deployments/"] {
            for (path, object) in self.server.list(part) {
                self.done(&path, object);
            }
        }
    }

    fn done(&self, path: &str, mut object: Value) {
        let replicas = object["spec"]["replicas"].clone();
        object["status"] = if path.contains("/jobs/") {
            json!({ "conditions": [{ "type": "Complete", "status": "True" }] })
        } else {
            json!({
                "observedGeneration": 1, "replicas": replicas, "readyReplicas": replicas, "updatedReplicas": replicas,
                "availableReplicas": replicas, "currentRevision": "x", "updateRevision": "x",
            })
        };
        self.server.put(path, object);
    }

    /// The workload's pods are not ready, or not of its newest template.
    fn fails(&self, name: &str) {
        let (path, mut object) = self.find(name);
        object["status"]["readyReplicas"] = json!(0);
        object["status"]["availableReplicas"] = json!(0);
        self.server.put(&path, object);
    }

    fn find(&self, name: &str) -> (String, Value) {
        let mut found: Vec<_> = ["/statefulsets/", "/deployments/"]
            .into_iter()
            .flat_map(|part| self.server.list(&format!("{part}{name}")))
            .collect();
        assert_eq!(found.len(), 1, "{name}");
        found.remove(0)
    }

    /// The images of every workload's pods by its name; of the gateways all revisions.
    fn images(&self) -> BTreeMap<String, Vec<String>> {
        let mut images: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, object) in ["/statefulsets/", "/deployments/"].into_iter().flat_map(|part| self.server.list(part)) {
            let name = path.rsplit('/').next().unwrap();
            let name = WORKLOADS.into_iter().find(|workload| name.starts_with(workload)).unwrap();
            let image = object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
            images.entry(name.to_owned()).or_default().push(image.rsplit(':').next().unwrap().to_owned());
        }
        images
    }

    /// All pod templates by the path of what has them.
    fn templates(&self) -> BTreeMap<String, Value> {
        let all = ["/statefulsets/", "/deployments/"].into_iter().flat_map(|part| self.server.list(part));
        all.map(|(path, object)| (path, object["spec"]["template"].clone())).collect()
    }

    fn cluster(&self) -> ChatCluster {
        serde_json::from_value(self.server.get(&chat_cluster("demo")).unwrap()).unwrap()
    }

    fn pending(&self) -> Option<PendingChanges> {
        self.cluster().status.unwrap().pending_changes
    }

    /// Somebody changes the spec.
    fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut cluster = self.server.get(&chat_cluster("demo")).unwrap();
        change(&mut cluster["spec"]);
        cluster["metadata"]["generation"] = json!(cluster["metadata"]["generation"].as_i64().unwrap() + 1);
        self.server.put(&chat_cluster("demo"), cluster);
    }
}

fn everything_managed() -> Value {
    json!({
        "gateways": { "replicas": 2, "expose": { "type": "HAProxy" } },
        "broker": { "rabbitmq": { "managed": {} } },
        "redis": { "managed": {} },
        "database": { "shards": [{ "name": "a", "managed": { "storage": { "size": "1Gi" } } }] },
    })
}

/// Workloads whose image is of a later operator.
fn changed(images: &BTreeMap<String, Vec<String>>) -> Vec<&str> {
    WORKLOADS.into_iter().filter(|name| images[*name].iter().any(|image| image.contains('+'))).collect()
}

#[tokio::test]
async fn there_and_back_restarts_nothing() {
    let world = World::settled(everything_managed()).await;
    let before = world.templates();
    assert_eq!(before.len(), WORKLOADS.len());
    world.passes("n+1").await;
    assert_eq!(world.templates(), before);
    let pending = world.pending().unwrap();
    assert_eq!(pending.count, 5);
    for object in &pending.objects {
        let image = object.changes.iter().find(|change| change.path.ends_with(".image")).unwrap();
        assert!(
            image.to.as_ref().unwrap().ends_with("n+1") && !image.from.as_ref().unwrap().contains('+'),
            "{image:?}"
        );
    }
    let effective = world.cluster().status.unwrap().effective.unwrap();
    assert!(!effective.image.contains('+'), "what is in force is told, not what waits: {}", effective.image);
    // Another one yet, of which other changes wait; those that were approved of before are none of its.
    world.change(|spec| spec["adoption"] = json!({ "approvedChanges": pending.hash }));
    world.passes("n+2").await;
    assert_eq!(world.templates(), before);
    assert_ne!(world.pending().unwrap().hash, pending.hash);
    assert_eq!(world.pending().unwrap().since, pending.since);
    world.passes("n").await;
    assert_eq!(world.templates(), before);
    assert_eq!(world.pending(), None);
}

/// A HAProxy of an operator before read its certificate once, so a renewed one brings it the new template, which follows it from then on.
#[tokio::test]
async fn a_kept_template_does_not_keep_a_certificate() {
    let (server, client) = ApiServer::empty().await;
    let secret = |text: &str| {
        let encoded = |text: String| serde_json::to_value(k8s_openapi::ByteString(text.into_bytes())).unwrap();
        let certificate = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        let key = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "chat-tls", "namespace": "chat", "uid": "s" },
            "data": { "tls.crt": encoded(certificate), "tls.key": encoded(key) },
        })
    };
    let put = |server: &ApiServer, text: &str| server.put("/api/v1/namespaces/chat/secrets/chat-tls", secret(text));
    put(&server, "AAAA");
    let mut spec = everything_managed();
    spec["gateways"]["expose"]["haproxy"] = json!({ "tlsSecretRef": { "name": "chat-tls" } });
    let world = World::settle(server, client, spec).await;
    world.passes("n+1").await;
    assert_eq!(changed(&world.images()), [""; 0]);
    put(&world.server, "BBBB");
    world.passes("n+1").await;
    assert_eq!(changed(&world.images()), ["demo-haproxy"], "and the others wait");
    let before = world.templates();
    put(&world.server, "CCCC");
    world.passes("n+1").await;
    assert_eq!(world.templates(), before, "it is followed now");
}

#[tokio::test]
async fn an_idle_operator_writes_nothing_more_while_changes_wait() {
    let world = World::settled(everything_managed()).await;
    world.passes("n+1").await;
    let context = world.operator("n+1");
    world.pass(&context).await;
    let before = world.server.writes().len();
    world.pass(&context).await;
    world.pass(&world.operator("n+1")).await;
    assert_eq!(world.server.writes().len(), before);
}

#[tokio::test]
async fn what_is_approved_of_is_changed_one_part_after_the_other() {
    let world = World::settled(everything_managed()).await;
    world.passes("n+1").await;
    let hash = world.pending().unwrap().hash;
    world.change(|spec| spec["adoption"] = json!({ "approvedChanges": "0123456789abcdef" }));
    world.passes("n+1").await;
    assert_eq!(changed(&world.images()), [""; 0], "that was another hash");
    world.change(|spec| spec["adoption"] = json!({ "approvedChanges": hash }));
    let log = AuditLog::start();
    let mut order = Vec::new();
    for workload in WORKLOADS {
        order.push(workload);
        // A process of its own each time: nothing of it is in memory.
        world.pass(&world.operator("n+1")).await;
        if workload == "demo-gateway" {
            // Behind the migration of their image.
            world.passes("n+1").await;
        }
        assert_eq!(changed(&world.images()), order);
        if workload == "demo-gateway" {
            break;
        }
        world.fails(workload);
        world.pass(&world.operator("n+1")).await;
        assert_eq!(changed(&world.images()), order, "{workload} is not ready, so the next one waits");
        let pending = world.pending().unwrap();
        assert_eq!((pending.hash.as_str(), pending.count as usize), (hash.as_str(), 5 - order.len()));
        let (path, object) = world.find(workload);
        world.done(&path, object);
    }
    assert_eq!(world.images()["demo-gateway"].len(), 2, "gateways are rolled out in waves, as ever");
    assert_eq!(world.pending(), None);
    let told = log.told();
    let mut adopted: Vec<&str> = told.iter().filter_map(|line| line.strip_prefix("adopt-change ")).collect();
    // Gateways wait for their migration, and a process that starts meanwhile does not know what was told.
    adopted.dedup();
    assert_eq!(adopted.len(), WORKLOADS.len(), "{told:#?}");
    assert!(adopted.iter().zip(WORKLOADS).all(|(line, workload)| line.contains(workload)), "{told:#?}");
}

#[tokio::test]
async fn what_the_user_changes_is_made_at_once_and_nothing_else() {
    let world = World::settled(everything_managed()).await;
    let before = world.templates();
    world.passes("n+1").await;
    let pending = world.pending().unwrap();
    world.change(|spec| {
        spec["gateways"]["replicas"] = json!(5);
        spec["gateways"]["limits"] = json!({ "messageBurst": 7 });
        spec["database"]["shards"][0]["weight"] = json!(3);
    });
    world.passes("n+1").await;
    assert_eq!(world.templates(), before);
    assert_eq!(world.find("demo-gateway").1["spec"]["replicas"], 5);
    assert_eq!(world.pending().unwrap(), pending);
    // A part that the user changes is as this operator makes it: there is no third way to make it.
    world.change(|spec| spec["redis"]["managed"]["resources"] = json!({ "limits": { "memory": "1Gi" } }));
    world.passes("n+1").await;
    assert_eq!(changed(&world.images()), ["demo-redis"]);
    assert_eq!(world.pending().unwrap().count, 4);
    world.change(|spec| spec["image"] = json!("example.com/gateway:own"));
    world.passes("n+1").await;
    assert_eq!(changed(&world.images()), ["demo-redis"]);
    assert!(world.images()["demo-gateway"].contains(&"own".to_owned()), "{:?}", world.images());
    assert_eq!(world.pending().unwrap().count, 3);
}

#[tokio::test]
async fn a_change_of_the_spec_that_comes_with_the_operator_is_made_where_it_belongs() {
    let world = World::settled(everything_managed()).await;
    world.change(|spec| spec["redis"]["managed"]["resources"] = json!({ "limits": { "memory": "1Gi" } }));
    world.passes("n+1").await;
    assert_eq!(changed(&world.images()), ["demo-redis"]);
    assert_eq!(world.pending().unwrap().count, 4);
}

#[tokio::test]
async fn without_approval_changes_are_made_within_windows() {
    let world = World::settled(everything_managed()).await;
    // A window that opens once a year, half a year from now, and one that is always open.
    let month = (jiff::Zoned::now().month() + 5) % 12 + 1;
    let window = |cron: String, minutes: i32| json!([{ "name": "w", "cron": cron, "durationMinutes": minutes }]);
    let shut = window(format!("0 0 1 {month} *"), 1);
    world.change(|spec| spec["adoption"] = json!({ "mode": "Automatic", "windows": shut }));
    world.passes("n+1").await;
    assert_eq!(changed(&world.images()), [""; 0]);
    world.change(|spec| spec["adoption"]["windows"] = window("* * * * *".to_owned(), 1_440));
    world.passes("n+1").await;
    world.passes("n+1").await;
    assert_eq!(changed(&world.images()), WORKLOADS);
    assert_eq!(world.pending(), None);
}

#[tokio::test]
async fn a_paused_cluster_is_told_of_and_not_touched() {
    let world = World::settled(everything_managed()).await;
    let before = world.server.objects();
    world.change(|spec| {
        spec["paused"] = json!(true);
        spec["adoption"] = json!({ "mode": "Automatic" });
    });
    world.passes("n+1").await;
    let after = world.server.objects();
    let spec = |objects: &BTreeMap<String, Value>| -> BTreeMap<String, Value> {
        objects
            .iter()
            .filter(|(path, _)| !path.contains("/chatclusters/"))
            .map(|(path, object)| (path.clone(), object["spec"].clone()))
            .collect()
    };
    assert_eq!(spec(&after), spec(&before));
    assert_eq!(world.pending().unwrap().count, 5);
}

/// Its configuration has the name of its Deployment, and would be read at the next start of the old pod.
#[tokio::test]
async fn a_gateway_that_is_alone_keeps_its_configuration_too() {
    let world = World::settled(json!({
        "gateways": { "replicas": 1 }, "broker": { "inProcess": {} },
        "database": { "embedded": { "storage": { "size": "1Gi" } } },
    }))
    .await;
    let path = "/api/v1/namespaces/chat/configmaps/demo-gateway";
    let (templates, mut config) = (world.templates(), world.server.get(path).unwrap());
    // As if another operator had written it.
    config["data"]["config.json"] = json!("{ \"of\": \"n\" }");
    world.server.put(path, config.clone());
    world.passes("n+1").await;
    assert_eq!(world.templates(), templates);
    assert_eq!(world.server.get(path).unwrap()["data"], config["data"]);
    let hash = world.pending().unwrap().hash;
    world.change(|spec| spec["adoption"] = json!({ "approvedChanges": hash }));
    world.passes("n+1").await;
    assert_eq!(world.pending(), None);
    assert_eq!(changed_alone(&world), "0.1.0n+1");
    assert_ne!(world.server.get(path).unwrap()["data"], config["data"]);
}

fn changed_alone(world: &World) -> String {
    world.images()["demo-gateway"].join(" ")
}

/// The wanted revision is the one that the spec led to, also when an older one is still there.
#[tokio::test]
async fn a_rollout_goes_on_under_another_operator() {
    let world = World::settled(everything_managed()).await;
    world.change(|spec| spec["image"] = json!("example.com/gateway:own"));
    let context = world.operator("n");
    world.pass(&context).await;
    world.work();
    world.pass(&context).await;
    let images = world.images()["demo-gateway"].clone();
    assert_eq!(images.len(), 2, "{images:?}");
    let before = world.templates();
    // Only what this operator makes of the pods themselves differs, the image is the user's.
    world.passes("n+1").await;
    assert_eq!(world.templates(), before);
}
