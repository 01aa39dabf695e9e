//! Movers and databases that die in the middle of a move.

use std::time::{Duration, Instant};

use chat_gateway::store::Store as _;
use chat_shard_mover::{MoveError, Point, Step};
use tokio::time::{sleep, timeout};

use crate::{
    cluster::Cluster,
    fixtures::{group_as, say, sign_up_as},
    hook::{Hook, points},
    ledger::assert_whole,
    traffic::Traffic,
    world::{SLOT, World},
};

pub(crate) async fn at_every_point() {
    let mut world = World::start().await;
    let traffic = Traffic::start(&world.store, 6).await;
    sleep(Duration::from_millis(500)).await;
    for point in points() {
        let plan = World::plan();
        let hook = Hook::die(point);
        // Begun again as it would be for anybody: a busy machine may keep a slot from being fenced.
        let mut died = world.run(plan, World::options(), &hook).await;
        while let Err(error) = &died
            && error.is_transient()
        {
            println!("again, since {error}");
            died = world.run(plan, World::options(), &hook).await;
        }
        // The slot may have been handed over before the mover drained a single batch: then it never was at that point.
        assert!(point == Point::Applied || hook.was_reached(), "{point:?} was not reached: {died:?}");
        if hook.was_reached() {
            assert!(matches!(died, Err(MoveError::Stopped { .. })), "{point:?}: {died:?}");
        }
        let report = world.finish(plan).await;
        println!("died at {point:?}, then {report:?}");
    }
    let ledgers = traffic.stop().await;
    let mut database = world.owner_admin().await;
    assert_whole(&mut database, SLOT, &ledgers).await;
}

pub(crate) async fn of_either_database() {
    let mut world = World::start().await;
    let traffic = Traffic::start(&world.store, 4).await;
    sleep(Duration::from_millis(500)).await;
    let points = [Point::Chunk, Point::After(Step::Drain), Point::After(Step::Fence), Point::After(Step::Commit)];
    for point in points {
        for source in [true, false] {
            let plan = World::plan();
            let hook = Hook::park(point);
            let mut mover = world.mover(plan, World::options(), &hook).await.unwrap();
            let mut moving = tokio::spawn(async move { mover.run().await });
            hook.reached_by(&mut moving).await;
            let victim = if source { world.owner } else { 1 - world.owner };
            let server = &mut world.cluster.servers[victim];
            server.crash();
            server.resume();
            hook.let_go();
            let failed = moving.await.unwrap();
            // Once it has handed the slot over, the source has no part in it.
            let is_over = point == Point::After(Step::Commit) && source && failed.is_ok();
            let is_passing = matches!(&failed, Err(error) if error.is_transient());
            assert!(is_over || is_passing, "{point:?}: {failed:?}");
            let report = world.finish(plan).await;
            println!("{} crashed at {point:?}, then {report:?}", if source { "source" } else { "destination" });
        }
    }
    let ledgers = traffic.stop().await;
    let mut database = world.owner_admin().await;
    assert_whole(&mut database, SLOT, &ledgers).await;
}

pub(crate) async fn in_the_fence() {
    let mut world = World::start().await;
    let ann = sign_up_as(&*world.store, Cluster::user_on(1)).await;
    let room = group_as(&*world.store, World::room_in(SLOT), std::slice::from_ref(&ann)).await;
    for point in [Point::After(Step::Fence), Point::After(Step::Settle), Point::Before(Step::Commit)] {
        let plan = World::plan();
        let died = world.run(plan, World::options(), &Hook::die(point)).await;
        let fenced = Instant::now();
        assert!(matches!(died, Err(MoveError::Stopped { .. })), "{died:?}");
        assert_eq!(world.state(world.owner, SLOT).await.unwrap().0, "fenced");
        let sent = timeout(Duration::from_secs(2), say(&*world.store, room, ann.id, "after all")).await;
        sent.expect("the fence ends").unwrap();
        let waited = fenced.elapsed();
        // Half a second by the protocol; the rest is for a busy machine, and seconds less than whoever waited for a person.
        assert!(waited < Duration::from_millis(1_500), "{waited:?}");
        println!("a write waited {waited:?} for the fence of a mover that died at {point:?}");
        world.finish(plan).await;
    }
    assert_eq!(world.store.room(room, ann.id).await.unwrap().last_seq, 3);
}

/// A mover that dies when the slot is nobody's: the first who writes gets the slot opened, without another mover or an operator.
pub(crate) async fn behind_the_hand_over() {
    let mut world = World::start().await;
    let ann = sign_up_as(&*world.store, Cluster::user_on(1)).await;
    let room = group_as(&*world.store, World::room_in(SLOT), std::slice::from_ref(&ann)).await;
    for (nth, point) in [Point::After(Step::Commit), Point::Before(Step::Activate)].into_iter().enumerate() {
        let plan = World::plan();
        let died = world.run(plan, World::options(), &Hook::die(point)).await;
        assert!(matches!(died, Err(MoveError::Stopped { .. })), "{died:?}");
        let (from, to) = (world.owner, 1 - world.owner);
        assert_eq!(world.state(to, SLOT).await.unwrap().0, "importing");
        let begun = Instant::now();
        say(&*world.store, room, ann.id, "is anybody there?").await.unwrap();
        println!("a write waited {:?} for the hand-over of a mover that died at {point:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert_eq!(
            (world.state(from, SLOT).await.unwrap().0, world.state(to, SLOT).await.unwrap().0),
            ("moved".into(), "owned".into())
        );
        let mut there = world.cluster.admin(to).await;
        let noted: i64 = sqlx::query_scalar("select count(*) from chat.moves where move_id = $1 and slot = $2")
            .bind(plan.move_id)
            .bind(SLOT)
            .fetch_one(&mut there)
            .await
            .unwrap();
        assert_eq!(noted, 1, "the destination remembers the move");
        world.finish(plan).await;
        assert_eq!(world.owner, to);
        assert_eq!(world.store.room(room, ann.id).await.unwrap().last_seq, nth as i64 + 1);
    }
}
