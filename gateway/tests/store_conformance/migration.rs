//! `migrate` on databases that have been migrated.

use std::time::Duration;

use chat_gateway::{
    migrate::{self, MigrateError},
    store::{Store, postgres::PostgresStore},
};
use chat_gateway_config::GatewayConfig;
use chat_shards::{DistributeError, IdentityError};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    cluster::{Cluster, admin_uri, gateway_uri},
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
    assert!(
        matches!(&error, MigrateError::Distribute(DistributeError::Missing { count, .. }) if *count > 0),
        "{error}"
    );
}

/// A configuration of two shards in databases of these names, of which nobody knows yet, on the first server.
async fn fresh(cluster: &Cluster, databases: [&str; 2]) -> GatewayConfig {
    let mut admin = cluster.admin(0).await;
    let mut config = cluster.config.clone();
    config.cluster = format!("test/{}", databases[0]);
    for (shard, database) in config.database.shards.iter_mut().zip(databases) {
        let named = sqlx::query_scalar("select exists (select from pg_database where datname = $1)").bind(database);
        if !named.fetch_one(&mut admin).await.unwrap_or(false) {
            let sql = format!("create database \"{database}\"");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
        }
        let uri = |uri: String| uri.replace("/postgres?", &format!("/{database}?"));
        let port = cluster.servers[0].port;
        shard.uri_file = cluster.uri_file(&format!("{database}-uri"), &uri(gateway_uri(port, "gate%2Fway")));
        shard.migration_uri_file = Some(cluster.uri_file(&format!("{database}-migration"), &uri(admin_uri(port))));
    }
    config
}

async fn database(config: &GatewayConfig, shard: usize) -> PgConnection {
    let uri = std::fs::read_to_string(config.database.shards[shard].migration_uri_file.as_ref().unwrap()).unwrap();
    PgConnection::connect(&uri).await.unwrap()
}

async fn has_schema(config: &GatewayConfig, shard: usize) -> bool {
    let sql = "select to_regnamespace('chat') is not null";
    sqlx::query_scalar(sql).fetch_one(&mut database(config, shard).await).await.unwrap()
}

async fn run_sql(config: &GatewayConfig, shard: usize, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&mut database(config, shard).await).await.unwrap();
}

/// Whatever is wrong with one shard, no other one is touched.
pub(crate) async fn what_is_no_shard_is_refused_before_anything_is_made(cluster: &Cluster) {
    let config = fresh(cluster, ["twin", "twin"]).await;
    let error = migrate::run(&config).await.expect_err("one database");
    assert!(
        matches!(&error, MigrateError::Identity(IdentityError::SameDatabase { shard, other }) if shard == "b" && other == "a"),
        "{error}"
    );
    assert!(!has_schema(&config, 0).await);

    let config = fresh(cluster, ["clean", "foreign"]).await;
    run_sql(&config, 1, "create schema chat; create table chat.messages (id bigint)").await;
    let error = migrate::run(&config).await.expect_err("somebody else's schema");
    assert!(matches!(&error, MigrateError::Identity(IdentityError::OtherSchema { shard }) if shard == "b"), "{error}");
    assert!(!has_schema(&config, 0).await);
    // An empty one may have been made for us.
    run_sql(&config, 1, "drop table chat.messages").await;
    migrate::run(&config).await.unwrap();
}

pub(crate) async fn shards_that_do_not_fit_each_other_are_refused(cluster: &Cluster) {
    let config = fresh(cluster, ["one", "two"]).await;
    migrate::run(&config).await.unwrap();
    let refused = async |config: &GatewayConfig| migrate::run(config).await.expect_err("refused");

    // Added again with the data of a backup.
    run_sql(&config, 1, "insert into chat.slot_ownership (slot, shard, epoch, state) values (3, 'b', 7, 'owned')")
        .await;
    let error = refused(&config).await;
    assert!(
        matches!(&error, MigrateError::Distribute(DistributeError::Twice { slot: 3, one, one_epoch: 1, other, other_epoch: 7 })
            if one == "a" && other == "b"),
        "{error}"
    );
    run_sql(&config, 1, "delete from chat.slot_ownership where slot = 3").await;

    // Moved to a shard that is not configured any more, and then back.
    let gone = "update chat.slot_ownership set state = 'moved', peer = 'c', move_id = gen_random_uuid(), timeline = chat._timeline(), since = 1 \
        where slot = 5";
    run_sql(&config, 0, gone).await;
    let error = refused(&config).await;
    assert!(
        matches!(&error, MigrateError::Distribute(DistributeError::Missing { count: 1, first: 5, last: Some(last) }) if last == "c"),
        "{error}"
    );
    let back = "update chat.slot_ownership set state = 'owned', peer = null, move_id = null, timeline = null, since = null where slot = 5";
    run_sql(&config, 0, back).await;
    migrate::run(&config).await.unwrap();

    // Another installation's shard of the same names, with the very same slots.
    let mut other = fresh(cluster, ["three", "four"]).await;
    other.cluster.clone_from(&config.cluster);
    migrate::run(&other).await.unwrap();
    let mut mixed = config.clone();
    mixed.database.shards[1] = other.database.shards[1].clone();
    let error = refused(&mixed).await;
    assert!(matches!(&error, MigrateError::Identity(IdentityError::OtherDatabase { .. })), "{error}");

    // Of a newer version, which nobody knows; and then known.
    let newer = "insert into chat.migrations (version, description, installed_on, success, checksum, execution_time) \
        values (99, 'later', now(), true, '', 0)";
    run_sql(&config, 1, newer).await;
    migrate::run(&config).await.expect("its migration was interrupted");
    run_sql(&config, 0, "delete from chat.peers").await;
    let error = refused(&config).await;
    assert!(
        matches!(&error, MigrateError::Identity(IdentityError::NewerSchema { shard, version: 99, other, .. }) if shard == "b" && other == "a"),
        "{error}"
    );
    run_sql(&config, 0, newer).await;
    migrate::run(&config).await.expect("all of them are newer");
}

/// A shard that was emptied and removed may come back with a database of its own.
pub(crate) async fn a_removed_shard_comes_back_empty(cluster: &Cluster) {
    let config = fresh(cluster, ["stays", "leaves"]).await;
    migrate::run(&config).await.unwrap();
    let all = "update chat.slot_ownership set epoch = 2; insert into chat.slot_ownership (slot, shard, epoch, state) \
        select s, 'a', 2, 'owned' from generate_series(32, 63) s";
    run_sql(&config, 0, all).await;
    run_sql(
        &config,
        1,
        "update chat.slot_ownership set state = 'moved', epoch = 2, peer = 'a', move_id = gen_random_uuid(), \
        timeline = chat._timeline(), since = 1",
    )
    .await;
    let mut back = config.clone();
    back.database.shards[1] = fresh(cluster, ["stays", "returns"]).await.database.shards[1].clone();
    let report = migrate::run(&back).await.unwrap();
    assert_eq!(report.shards.iter().map(|shard| shard.given).collect::<Vec<_>>(), [0, 0]);
    let id = "select (select shard_id from chat.peers where shard = 'b')";
    let noted: Uuid = sqlx::query_scalar(id).fetch_one(&mut database(&back, 0).await).await.unwrap();
    let own: Uuid = sqlx::query_scalar(id).fetch_one(&mut database(&back, 1).await).await.unwrap();
    assert_eq!(noted, own);
    // The old one owns nothing, and so may come back as well.
    migrate::run(&config).await.unwrap();
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
