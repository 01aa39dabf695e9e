//! Engines that other operators run: what is made of their objects and Secrets, what is said of those that are not there, and that both are followed.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

mod support;

use chat_operator::{
    build::{self, Kind},
    engines::{EngineId, EngineKind, Found},
    names::ClusterKey,
    reconcile::{
        Broker, Dereferenced, Outcome, ShardBackend, ValidateError, ValidatedCluster, engine_remarks, reconcile,
        secrets_of_engines,
    },
    sensitive::Sensitive,
};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use support::api_server::ApiServer;

const CA: &str = "-----BEGIN%20CERTIFICATE-----%0AE%2BE%2F%0A-----END%20CERTIFICATE-----";

fn fetched() -> Dereferenced {
    support::fetched(support::cluster("engines"))
}

fn problem(fetched: &Dereferenced) -> (&'static str, String) {
    match support::validated(fetched) {
        Err(ValidateError::Unmet(problem)) => (problem.reason, problem.message),
        other => panic!("{other:?}"),
    }
}

fn postgres() -> EngineId {
    EngineId { kind: EngineKind::CloudNativePg, name: "pg".to_owned() }
}

/// The engine with its object changed.
fn change(fetched: &mut Dereferenced, id: &EngineId, change: impl FnOnce(&mut Value)) {
    let Some(Found::There(object)) = fetched.engines.get_mut(id) else { panic!("{id}") };
    change(&mut object.data);
}

fn uris(cluster: &ValidatedCluster) -> Vec<[String; 2]> {
    let of = |shard: &ShardBackend| match shard {
        ShardBackend::Engine(engine) => [&engine.uri, &engine.migration_uri].map(|uri| uri.expose().to_owned()),
        other => panic!("{other:?}"),
    };
    cluster.shards().iter().map(|shard| of(&shard.backend)).collect()
}

#[test]
fn the_way_to_an_engine_is_made_of_its_own_objects() {
    let cluster = support::validated(&fetched()).unwrap();
    let one = |user: &str, database: &str| {
        format!("postgresql://{user}@pg-rw.chat.svc:5432/{database}?sslmode=verify-full&sslrootcert={CA}")
    };
    let application = one("app:made-up%2F7", "app");
    let own = [one("gateway_b:made-up-9", "chat-b"), one("owner_b:made-up-8", "chat-b")];
    assert_eq!(uris(&cluster), [[application.clone(), application], own]);
    let standbys: Vec<u32> = cluster.shards().iter().map(|shard| shard.standbys).collect();
    assert_eq!(standbys, [2, 1], "as many as may be promoted, or what the spec says");
    let Broker::Engine(broker) = &cluster.broker else { panic!("{:?}", cluster.broker) };
    assert_eq!(broker.uri.expose(), "amqps://default_user_x:made-up-10@mq.chat.svc:5671/chat");
    assert!(broker.ca.as_ref().unwrap().expose().contains("FFFF"));
}

#[test]
fn a_broker_without_tls_has_no_authorities_and_the_virtual_host_that_every_one_has() {
    let mut fetched = fetched();
    change(&mut fetched, &EngineId::rabbitmq("mq"), |mq| mq["spec"]["tls"] = json!({}));
    fetched.cluster.spec.broker.rabbitmq.as_mut().unwrap().virtual_host = None;
    let Broker::Engine(broker) = support::validated(&fetched).unwrap().broker else { panic!() };
    assert_eq!(broker.uri.expose(), "amqp://default_user_x:made-up-10@mq.chat.svc:5672/%2F");
    assert!(broker.ca.is_none());
}

#[test]
fn a_missing_engine_is_told_from_a_kind_that_is_not_served() {
    for (id, field) in
        [(postgres(), "spec.database.shards[a].cloudNativePG"), (EngineId::rabbitmq("mq"), "spec.broker.rabbitmq")]
    {
        let mut fetched = fetched();
        fetched.engines.insert(id.clone(), Found::Nothing);
        let (reason, message) = problem(&fetched);
        assert_eq!(reason, "ClusterNotFound");
        assert!(
            message.contains(&format!("{field}.clusterRef: there is no {id} of {}", id.kind.api_version())),
            "{message}"
        );
        fetched.engines.insert(id.clone(), Found::NotServed);
        let (reason, message) = problem(&fetched);
        assert_eq!(reason, "KindNotServed");
        assert!(message.contains(field) && message.contains(id.kind.operator()), "{message}");
    }
}

#[test]
fn an_engine_that_is_being_made_is_waited_for_and_named() {
    let mut begun = fetched();
    change(&mut begun, &postgres(), |pg| pg["status"] = json!({ "phase": "Setting up primary" }));
    let (reason, message) = problem(&begun);
    assert_eq!(reason, "ClusterNotReady");
    assert!(message.contains("Cluster pg is not ready: Setting up primary"), "{message}");

    let mut silent = fetched();
    change(&mut silent, &EngineId::rabbitmq("mq"), |mq| mq["status"] = json!({}));
    assert_eq!(problem(&silent).0, "ClusterNotReady");

    let mut without = fetched();
    without.secrets.insert("mq-default-user".to_owned(), None);
    assert_eq!(
        problem(&without).0,
        "SecretNotFound",
        "its operator says that it is ready, so that nobody will make the Secret"
    );
    let not_all = json!([{ "type": "AllReplicasReady", "status": "False", "message": "0/3 Pods ready" }]);
    change(&mut without, &EngineId::rabbitmq("mq"), |mq| mq["status"]["conditions"] = not_all);
    let (reason, message) = problem(&without);
    assert!(
        reason == "ClusterNotReady" && message.contains("mq-default-user") && message.contains("0/3 Pods ready"),
        "{message}"
    );
    assert!(!message.contains("made-up"), "{message}");
}

/// A failover must not keep the operator from its work: people chat again as soon as the Service leads to the new primary.
#[test]
fn an_engine_in_trouble_is_told_of_and_changes_nothing() {
    let mut fetched = fetched();
    let before = uris(&support::validated(&fetched).unwrap());
    let ready = json!({ "type": "Ready", "status": "False", "reason": "ClusterIsNotReady", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" });
    change(&mut fetched, &postgres(), |pg| {
        pg["status"]["phase"] = json!("Failing over");
        pg["status"]["conditions"] = json!([ready]);
    });
    assert_eq!(uris(&support::validated(&fetched).unwrap()), before);
    let remarks = engine_remarks(&fetched.cluster, &fetched.engines);
    assert_eq!(remarks.shards.into_values().collect::<Vec<_>>(), ["Cluster pg is not ready: Failing over"; 2]);
    assert_eq!(remarks.broker, None);
}

/// What is acknowledged is committed; whether it is also safe from the loss of the primary is up to the Cluster, and said.
#[test]
fn an_engine_that_may_lose_what_it_committed_is_told_of() {
    let mut fetched = fetched();
    change(&mut fetched, &postgres(), |pg| {
        pg["spec"]["instances"] = json!(3);
        pg["spec"]["postgresql"] = json!({});
    });
    let remarks = |fetched: &Dereferenced| engine_remarks(&fetched.cluster, &fetched.engines).shards;
    assert!(remarks(&fetched).values().all(|remark| remark.contains("set spec.postgresql.synchronous")));
    assert_eq!(remarks(&fetched).len(), 2);
    change(&mut fetched, &postgres(), |pg| pg["spec"]["postgresql"] = json!({ "synchronous": { "number": 1 } }));
    assert!(remarks(&fetched).is_empty());
}

#[test]
fn secrets_of_engines_are_known_for_their_watch() {
    let fetched = fetched();
    let secrets = secrets_of_engines(&fetched.cluster, &fetched.engines);
    let wanted = ["chat-b-gateway", "chat-b-owner", "mq-ca", "mq-default-user", "pg-app", "pg-ca"];
    assert_eq!(secrets.into_iter().collect::<Vec<_>>(), wanted);
}

#[test]
fn renewed_authorities_and_another_password_reach_gateways_without_a_revision() {
    let mut fetched = fetched();
    let names = |fetched: &Dereferenced| {
        let cluster = support::validated(fetched).unwrap();
        (
            build::deployment_name(&cluster).unwrap(),
            build::migration_name(&cluster).unwrap(),
            build::broker_hash(&cluster).unwrap(),
        )
    };
    let before = names(&fetched);
    let set = |fetched: &mut Dereferenced, secret: &str, key: &str, value: &str| {
        let values = fetched.secrets.get_mut(secret).unwrap().as_mut().unwrap();
        values.insert(key.to_owned(), Sensitive::new(value));
    };
    set(&mut fetched, "pg-ca", "ca.crt", "-----BEGIN CERTIFICATE-----\nGGGG\n-----END CERTIFICATE-----\n");
    set(&mut fetched, "mq-default-user", "password", "another");
    assert_eq!(names(&fetched), before, "no revision, and no migration");
    set(&mut fetched, "pg-app", "password", "another");
    let after = names(&fetched);
    assert_eq!((&after.0, &after.2), (&before.0, &before.2));
    assert_ne!(after.1, before.1, "as with any URI that changes");
    fetched.cluster.spec.broker.rabbitmq.as_mut().unwrap().virtual_host = Some("other".to_owned());
    let moved = names(&fetched);
    assert_ne!((&moved.0, &moved.2), (&before.0, &before.2), "another place is another revision");
}

/// Real passes over an API server: the kind comes, then the Cluster, then its operator's word; then the password changes.
#[tokio::test]
async fn passes_go_on_by_themselves_as_the_engines_come() {
    const ENGINES: [&str; 2] = [
        "/apis/postgresql.cnpg.io/v1/namespaces/chat/clusters",
        "/apis/rabbitmq.com/v1beta1/namespaces/chat/rabbitmqclusters",
    ];
    let (server, client) = ApiServer::start(&support::cluster("engines")).await;
    let context = support::context(client);
    let key = ClusterKey::new("chat", "demo");
    support::put_user_secrets(&server);
    let ready = || support::reason_of_ready(&server);
    let pass = async || reconcile(&context, &key).await.unwrap().outcome;
    let other = |path: &str| server.put(&format!("{path}/of-others"), json!({ "metadata": { "name": "of-others" } }));
    let put = |path: &str, kind: EngineKind, name: &str, status: bool| {
        let Some(Found::There(object)) = support::engines().remove(&EngineId { kind, name: name.to_owned() }) else {
            panic!()
        };
        let mut object: Value = serde_json::to_value::<DynamicObject>(*object).unwrap();
        if !status {
            object["status"] = json!({});
        }
        server.put(&format!("{path}/{name}"), object);
    };

    assert!(matches!(pass().await, Outcome::Waiting(_)), "no watch tells when a kind is served");
    assert_eq!(ready(), "KindNotServed");
    ENGINES.into_iter().for_each(other);
    assert_eq!(pass().await, Outcome::Settled, "from now on there is a watch");
    assert_eq!(ready(), "ClusterNotFound");
    put(ENGINES[1], EngineKind::RabbitMq, "mq", true);
    put(ENGINES[0], EngineKind::CloudNativePg, "pg", false);
    pass().await;
    assert_eq!(ready(), "ClusterNotReady");
    put(ENGINES[0], EngineKind::CloudNativePg, "pg", true);
    pass().await;
    let kept = |secret: &str, key: &str| {
        let secret = server.get(&format!("/api/v1/namespaces/chat/secrets/{secret}")).unwrap();
        let value: k8s_openapi::ByteString = serde_json::from_value(secret["data"][key].clone()).unwrap();
        String::from_utf8(value.0).unwrap()
    };
    assert!(
        kept("demo-shard-b", "migrationUri").starts_with("postgresql://owner_b:made-up-8@pg-rw.chat.svc:5432/chat-b?")
    );
    assert!(kept("demo-broker", "uri").contains("made-up-10"));
    assert_eq!(
        context.engines.users_of("chat", "mq-default-user"),
        std::slice::from_ref(&key),
        "a change of it is heard of"
    );
    let secret = "/api/v1/namespaces/chat/secrets/mq-default-user";
    let mut changed = server.get(secret).unwrap();
    changed["data"]["password"] = serde_json::to_value(k8s_openapi::ByteString(b"rotated".to_vec())).unwrap();
    server.put(secret, changed);
    pass().await;
    assert!(kept("demo-broker", "uri").contains(":rotated@"));
    let secrets: Vec<String> = server.list("/secrets/demo-").into_iter().map(|(path, _)| path).collect();
    assert!(secrets.iter().any(|path| path.ends_with("demo-gateway-shards")), "{secrets:?} {:?}", Kind::Secret);
}
