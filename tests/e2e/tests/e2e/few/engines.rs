//! Shards and a broker that CloudNativePG and the RabbitMQ Cluster Operator run, both the real ones and over TLS: passwords and authorities change, the
//! primary is lost with its disk and RabbitMQ with its pod while people chat, and every message is counted.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    ChatCluster, Namespace, World,
    chat_cluster::summary,
    pods::Part,
    wait::{Seen, until},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

use super::{engines_installed::Installed, people::People};
use crate::shared::{SETTLE_LIMIT, turn};

const NAMESPACE: &str = "e2e-engines";
/// Seconds that an engine's pod may take to end. Kubernetes looks for what is left in a namespace again after half of the longest time that one of its pods may
/// take, or with its resynchronisation every five minutes; by default those are half an hour for PostgreSQL, and a week for RabbitMQ.
const GRACE: u32 = 60;
/// Until a namespace with engines is gone.
const EMPTY_LIMIT: Duration = Duration::from_secs(420);
const DEVICES: usize = 10;
/// The first instance, then a copy of it for each other one, each by a Job.
const INSTANCES_LIMIT: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn engines_of_other_operators_fail_over_while_people_chat() -> Result<()> {
    let _turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, NAMESPACE).await?;
    let installed = Installed::both(&world).await?;
    let began = Instant::now();
    for object in engines()? {
        world.kubectl_apply(&object.to_string()).await?;
    }
    // Named before it is there: who runs GitOps applies both at once.
    let cluster = ChatCluster::apply(&world, NAMESPACE, &chat()).await?;
    healthy(&cluster, 3).await?;
    println!("three instances and RabbitMQ: {:.1} s", began.elapsed().as_secs_f64());
    cluster.wait_ready(SETTLE_LIMIT).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    let gateways = identities(&cluster).await?;
    let people = People::gather(&cluster, DEVICES).await?;
    let story = Box::pin(disasters(&cluster));
    people.talk_during("passwords and authorities changed, the primary and RabbitMQ lost", story).await?;
    people.all_connected().await?;
    ensure!(identities(&cluster).await? == gateways, "a gateway was replaced or restarted");
    drop(people);
    namespace.delete(EMPTY_LIMIT).await?;
    installed.remove(&world).await
}

async fn disasters(cluster: &ChatCluster) -> Result<()> {
    passwords_change(cluster).await?;
    authorities_change(cluster).await?;
    let lost = lose_primary(cluster).await?;
    let failed = Instant::now();
    let promoted = until("another primary", SETTLE_LIMIT, || async {
        let now = postgres(cluster).await?.data["status"].clone();
        let primary = now["currentPrimary"].as_str().unwrap_or_default().to_owned();
        Ok(if primary != lost && now["targetPrimary"] == now["currentPrimary"] {
            Seen::Yes(primary)
        } else {
            Seen::NotYet(format!("{} {} {}", now["phase"], now["currentPrimary"], now["targetPrimary"]))
        })
    })
    .await?;
    println!("{lost} was lost with its disk; {promoted} leads {:.1} s later", failed.elapsed().as_secs_f64());
    cluster.wait_ready(SETTLE_LIMIT).await?;
    println!("Ready {:.1} s after the loss", failed.elapsed().as_secs_f64());

    let broker: Api<Pod> = Api::namespaced(cluster.world.client.clone(), NAMESPACE);
    let old = broker.get("my-rabbitmq-server-0").await?;
    cluster.kill_pod(&old).await?;
    cluster.wait_replaced(&old, SETTLE_LIMIT).await?;
    cluster.wait_condition("BrokerAvailable", "True", SETTLE_LIMIT).await?;
    healthy(cluster, 3).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    Ok(())
}

/// CloudNativePG sets the password that its Secret has; RabbitMQ is told by hand, since its operator does not.
async fn passwords_change(cluster: &ChatCluster) -> Result<()> {
    let world = &cluster.world;
    let replace = |secret: &'static str, values: Value| async move {
        let patch = json!({ "stringData": values }).to_string();
        world.kubectl(&["patch", "secret", secret, "-n", NAMESPACE, "-p", &patch]).await
    };
    let user = secret(cluster, "my-rabbitmq-default-user", "username").await?;
    let change = format!("rabbitmqctl -q change_password '{user}' rotated-mq");
    let server = ["exec", "-n", NAMESPACE, "my-rabbitmq-server-0", "-c", "rabbitmq", "--", "sh", "-c", &change];
    world.kubectl(&server).await?;
    replace("my-rabbitmq-default-user", json!({ "password": "rotated-mq" })).await?;
    replace("chat-b-login", json!({ "password": "rotated-b" })).await?;
    for (copy, password) in [("engines-broker", "rotated-mq"), ("engines-shard-b", "rotated-b")] {
        until(format!("{copy} with the new password"), Duration::from_secs(30), || async {
            let uri = secret(cluster, copy, "uri").await?;
            Ok(if uri.contains(password) { Seen::Yes(()) } else { Seen::NotYet("the old one".to_owned()) })
        })
        .await?;
    }
    Ok(())
}

/// CloudNativePG makes new authorities and certificates in place of those that are gone, and takes them up.
async fn authorities_change(cluster: &ChatCluster) -> Result<()> {
    let before = secret(cluster, "engines-shard-a", "uri").await?;
    let secrets = ["my-postgres-ca", "my-postgres-server", "my-postgres-replication"];
    cluster.world.kubectl(&[&["delete", "secret", "-n", NAMESPACE], secrets.as_slice()].concat()).await?;
    until("other authorities in the gateways' URI", Duration::from_secs(60), || async {
        let now = secret(cluster, "engines-shard-a", "uri").await?;
        Ok(if now == before { Seen::NotYet("those before".to_owned()) } else { Seen::Yes(()) })
    })
    .await
}

/// Takes the primary's pod and its volume away at once; returns its name.
async fn lose_primary(cluster: &ChatCluster) -> Result<String> {
    let status = postgres(cluster).await?.data["status"].clone();
    let primary = status["currentPrimary"].as_str().context("no primary")?.to_owned();
    let claim = format!("pvc/{primary}");
    cluster.world.kubectl(&["delete", &claim, "-n", NAMESPACE, "--wait=false"]).await?;
    cluster.pod_api().delete(&primary, &DeleteParams::default().grace_period(0)).await?;
    Ok(primary)
}

/// Waits until so many instances stream, and RabbitMQ serves.
async fn healthy(cluster: &ChatCluster, instances: u32) -> Result<()> {
    until(format!("{instances} instances and RabbitMQ"), INSTANCES_LIMIT, || async {
        let postgres = postgres(cluster).await?.data["status"].clone();
        let rabbit = rabbit(cluster).await?.data["status"].clone();
        let all = rabbit["conditions"].as_array().into_iter().flatten();
        let serves = all.clone().any(|one| one["type"] == "AllReplicasReady" && one["status"] == "True");
        Ok(if postgres["readyInstances"] == instances && serves {
            Seen::Yes(())
        } else {
            let told = summary(&cluster.get().await?);
            Seen::NotYet(format!(
                "{} {}; {}; {told}",
                postgres["readyInstances"], postgres["phase"], rabbit["conditions"]
            ))
        })
    })
    .await
}

async fn postgres(cluster: &ChatCluster) -> Result<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("postgresql.cnpg.io", "v1", "Cluster"));
    Ok(Api::namespaced_with(cluster.world.client.clone(), NAMESPACE, &kind).get("my-postgres").await?)
}

async fn rabbit(cluster: &ChatCluster) -> Result<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("rabbitmq.com", "v1beta1", "RabbitmqCluster"));
    Ok(Api::namespaced_with(cluster.world.client.clone(), NAMESPACE, &kind).get("my-rabbitmq").await?)
}

async fn secret(cluster: &ChatCluster, name: &str, key: &str) -> Result<String> {
    let api: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(cluster.world.client.clone(), NAMESPACE);
    let value = api.get(name).await?.data.and_then(|mut data| data.remove(key));
    Ok(String::from_utf8(value.with_context(|| format!("Secret {name} has no {key}"))?.0)?)
}

/// Restarts of the gateways' pods, by uid.
async fn identities(cluster: &ChatCluster) -> Result<BTreeMap<String, i32>> {
    let pods = cluster.ready_pods(Part::Gateway).await?;
    let restarts = |pod: &Pod| {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        statuses.map(|status| status.restart_count).sum()
    };
    Ok(pods.iter().map(|pod| (pod.uid().unwrap_or_default(), restarts(pod))).collect())
}

/// What the documentation tells to make, with the images of this test.
fn engines() -> Result<Vec<Value>> {
    // Its own authority, where those who issue certificates put it.
    let certified = rcgen::generate_simple_self_signed(vec![format!("my-rabbitmq.{NAMESPACE}.svc")])?;
    let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    let role = |name: &str, secret: &str| json!({ "name": name, "login": true, "passwordSecret": { "name": secret } });
    let mut owner = role("chat_b_owner", "chat-b-owner");
    owner["createrole"] = json!(true);
    owner["inRoles"] = json!(["pg_read_all_stats"]);
    let login = |name: &str, user: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth",
            "metadata": { "name": name, "namespace": NAMESPACE, "labels": { "cnpg.io/reload": "true" } },
            "stringData": { "username": user, "password": format!("first-{user}") },
        })
    };
    let metadata = |name: &str| json!({ "name": name, "namespace": NAMESPACE });
    // The operator's pods have no such context of their own, and the namespace wants one.
    let restricted = json!({
        "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] }, "runAsNonRoot": true,
        "seccompProfile": { "type": "RuntimeDefault" },
    });
    Ok(vec![
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata("my-rabbitmq-tls"),
            "stringData": { "tls.crt": certificate, "tls.key": key, "ca.crt": certificate },
        }),
        login("chat-b-owner", "chat_b_owner"),
        login("chat-b-login", "chat_b_login"),
        json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": metadata("my-postgres"),
            "spec": {
                "instances": 3,
                "imageName": "chatcluster.dev/postgresql:17", "postgresUID": 65532, "postgresGID": 65532,
                "storage": { "size": "1Gi" },
                "stopDelay": GRACE, "smartShutdownTimeout": GRACE / 4,
                "postgresql": {
                    "synchronous": { "method": "any", "number": 1 },
                    // A copy begins with a checkpoint, which takes its time by default.
                    "parameters": { "checkpoint_timeout": "30s", "checkpoint_completion_target": "0.1" },
                },
                "managed": { "roles": [
                    { "name": "app", "login": true, "inRoles": ["pg_read_all_stats"] },
                    owner,
                    role("chat_b_login", "chat-b-login"),
                ] },
            },
        }),
        json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Database", "metadata": metadata("chat-b"),
            "spec": { "name": "chat-b", "owner": "chat_b_owner", "cluster": { "name": "my-postgres" } },
        }),
        json!({
            "apiVersion": "rabbitmq.com/v1beta1", "kind": "RabbitmqCluster", "metadata": metadata("my-rabbitmq"),
            "spec": {
                "image": "chatcluster.dev/rabbitmq-for-operator:4", "delayStartSeconds": 0, "terminationGracePeriodSeconds": GRACE,
                "persistence": { "storage": "1Gi" },
                "tls": { "secretName": "my-rabbitmq-tls" },
                "resources": { "requests": { "cpu": "50m", "memory": "256Mi" }, "limits": { "memory": "512Mi" } },
                "override": { "statefulSet": { "spec": { "template": { "spec": {
                    "securityContext": { "runAsUser": 65532, "fsGroup": 65532 },
                    "initContainers": [{ "name": "setup-container", "securityContext": restricted }],
                    "containers": [{ "name": "rabbitmq", "securityContext": restricted }],
                } } } } },
            },
        }),
    ])
}

fn chat() -> Value {
    let by = |name: &str| json!({ "clusterRef": { "name": name } });
    let mut second = by("my-postgres");
    second["database"] = json!("chat-b");
    second["ownerSecretRef"] = json!({ "name": "chat-b-owner" });
    second["gatewaySecretRef"] = json!({ "name": "chat-b-login" });
    json!({
        "apiVersion": "chatcluster.dev/v1alpha1", "kind": "ChatCluster", "metadata": { "name": "engines" },
        "spec": {
            "gateways": { "replicas": 2, "limits": { "messagesPerSecond": 10_000, "messageBurst": 10_000 } },
            "broker": { "rabbitmq": by("my-rabbitmq") },
            "redis": { "managed": {} },
            "database": { "shards": [
                { "name": "a", "cloudNativePG": by("my-postgres") },
                { "name": "b", "cloudNativePG": second },
            ] },
        },
    })
}
