//! What a mover does when a database says another timeline than the rows in it, as after the promotion of a standby.

use chat_gateway::store::Store as _;
use chat_shard_mover::{MoveError, Options, Point, Refusal, Step};
use sqlx::AssertSqlSafe;

use crate::{
    cluster::Cluster,
    fixtures::{group_as, say, sign_up_as},
    hook::Hook,
    world::{SLOT, World},
};

/// From here on the database says the next timeline, as it does after a promotion. All that asks goes through this function.
async fn promote(world: &World, shard: usize) {
    let mut admin = world.cluster.admin(shard).await;
    let next: String = sqlx::query_scalar("select lpad((chat._timeline()::integer + 1)::text, 8, '0')")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    let sql = format!(
        "create or replace function chat._timeline() returns text language sql volatile as $$ select '{next}' $$"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
}

/// Runs a move, and does something while the mover is at a point.
async fn meanwhile(
    world: &mut World,
    point: Point,
    act: impl AsyncFnOnce(&World),
) -> Result<chat_shard_mover::Report, MoveError> {
    let hook = Hook::park(point);
    let mut mover = world.mover(World::plan(), World::options(), &hook).await.unwrap();
    let mut moving = tokio::spawn(async move { mover.run().await });
    hook.reached_by(&mut moving).await;
    act(world).await;
    hook.let_go();
    moving.await.unwrap()
}

pub(crate) async fn of_either_database(world: &mut World) {
    let ann = sign_up_as(&*world.store, Cluster::user_on(1)).await;
    let room = group_as(&*world.store, World::room_in(SLOT), std::slice::from_ref(&ann)).await;
    say(&*world.store, room, ann.id, "a text").await.unwrap();
    // Rows that were copied to what is the destination no more, or from what is the source no more, are copied again.
    for (nth, point) in
        [Point::Before(Step::Drain), Point::Before(Step::Compare), Point::Before(Step::Settle)].into_iter().enumerate()
    {
        for source in [false, true] {
            let report = meanwhile(world, point, async |world| {
                promote(world, if source { world.owner } else { 1 - world.owner }).await;
            })
            .await;
            let report = report.unwrap_or_else(|error| panic!("{nth} {source}: {error}"));
            assert!(report.rows > 0);
            world.owner = 1 - world.owner;
            assert_eq!(world.state(world.owner, SLOT).await.unwrap().0, "owned");
            assert_eq!(world.store.room(room, ann.id).await.unwrap().last_seq, 1);
        }
    }
}

/// Behind the hand-over nothing is copied again: the destination is compared with what the source retains, and opened only if it has it all.
pub(crate) async fn behind_the_hand_over(world: &mut World) {
    let ann = sign_up_as(&*world.store, Cluster::user_on(1)).await;
    let room = group_as(&*world.store, World::room_in(SLOT), std::slice::from_ref(&ann)).await;
    say(&*world.store, room, ann.id, "a text").await.unwrap();
    let moved = meanwhile(world, Point::Before(Step::Activate), async |world| {
        promote(world, 1 - world.owner).await;
    });
    moved.await.unwrap();
    world.owner = 1 - world.owner;
    say(&*world.store, room, ann.id, "after a promotion that lost nothing").await.unwrap();
    let lost = meanwhile(world, Point::Before(Step::Activate), async |world| {
        promote(world, 1 - world.owner).await;
        let mut there = world.cluster.admin(1 - world.owner).await;
        let sql = "delete from chat.messages where slot = $1 and room_id = $2 and seq = 2";
        sqlx::query(sql).bind(SLOT).bind(room.0).execute(&mut there).await.unwrap();
    });
    let lost = lost.await;
    assert!(matches!(lost, Err(MoveError::Lost { table: "messages", .. })), "{lost:?}");
    assert_eq!(world.state(1 - world.owner, SLOT).await.unwrap().0, "importing", "the slot stays closed");
    // A row that the source has not, and one that it has otherwise, are no better.
    let mut there = world.cluster.admin(1 - world.owner).await;
    for sql in [
        "update chat.rooms set title = 'another' where slot = $1",
        "insert into chat.users (slot, user_id, name, display_name, password_hash) values ($1, gen_random_uuid(), 'nobody', '', '')",
    ] {
        sqlx::query(sql).bind(SLOT).execute(&mut there).await.unwrap();
    }
    let plan = world.pending().await;
    let (from, to) = (world.owner, 1 - world.owner);
    let retained = world.rows(from, SLOT).await;
    let options = Options { restore: true, ..World::options() };
    world.run(plan, options, &Hook::none()).await.unwrap();
    assert!(world.rows(to, SLOT).await == retained, "what the source retains is there again, and nothing else");
    assert_eq!(world.state(to, SLOT).await.unwrap().0, "owned");
    world.owner = to;
    say(&*world.store, room, ann.id, "and the slot is open").await.unwrap();
    assert_eq!(world.store.room(room, ann.id).await.unwrap().last_seq, 3);
}

/// A fence that was inherited ends by nothing but the next claim, or by the operator, who asks the destination.
pub(crate) async fn with_a_fence(world: &mut World) {
    let hook = Hook::die(Point::After(Step::Fence));
    let plan = World::plan();
    assert!(world.run(plan, World::options(), &hook).await.is_err());
    let mut operator = world.mover(plan, World::options(), &Hook::none()).await.unwrap();
    let refused = operator.unfence().await;
    assert!(matches!(refused, Err(MoveError::Refused { refusal: Refusal::FenceHolds, .. })), "{refused:?}");
    promote(world, world.owner).await;
    operator.unfence().await.unwrap();
    assert_eq!(world.state(world.owner, SLOT).await.unwrap().0, "migrating");
    world.finish(plan).await;
}
