//! `migrate` on databases that have been migrated.

use std::time::Duration;

use chat_gateway::{
    migrate::{self, MigrateError},
    store::{Store, postgres::PostgresStore},
};
use chat_shards::IdentityError;

use crate::{
    cluster::{Cluster, gateway_uri},
    fixtures::{group, group_as, say, sign_up},
};

pub(crate) async fn a_second_run_changes_nothing(cluster: &Cluster) {
    let report = migrate::run(&cluster.config).await.unwrap();
    assert!(report.shards.iter().all(|shard| shard.given == 0 && shard.known >= 32), "{report:?}");
    // Two runs at once wait for each other.
    let (one, two) = tokio::join!(migrate::run(&cluster.config), migrate::run(&cluster.config));
    assert_eq!((one.unwrap(), two.unwrap()), (report.clone(), report));
}

pub(crate) async fn wrong_configurations_are_refused(cluster: &Cluster) {
    let refused = async |change: &dyn Fn(&mut chat_gateway_config::GatewayConfig)| {
        let mut config = cluster.config.clone();
        change(&mut config);
        migrate::run(&config).await.expect_err("refused")
    };
    let error = refused(&|c| c.database.slots = 128).await;
    assert!(
        matches!(error, MigrateError::Identity(IdentityError::OtherSlots { found: 64, expected: 128, .. })),
        "{error}"
    );
    let error = refused(&|c| c.cluster = "test/other".to_owned()).await;
    assert!(matches!(error, MigrateError::Identity(IdentityError::OtherCluster { .. })), "{error}");
    let error = refused(&|c| {
        let mut twin = c.database.shards[0].clone();
        twin.name = "c".to_owned();
        c.database.shards.push(twin);
    })
    .await;
    assert!(
        matches!(&error, MigrateError::Identity(IdentityError::OtherShard { shard, found }) if shard == "c" && found == "a")
    );
    let error = refused(&|c| drop(c.database.shards.remove(1))).await;
    assert!(matches!(&error, MigrateError::Distribute(e) if e.count > 0), "{error}");
}

/// Told at once: whoever mistyped a password does not wait for the two minutes that a server may take to start.
pub(crate) async fn a_wrong_password_is_told_at_once(cluster: &Cluster) {
    let mut config = cluster.config.clone();
    let wrong = gateway_uri(cluster.servers[0].port, "wrong");
    config.database.shards[0].migration_uri_file = Some(cluster.uri_file("wrong-migration", &wrong));
    let tried = tokio::time::timeout(Duration::from_secs(60), migrate::run(&config)).await;
    let error = tried.expect("an answer before the patience with servers that start is over").expect_err("refused");
    assert_eq!(error.reason(), "AuthenticationFailed", "{error}");
    assert!(!error.to_string().contains("wrong"), "quotes the password: {error}");
}

/// A database that somebody else runs: no superuser, one URI for everything.
pub(crate) async fn a_plain_owner_without_further_rights_is_enough(cluster: &Cluster) {
    let mut admin = cluster.admin(0).await;
    for sql in ["create role plain login password 'plain'", "create database plain owner plain"] {
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
    }
    let port = cluster.servers[0].port;
    let owner = cluster.uri_file("plain", &format!("postgresql://plain:plain@127.0.0.1:{port}/plain?sslmode=disable"));
    let mut config = cluster.config.clone();
    config.cluster = "test/plain".to_owned();
    config.database.shards.truncate(1);
    config.database.shards[0].uri_file = owner.clone();
    config.database.shards[0].migration_uri_file = None;
    assert_eq!(migrate::run(&config).await.unwrap().shards[0].given, 64);
    let store = PostgresStore::start(&config);
    let ann = sign_up(&store).await;
    let room = group(&store, std::slice::from_ref(&ann)).await;
    assert_eq!(say(&store, room, ann.id, "hello").await.unwrap().message.seq, 1);
    // Two roles as well, if an administrator has made the gateways' one: here the superuser did, for shard a.
    config.database.shards[0].migration_uri_file = Some(owner);
    let gateway = gateway_uri(port, "gate%2Fway").replace("/postgres?", "/plain?");
    config.database.shards[0].uri_file = cluster.uri_file("plain-gateway", &gateway);
    migrate::run(&config).await.unwrap();
    let store = PostgresStore::start(&config);
    assert_eq!(say(&store, room, ann.id, "hello again").await.unwrap().message.seq, 2);
    // Without that role nobody can make it, and the error says so.
    let stranger = gateway.replace("chat_gateway", "somebody");
    config.database.shards[0].uri_file = cluster.uri_file("plain-gateway", &stranger);
    let error = migrate::run(&config).await.expect_err("there is no such role");
    assert!(matches!(error, MigrateError::Access { .. }), "{error}");
}

pub(crate) async fn a_new_password_is_picked_up(cluster: &Cluster, store: &dyn Store) {
    let ann = sign_up(store).await;
    let room = group_as(store, Cluster::room_on(1), std::slice::from_ref(&ann)).await;
    cluster.uri_file("b-uri", &gateway_uri(cluster.servers[1].port, "changed"));
    migrate::run(&cluster.config).await.unwrap();
    let mut admin = cluster.admin(1).await;
    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'chat_gateway'")
        .execute(&mut admin)
        .await
        .unwrap();
    for n in 1..20 {
        assert_eq!(say(store, room, ann.id, "still here").await.unwrap().message.seq, n);
    }
}
