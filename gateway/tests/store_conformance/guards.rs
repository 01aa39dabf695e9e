//! What the database refuses, whatever a gateway tries.

use chat_gateway::store::Store;
use sqlx::{Connection, PgConnection, postgres::PgDatabaseError};
use uuid::Uuid;

use crate::{
    cluster::{Cluster, SLOTS},
    fixtures::{group_as, say, sign_up},
};

async fn code(connection: &mut PgConnection, sql: &'static str) -> String {
    let error = sqlx::raw_sql(sql).execute(connection).await.expect_err(sql);
    let error = error.as_database_error().expect("an error of the database").downcast_ref::<PgDatabaseError>();
    error.code().to_owned()
}

pub(crate) async fn tables_and_internal_functions_are_out_of_reach(cluster: &Cluster) {
    let mut gateway = cluster.gateway(0).await;
    for sql in [
        "select * from chat.messages",
        "insert into chat.user_rooms values (1, gen_random_uuid(), gen_random_uuid(), true, 1)",
        "update chat.slot_ownership set epoch = epoch + 1",
        "delete from chat.outbox",
        "truncate chat.rooms",
        "select token_hash from chat.sessions",
        "delete from chat.sessions",
        "select chat._delete_sessions(1, null, null, null, false)",
        "select * from chat.endings",
        "select * from chat.removals",
        "select chat._removal_version(1, gen_random_uuid())",
        "select * from chat.answers",
        "select * from chat.requests",
        "select chat._keep_request(1, null, null, null, null, false)",
        "select chat._guard(1)",
        "select chat._log(1, 'room', '[]')",
        "create table chat.mine (a integer)",
    ] {
        assert_eq!(code(&mut gateway, sql).await, "42501", "{sql}");
    }
    // Nobody else gets in either.
    let mut admin = cluster.admin(0).await;
    sqlx::raw_sql("create role stranger login; set role stranger").execute(&mut admin).await.unwrap();
    assert_eq!(code(&mut admin, "select * from chat.overview()").await, "42501");
    sqlx::raw_sql("reset role; drop role stranger").execute(&mut admin).await.unwrap();
    // The password is stored as a verifier and nowhere else.
    let stored: String = sqlx::query_scalar("select rolpassword from pg_authid where rolname = 'chat_gateway'")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert!(stored.starts_with("SCRAM-SHA-256$"));
}

pub(crate) async fn other_isolation_levels_are_refused(cluster: &Cluster) {
    let mut gateway = cluster.gateway(0).await;
    for level in ["repeatable read", "serializable"] {
        let mut transaction = gateway.begin().await.unwrap();
        let set = sqlx::AssertSqlSafe(format!("set transaction isolation level {level}"));
        sqlx::raw_sql(set).execute(&mut *transaction).await.unwrap();
        let sql = "select chat.create_user(1, gen_random_uuid(), 'n', 'n', 'h')";
        assert_eq!(code(&mut transaction, sql).await, "CC004", "{level}");
        transaction.rollback().await.unwrap();
    }
    assert_eq!(code(&mut gateway, "select chat.create_user(63, gen_random_uuid(), 'n', 'n', 'h')").await, "CC003");
}

/// A gateway repeats a call whose answer was lost with the same outbox ids, and must get the answer that was lost.
pub(crate) async fn the_same_call_again_gets_the_same_answer(cluster: &Cluster, store: &dyn Store) {
    let (ann, bob) = (sign_up(store).await, sign_up(store).await);
    let room = group_as(store, Cluster::room_on(0), &[ann.clone(), bob.clone()]).await;
    let slot = chat_shards::slot_of(room.0, SLOTS);
    let mut gateway = cluster.gateway(0).await;
    let (message, outbox) = (Uuid::now_v7(), Uuid::now_v7());
    for _ in 0..2 {
        let sent: (i64, bool) = sqlx::query_as("select seq, duplicate from chat.send_message($1, $2, $3, $4, 'b', $5)")
            .bind(slot)
            .bind(room.0)
            .bind(message)
            .bind(ann.id.0)
            .bind(outbox)
            .fetch_one(&mut gateway)
            .await
            .unwrap();
        assert_eq!(sent, (1, false));
    }
    let (outbox, request) = (Uuid::now_v7(), Uuid::now_v7());
    let mut leave = async |outbox: Uuid| -> Option<i64> {
        sqlx::query_scalar("select chat.remove_member($1, $2, $3, $3, $4, $5, sha256('leave'))")
            .bind(slot)
            .bind(room.0)
            .bind(bob.id.0)
            .bind(outbox)
            .bind(request)
            .fetch_one(&mut gateway)
            .await
            .unwrap()
    };
    // The second time the actor is no member any more.
    assert_eq!((leave(outbox).await, leave(outbox).await), (Some(3), Some(3)));
    assert_eq!(leave(Uuid::now_v7()).await, None, "a repeat by the client has nothing to tell");
}

/// They give no request ids.
pub(crate) async fn gateways_of_the_version_before_change_members(cluster: &Cluster, store: &dyn Store) {
    let (ann, bob) = (sign_up(store).await, sign_up(store).await);
    let room = Cluster::room_on(0);
    let slot = chat_shards::slot_of(room.0, SLOTS);
    let mut gateway = cluster.gateway(0).await;
    let create = "select created from chat.create_room($1, $2, 'group', 't', array[$3], array['ann'], array['Ann'], array[$4], 9)";
    for (outbox, created) in [(Uuid::now_v7(), true), (Uuid::now_v7(), false)] {
        let made: bool = sqlx::query_scalar(create)
            .bind(slot)
            .bind(room.0)
            .bind(ann.id.0)
            .bind(outbox)
            .fetch_one(&mut gateway)
            .await
            .unwrap();
        assert_eq!(made, created);
    }
    let calls = [
        ("select chat.add_member($1, $2, $3, $4, 'bob', 'Bob', gen_random_uuid(), 9)", Some(2)),
        ("select chat.set_role($1, $2, $3, $4, 'admin', gen_random_uuid())", Some(3)),
        ("select chat.remove_member($1, $2, $3, $4, gen_random_uuid())", Some(4)),
        ("select null::bigint from (select chat.mute($1, $2, $3, 1) where $4::uuid is not null) as muted", None),
    ];
    for (call, version) in calls {
        let changed: Option<i64> = sqlx::query_scalar(call)
            .bind(slot)
            .bind(room.0)
            .bind(ann.id.0)
            .bind(bob.id.0)
            .fetch_one(&mut gateway)
            .await
            .unwrap();
        assert_eq!(changed, version, "{call}");
    }
}

/// During a rollout they call the functions that they know.
pub(crate) async fn gateways_of_the_version_before_react_as_they_did(cluster: &Cluster, store: &dyn Store) {
    let ann = sign_up(store).await;
    let room = group_as(store, Cluster::room_on(0), std::slice::from_ref(&ann)).await;
    say(store, room, ann.id, "text").await.unwrap();
    let mut gateway = cluster.gateway(0).await;
    let mut change = async |kind: &str, message: Uuid| {
        sqlx::query_as::<_, (i64, String, i64, bool)>(
            "select seq, sender_name, at_ms, duplicate from chat.change_message($1, $2, $3, $4, $5, 1, 'x', $6, 20)",
        )
        .bind(chat_shards::slot_of(room.0, SLOTS))
        .bind(room.0)
        .bind(message)
        .bind(ann.id.0)
        .bind(kind)
        .bind(Uuid::now_v7())
        .fetch_one(&mut gateway)
        .await
        .map(|(seq, _, _, duplicate)| (seq, duplicate))
        .map_err(|error| error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned())
    };
    let [first, idle, end, nothing] = [(); 4].map(|()| Uuid::now_v7());
    assert_eq!(change("react", first).await, Ok((2, false)));
    assert_eq!(change("react", idle).await, Ok((2, true)));
    assert_eq!(change("unreact", end).await, Ok((3, false)));
    assert_eq!(change("react", idle).await, Ok((2, true)));
    assert_eq!(change("unreact", nothing).await, Err("CC108".to_owned()));
    assert_eq!(change("unreact", end).await, Ok((3, true)));
}

pub(crate) async fn health_counts_slots_and_notices_an_old_schema(cluster: &Cluster, store: &dyn Store) {
    let slots = |stats: &[chat_gateway_config::stats::ShardStats]| -> Vec<(String, u32, String)> {
        stats.iter().map(|s| (s.name.clone(), s.slots, s.component.reason.clone())).collect()
    };
    let connected = |name: &str| (name.to_owned(), 32, "Connected".to_owned());
    assert_eq!(slots(&store.health().await), [connected("a"), connected("b")]);
    let mut admin = cluster.admin(1).await;
    let newest = "update chat.migrations set success = $1 where version = (select max(version) from chat.migrations)";
    sqlx::query(newest).bind(false).execute(&mut admin).await.unwrap();
    let stats = store.health().await;
    assert_eq!(slots(&stats)[1], ("b".to_owned(), 32, "SchemaOutdated".to_owned()));
    assert!(!stats[1].component.available && stats[0].component.available);
    sqlx::query(newest).bind(true).execute(&mut admin).await.unwrap();
    assert_eq!(slots(&store.health().await), [connected("a"), connected("b")]);
}
