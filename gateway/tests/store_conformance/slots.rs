//! What shards say of their slots.

use std::{sync::Arc, time::Instant};

use chat_gateway::store::{SlotsQuestion, Store};
use chat_gateway_config::slots::SlotSize;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::{
    cluster::Cluster,
    fixtures::{group_as, say, sign_up_as},
    moves::{TRANSIT, set},
};

pub(crate) async fn every_slot_has_one_owner(store: Arc<dyn Store>) {
    let answer = store.slots(SlotsQuestion::default()).await;
    let names = |names: Vec<String>| {
        let mut names = names;
        names.sort();
        names
    };
    let told: Vec<String> = answer.shards.iter().map(|shard| shard.name.clone()).collect();
    assert_eq!(told, names(store.health().await.into_iter().map(|shard| shard.name).collect()));
    assert!(answer.shards.iter().all(|shard| shard.error.is_none() && shard.sizes.is_empty()), "{answer:?}");
    let mut owned: Vec<u32> =
        answer.shards.iter().flat_map(|shard| &shard.owned).flat_map(|slots| slots.first..=slots.last).collect();
    owned.sort_unstable();
    assert!(answer.slots > 0);
    assert_eq!(owned, (0..answer.slots).collect::<Vec<_>>());
}

pub(crate) async fn sizes_are_counted_once_a_minute(cluster: &Cluster, store: &dyn Store) {
    let slot = |id| u32::try_from(chat_shards::slot_of(id, crate::cluster::SLOTS)).unwrap();
    let ann = sign_up_as(store, Cluster::user_on(0)).await;
    let room = group_as(store, Cluster::room_on(0), std::slice::from_ref(&ann)).await;
    for n in 0..20 {
        say(store, room, ann.id, &format!("{n}")).await.unwrap();
    }
    let mut admin = cluster.admin(0).await;
    sqlx::raw_sql("analyze").execute(&mut admin).await.unwrap();
    let question = SlotsQuestion { sizes: true, since: None };
    let answer = store.slots(question).await;
    let ids: Vec<_> = answer.shards.iter().map(|shard| shard.id.clone().expect("an id")).collect();
    assert_ne!(ids[0], ids[1]);
    let [a, b] = &answer.shards[..] else { panic!("two shards: {answer:?}") };
    assert_eq!(a.sizes.iter().map(|size| size.slot).collect::<Vec<_>>(), (0..32).collect::<Vec<_>>());
    assert_eq!(b.sizes.first().map(|size| size.slot), Some(32), "its own slots only");
    let size = |sizes: &[SlotSize]| *sizes.iter().find(|size| size.slot == slot(room.0)).unwrap();
    // A room, its member, and twenty texts.
    assert!(size(&a.sizes).rows >= 22 && size(&a.sizes).bytes > 20 * 40, "{:?}", size(&a.sizes));
    let (bytes, whole): (i64, i64) = sqlx::query_as(
        "select sum(pg_total_relation_size(c.oid))::bigint, (select sum(bytes) from chat.slot_sizes())::bigint \
         from pg_class c where c.relnamespace = 'chat'::regnamespace and c.relkind = 'r' \
         and c.relname in (select table_name::text from information_schema.columns where table_schema = 'chat' and column_name = 'slot') \
         and c.relname not in ('slot_ownership', 'slot_changes', 'moves')",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    // Each of the 32 is rounded.
    assert!(whole <= bytes + 32 && whole > bytes / 10, "shares of what there is: {whole} of {bytes}");
    // What is asked again within a minute costs nothing, and so tells nothing new.
    say(store, room, ann.id, "one more").await.unwrap();
    assert_eq!(store.slots(question).await.shards[0].sizes, a.sizes);
}

/// A sample of a large table is scaled.
pub(crate) async fn large_tables_are_sampled(cluster: &Cluster) {
    let mut admin = cluster.admin(1).await;
    let fill = "insert into chat.user_rooms (slot, user_id, room_id, joined, version) \
        select 40 + n % 2, gen_random_uuid(), gen_random_uuid(), true, 1 from generate_series(1, 40000) n; analyze chat.user_rooms";
    sqlx::raw_sql(fill).execute(&mut admin).await.unwrap();
    // As if there were two millions: every second page is counted then, about.
    sqlx::raw_sql("update pg_class set reltuples = 2000000 where oid = 'chat.user_rooms'::regclass")
        .execute(&mut admin)
        .await
        .unwrap();
    let mut counts = Vec::new();
    for _ in 0..5 {
        let count: i64 = sqlx::query_scalar("select sum(rows)::bigint from chat.slot_sizes() where slot in (40, 41)")
            .fetch_one(&mut admin)
            .await
            .unwrap();
        counts.push(count);
    }
    assert!(counts.iter().all(|count| (30_000..50_000).contains(count)), "scaled: {counts:?}");
    assert!(counts.iter().any(|count| *count != counts[0]), "of another sample each time: {counts:?}");
    sqlx::raw_sql("delete from chat.user_rooms where slot in (40, 41); analyze chat.user_rooms")
        .execute(&mut admin)
        .await
        .unwrap();
}

/// A slot that has moved away is told of as long as rows of it are left.
pub(crate) async fn what_is_left_behind_a_move_is_counted(cluster: &Cluster) {
    let mut admin = cluster.admin(1).await;
    // Rows of other cases may be in any slot; the end of the transaction brings them back.
    let mut aside = admin.begin().await.unwrap();
    let (left, bare) = (44, 45);
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'slot' and not a.attisdropped \
         where c.relnamespace = 'chat'::regnamespace and c.relkind = 'r' and c.relname not in ('slot_ownership', 'slot_changes', 'moves')",
    )
    .fetch_all(&mut *aside)
    .await
    .unwrap();
    let clear: String =
        tables.iter().map(|table| format!("delete from chat.{table} where slot in ({left}, {bare});")).collect();
    let fill = format!(
        "insert into chat.user_rooms (slot, user_id, room_id, joined, version) \
         select {left}, gen_random_uuid(), gen_random_uuid(), true, 1 from generate_series(1, 3)"
    );
    for sql in [&clear, &fill] {
        sqlx::raw_sql(AssertSqlSafe(sql.as_str())).execute(&mut *aside).await.unwrap();
    }
    let moved = format!("state = 'moved', {}", TRANSIT.replace("'b'", "'a'"));
    for slot in [left, bare] {
        set(&mut aside, slot, &moved).await;
    }
    let sql = "select slot, rows from chat.slot_sizes() where slot in ($1, $2)";
    let mut counts = Vec::new();
    for _ in 0..2 {
        let count: Vec<(i32, i64)> = sqlx::query_as(sql).bind(left).bind(bare).fetch_all(&mut *aside).await.unwrap();
        counts.push(count);
        sqlx::raw_sql(AssertSqlSafe(clear.as_str())).execute(&mut *aside).await.unwrap();
    }
    assert_eq!(counts, [vec![(left, 3)], Vec::new()]);
    aside.rollback().await.unwrap();
}

pub(crate) async fn a_shard_that_is_away_says_so(store: &dyn Store) {
    let started = Instant::now();
    let answer = store.slots(SlotsQuestion { sizes: true, since: None }).await;
    assert!(started.elapsed().as_secs() < 4, "{:?}", started.elapsed());
    let [a, b] = &answer.shards[..] else { panic!("two shards: {answer:?}") };
    assert!(a.error.is_none() && !a.owned.is_empty(), "{a:?}");
    assert!(b.error.is_some() && b.owned.is_empty() && b.id.is_none() && b.sizes.is_empty(), "{b:?}");
}
