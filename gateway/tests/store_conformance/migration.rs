//! `migrate` on databases that have been migrated.

use chat_gateway::{
    migrate::{self, MigrateError},
    store::Store,
};
use chat_shards::IdentityError;

use crate::{
    cluster::{Cluster, gateway_uri},
    fixtures::{group_as, say, sign_up},
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
