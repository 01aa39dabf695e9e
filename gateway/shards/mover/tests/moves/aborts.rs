//! Moves that are given up, on demand and because of what they found.

use std::time::Duration;

use chat_shard_mover::{MoveError, Point, Refusal, Step};
use sqlx::AssertSqlSafe;
use tokio::time::sleep;

use crate::{
    hook::{Hook, is_before_hand_over, points},
    ledger::assert_whole,
    traffic::Traffic,
    world::{SLOT, World},
};

pub(crate) async fn at_every_point() {
    let mut world = World::start().await;
    let traffic = Traffic::start(&world.store, 4).await;
    sleep(Duration::from_millis(500)).await;
    for point in points() {
        let plan = World::plan();
        let hook = Hook::die(point);
        drop(world.run(plan, World::options(), &hook).await);
        if !hook.was_reached() {
            assert_eq!(point, Point::Applied);
            world.owner = 1 - world.owner;
            continue;
        }
        let mut second = world.mover(plan, World::options(), &Hook::none()).await.unwrap();
        let given_up = second.abort().await;
        if is_before_hand_over(point) {
            given_up.unwrap_or_else(|error| panic!("{point:?}: {error}"));
            second.abort().await.unwrap_or_else(|error| panic!("{point:?}, again: {error}"));
            assert_eq!(world.state(world.owner, SLOT).await.unwrap().0, "owned", "{point:?}");
            let there = world.state(1 - world.owner, SLOT).await;
            // A tombstone of an earlier move, or nothing.
            assert!(there.is_none_or(|(state, ..)| state == "moved"), "{point:?}");
            assert_eq!(world.backlog(world.owner).await, 0, "{point:?}");
            if point > Point::Before(Step::Prepare) || matches!(point, Point::Chunk | Point::Applied) {
                assert!(world.rows(1 - world.owner, SLOT).await.is_empty(), "{point:?}: the destination is clean");
            }
        } else {
            let refused = matches!(given_up, Err(MoveError::Refused { refusal: Refusal::Moved, .. }));
            assert!(refused, "{point:?}: {given_up:?}");
            world.finish(plan).await;
        }
    }
    let ledgers = traffic.stop().await;
    let longest = ledgers.iter().map(|ledger| ledger.longest).max().unwrap();
    assert!(longest < Duration::from_secs(2), "a mover that was refused kept writers waiting: {longest:?}");
    let mut database = world.owner_admin().await;
    assert_whole(&mut database, SLOT, &ledgers).await;
}

pub(crate) async fn of_tampered_copies() {
    let world = World::start().await;
    let traffic = Traffic::start(&world.store, 3).await;
    sleep(Duration::from_secs(2)).await;
    let ledgers = traffic.stop().await;
    let tampering = [
        ("messages", "update chat.messages set body = body || ' ' where slot = {slot} and seq = 1"),
        ("messages", "delete from chat.messages where slot = {slot} and seq = 2"),
        (
            "messages",
            "insert into chat.messages (slot, room_id, seq, message_id, sender, sender_name, body, at) \
             select {slot}, 'ffffffff-ffff-ffff-ffff-ffffffffffff', 1, gen_random_uuid(), gen_random_uuid(), '', '', now()",
        ),
        ("members", "update chat.members set muted_until = now() where slot = {slot}"),
        ("rooms", "update chat.rooms set last_seq = last_seq + 1 where slot = {slot}"),
        ("users", "update chat.users set password_hash = '' where slot = {slot}"),
        (
            "sessions",
            "insert into chat.sessions (slot, user_id, session_id, token_hash, expires_at, ends_at, user_agent) \
             select {slot}, gen_random_uuid(), gen_random_uuid(), sha256(''), now(), now(), ''",
        ),
    ];
    let whole = world.rows(0, SLOT).await;
    for (table, sql) in tampering {
        let hook = Hook::park(Point::Before(Step::Compare));
        let mut mover = world.mover(World::plan(), World::options(), &hook).await.unwrap();
        let mut moving = tokio::spawn(async move { mover.run().await });
        hook.reached_by(&mut moving).await;
        let mut there = world.cluster.admin(1).await;
        let sql = sql.replace("{slot}", &SLOT.to_string());
        let changed = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut there).await.unwrap();
        assert!(changed.rows_affected() > 0, "{sql}");
        hook.let_go();
        let refused = moving.await.unwrap();
        assert!(matches!(&refused, Err(MoveError::Mismatch { table: of, .. }) if *of == table), "{sql}: {refused:?}");
        assert_eq!(world.state(0, SLOT).await.unwrap().0, "owned", "the source has the slot");
        assert!(world.rows(0, SLOT).await == whole, "the source is whole");
        assert!(world.rows(1, SLOT).await.is_empty(), "the destination is clean");
    }
    let mut database = world.cluster.admin(0).await;
    assert_whole(&mut database, SLOT, &ledgers).await;
}
