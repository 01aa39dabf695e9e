//! Two movers of one move.

use std::time::Duration;

use chat_shard_mover::{MoveError, Options, Point, Refusal, Step};
use sqlx::{PgConnection, postgres::PgCopyIn};
use tokio::time::{sleep, timeout};

use crate::{
    cluster::Cluster,
    fixtures::{group_as, say, sign_up_as},
    hook::{Hook, points},
    ledger::assert_whole,
    traffic::Traffic,
    world::{SLOT, World},
};

pub(crate) async fn at_the_same_time(world: &mut World) {
    let traffic = Traffic::start(&world.store, 4).await;
    for _ in 0..5 {
        let plan = World::plan();
        let hook = Hook::none();
        let (one, other) =
            tokio::join!(world.run(plan, World::options(), &hook), world.run(plan, World::options(), &hook),);
        for result in [&one, &other] {
            let harmless = match result {
                Ok(_) => true,
                Err(MoveError::Refused { refusal, .. }) => matches!(
                    refusal,
                    Refusal::OldGeneration | Refusal::WrongState | Refusal::Owned | Refusal::FenceHolds
                ),
                Err(error) => error.is_transient(),
            };
            assert!(harmless, "{result:?}");
        }
        println!("twins: {:?} and {:?}", one.map(|report| report.pause_ms), other.map(|report| report.pause_ms));
        world.finish(plan).await;
    }
    let ledgers = traffic.stop().await;
    let mut database = world.owner_admin().await;
    assert_whole(&mut database, SLOT, &ledgers).await;
}

/// A mover stands still anywhere, the slot goes to its destination and back without it, and then it wakes.
pub(crate) async fn zombies_that_wake_anywhere(world: &mut World) {
    let ann = sign_up_as(&*world.store, Cluster::user_on(1)).await;
    let room = group_as(&*world.store, World::room_in(SLOT), std::slice::from_ref(&ann)).await;
    for point in points() {
        let plan = World::plan();
        let plan = chat_shard_mover::Plan {
            epoch: world.state(world.owner, SLOT).await.map(|(_, epoch, _)| u64::try_from(epoch).unwrap()),
            ..plan
        };
        let hook = Hook::park(point);
        let mut zombie = world.mover(plan, World::options(), &hook).await.unwrap();
        let moving = tokio::spawn(async move { zombie.run().await });
        if timeout(Duration::from_secs(20), hook.reached()).await.is_err() {
            // Nothing was written meanwhile, so there was nothing to drain.
            assert_eq!(point, Point::Applied);
            moving.await.unwrap().unwrap();
            world.owner = 1 - world.owner;
            continue;
        }
        world.finish(plan).await;
        say(&*world.store, room, ann.id, "at the destination").await.unwrap();
        world.finish(World::plan()).await;
        say(&*world.store, room, ann.id, "back").await.unwrap();
        let before = [snapshot(world, 0).await, snapshot(world, 1).await];
        hook.let_go();
        let woken = moving.await.unwrap();
        assert!(before == [snapshot(world, 0).await, snapshot(world, 1).await], "{point:?}: the zombie changed rows");
        if point == Point::After(Step::Activate) {
            assert!(woken.is_ok(), "its work was done: {woken:?}");
        } else {
            assert!(matches!(woken, Err(MoveError::Refused { .. })), "{point:?}: {woken:?}");
        }
    }
}

/// Somebody holds the slot's lock in the midst of a COPY and keeps silent, while all that is sent to it is acknowledged: no timeout of PostgreSQL's ends that.
pub(crate) async fn one_that_fell_silent(world: &mut World) {
    // Slow, but not silent.
    let patience = Options { lock_patience: Duration::from_secs(14), ..World::options() };
    let mut other = world.session(1 - world.owner).await;
    let mut copy = copy_with_lock(&mut other).await;
    let plan = World::plan();
    let hook = Hook::none();
    let sending = async {
        for _ in 0..16 {
            copy.send(ROW).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
    };
    let (moved, ()) = tokio::join!(world.run(plan, patience, &hook), sending);
    assert!(matches!(moved, Err(MoveError::Busy { .. })), "{moved:?}");
    copy.abort("that was all").await.unwrap();
    drop(other);

    let mut other = world.session(1 - world.owner).await;
    let mut copy = copy_with_lock(&mut other).await;
    copy.send(ROW).await.unwrap();
    world.run(plan, World::options(), &hook).await.unwrap();
    world.owner = 1 - world.owner;
    assert!(copy.finish().await.is_err(), "its session was ended");
}

/// A row of `chat.move_chunks`.
const ROW: &[u8] = b"00000000-0000-0000-0000-000000000001\tmessages\t1\t1\t1\t\\\\x00\n";

async fn copy_with_lock(session: &mut PgConnection) -> PgCopyIn<&mut PgConnection> {
    sqlx::raw_sql("begin").execute(&mut *session).await.unwrap();
    let lock = sqlx::query("select pg_advisory_xact_lock($1, $2)").bind(chat_shards::SLOT_LOCK_CLASS).bind(SLOT);
    lock.execute(&mut *session).await.unwrap();
    session
        .copy_in_raw("copy chat.move_chunks (move_id, table_name, upto, rows, bytes, hash) from stdin")
        .await
        .unwrap()
}

/// Rows, state and log of a shard.
async fn snapshot(world: &World, shard: usize) -> (Vec<String>, crate::world::State, i64) {
    (world.rows(shard, SLOT).await, world.state(shard, SLOT).await, world.backlog(shard).await)
}
