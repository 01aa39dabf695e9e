//! The documented way to use backends of one's own, word for word: its manifest, its Secrets, its SQL, and what it promises of a
//! password that is wrong. The backends are the managed ones of another ChatCluster.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    ChatCluster, Crowd, Namespace, World,
    chat_cluster::{condition, summary},
    manifest,
    pods::{Part, ip},
    wait::{Seen, until},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    life::NAMESPACE_LIMIT,
    shared::{NOTICE_LIMIT, READY_LIMIT, SETTLE_LIMIT, turn},
};

const NAMESPACE: &str = "e2e-external";
const DENIED: (&str, &str) = ("False", "AuthenticationFailed");

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn backends_of_ones_own_serve_and_wrong_passwords_show_and_heal() -> Result<()> {
    let turn = turn().await?;
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, NAMESPACE).await?;
    let mut manifest = manifest::smallest("engines");
    manifest["spec"]["gateways"]["replicas"] = json!(0);
    let engines = ChatCluster::apply(&world, NAMESPACE, &manifest).await?;
    engines.wait_ready(READY_LIMIT).await?;
    prepare(&engines).await?;

    for (name, right) in secrets(&engines).await? {
        // Both of these are mistyped at first.
        let given = if name.contains("postgres") { right } else { spoilt(&right) };
        put(&world, name, &given).await?;
    }
    let cluster = ChatCluster::apply(&world, NAMESPACE, &manifest::external_backends()?).await?;
    until("a gateway that runs", READY_LIMIT, || async {
        let pods = cluster.pods(Part::Gateway).await?;
        let runs = pods.iter().any(|pod| ip(pod).is_ok());
        Ok(if runs { Seen::Yes(()) } else { Seen::NotYet(summary(&cluster.get().await?)) })
    })
    .await?;
    let started = Instant::now();
    for kind in ["BrokerAvailable", "CacheAvailable"] {
        cluster.wait_reason(kind, DENIED, NOTICE_LIMIT).await?;
        println!("external backends: {kind} False after {:.1} s", started.elapsed().as_secs_f64());
    }
    for (name, right) in secrets(&engines).await? {
        put(&world, name, &right).await?;
    }
    drop(turn);
    // The kubelet brings changed Secrets into running pods within a minute or so.
    let mended = Instant::now();
    cluster.wait_ready(SETTLE_LIMIT).await?;
    println!("external backends: Ready {:.1} s after the passwords were corrected", mended.elapsed().as_secs_f64());

    let crowd = Crowd::gather(&cluster, 1).await?;
    crowd.ann.send(crowd.rooms[0], "over somebody else's engines").await?;
    crowd.arrived(crowd.rooms[0], 1).await?;
    a_spoilt_shard_shows_while_people_chat(&cluster, &engines, &crowd).await?;
    crowd.ledger.verify().assert_clean(2);
    drop(crowd);
    let took = namespace.delete(NAMESPACE_LIMIT).await?;
    println!("deletion of a namespace with two running clusters: {:.1} s", took.as_secs_f64());
    Ok(())
}

/// The owner's password is used by the migration alone: that tells, and the gateways go on.
async fn a_spoilt_shard_shows_while_people_chat(
    cluster: &ChatCluster,
    engines: &ChatCluster,
    crowd: &Crowd,
) -> Result<()> {
    let secrets = secrets(engines).await?;
    let (name, right) = secrets.iter().find(|(name, _)| *name == "my-postgres-a").context("no such Secret")?;
    let mut wrong = right.clone();
    wrong["migrationUri"] = spoilt(right)["migrationUri"].clone();
    put(&cluster.world, name, &wrong).await?;
    let started = Instant::now();
    let object = cluster.wait_reason("DatabaseAvailable", DENIED, NOTICE_LIMIT).await?;
    println!("external backends: DatabaseAvailable False after {:.1} s", started.elapsed().as_secs_f64());
    let told = condition(&object, "DatabaseAvailable").cloned().unwrap_or_default().to_string();
    ensure!(told.contains("shard a") && !told.contains("mistyped"), "no shard, or a password: {told}");
    crowd.bob.send(crowd.rooms[0], "nobody noticed").await?;
    crowd.arrived(crowd.rooms[0], 2).await?;
    put(&cluster.world, name, right).await?;
    cluster.wait_ready(SETTLE_LIMIT).await?;
    Ok(())
}

/// What the documentation has an administrator do on a server that several share, and in RabbitMQ.
async fn prepare(engines: &ChatCluster) -> Result<()> {
    let mut statements = vec![
        "create role external_owner login password 'owners'",
        "grant chat_gateway to external_owner with admin option",
        "create role external_gateway login password 'gateways'",
    ];
    statements.extend(["create database chat_a owner external_owner", "create database chat_b owner external_owner"]);
    for statement in statements {
        engines.sql("a", statement).await?;
    }
    let script = r"rabbitmqctl -q add_vhost chat && rabbitmqctl -q add_user external brokers &&
        rabbitmqctl -q set_permissions -p chat external \
            '^(chatcluster|gateway\..*)$' '^(chatcluster|gateway\..*|amq\.default)$' '^(chatcluster|gateway\..*)$'";
    let pod = format!("{}-rabbitmq-0", engines.name);
    engines.world.kubectl(&["exec", "-n", &engines.namespace, &pod, "--", "sh", "-c", script]).await?;
    Ok(())
}

/// The Secrets that the manifest names, with what belongs into them.
async fn secrets(engines: &ChatCluster) -> Result<[(&'static str, Value); 4]> {
    let api: Api<Secret> = Api::namespaced(engines.world.client.clone(), NAMESPACE);
    let redis = api.get("engines-redis").await?.data.and_then(|mut data| data.remove("password"));
    let redis = String::from_utf8(redis.context("no password of Redis")?.0)?;
    let postgresql = |login: &str, database: &str| {
        json!(format!("postgresql://{login}@engines-shard-a:5432/{database}?sslmode=disable"))
    };
    let (owner, gateway) = ("external_owner:owners", "external_gateway:gateways");
    Ok([
        ("my-rabbitmq", json!({ "uri": "amqp://external:brokers@engines-rabbitmq:5672/chat" })),
        ("my-redis", json!({ "url": format!("redis://:{redis}@engines-redis:6379") })),
        ("my-postgres-a", json!({ "uri": postgresql(gateway, "chat_a"), "migrationUri": postgresql(owner, "chat_a") })),
        (
            "my-postgres-b",
            json!({ "gateway-uri": postgresql(gateway, "chat_b"), "owner-uri": postgresql(owner, "chat_b") }),
        ),
    ])
}

/// The same with a password that nobody has, everywhere.
fn spoilt(values: &Value) -> Value {
    let wrong = |uri: &str| uri.replacen('@', "mistyped@", 1);
    values
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, uri)| (key.clone(), json!(wrong(uri.as_str().unwrap()))))
        .collect()
}

async fn put(world: &World, name: &str, values: &Value) -> Result<()> {
    let api: Api<Secret> = Api::namespaced(world.client.clone(), NAMESPACE);
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": values });
    api.patch(name, &PatchParams::apply("somebody").force(), &Patch::Apply(secret)).await?;
    Ok(())
}
