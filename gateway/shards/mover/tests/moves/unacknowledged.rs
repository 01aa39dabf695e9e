//! Movers whose packets, or whose servers' packets, are lost from some point on, and for good.

use std::time::Duration;

use chat_gateway::model::{RoomId, User};
use chat_shard_mover::{Mover, Plan, Point, Step};
use tokio::{
    task::block_in_place,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use crate::{
    cluster::admin_uri_at,
    fixtures::{group_as, say, sign_up_as},
    matrix::{
        network::{Loss, Network},
        processes::{MoverRole, Process},
    },
    world::{NAMES, World},
};

/// What is lost, between the mover and which of its ends, and where it is then.
const LOSSES: [(Loss, usize, Point); 7] = [
    (Loss::ToServer, 0, Point::Before(Step::Copy)),
    (Loss::FromServer, 0, Point::After(Step::Fence)),
    (Loss::Both, 0, Point::Before(Step::Commit)),
    (Loss::ToServer, 1, Point::Chunk),
    (Loss::FromServer, 1, Point::After(Step::Copy)),
    (Loss::Both, 1, Point::After(Step::Commit)),
    // In the middle of a COPY, for which the server waits with the slot's row held.
    (Loss::FullToServer, 1, Point::Before(Step::Copy)),
];
/// The kernel's ten seconds of silence, a probe's three, and a busy machine.
const ENDS: Duration = Duration::from_secs(30);
/// For everything else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mover and its slot.
struct Cut {
    network: Network,
    plan: Plan,
    me: User,
    room: RoomId,
    mover: Process,
    port: u16,
    loss: Loss,
}

/// All at once, each in a network and with a slot of its own: they wait for the same silence.
pub(crate) async fn whichever_packets_are_lost() {
    let mut world = World::start().await;
    let networks = block_in_place(|| LOSSES.map(|_| Network::make()));
    for server in &mut world.cluster.servers {
        for network in &networks {
            server.listen_at(network.host(), &network.range());
        }
        block_in_place(|| {
            server.crash();
            server.resume();
        });
    }
    let mut cuts = Vec::new();
    for ((network, (loss, end, point)), slot) in networks.into_iter().zip(LOSSES).zip(1..) {
        let me = sign_up_as(&*world.store, World::user_in(slot)).await;
        let room = group_as(&*world.store, World::room_in(slot), std::slice::from_ref(&me)).await;
        say(&*world.store, room, me.id, &"the first ".repeat(300)).await.unwrap();
        let plan = Plan { slot, move_id: Uuid::now_v7(), epoch: None };
        let ports = [0, 1].map(|index| world.cluster.servers[index].port);
        let role = MoverRole {
            slot,
            move_id: plan.move_id,
            chunk_rows: World::options().chunk_rows,
            shards: [0, 1].map(|index| (NAMES[index].to_owned(), admin_uri_at(network.host(), ports[index]))),
            point: format!("{point:?}"),
            jumps: false,
            cleans: false,
        };
        let mut mover = Process::start_in(&network, "a_mover_in_a_process_of_its_own", &role);
        let arrives = timeout(PATIENCE, mover.says("reached")).await.expect("the mover neither arrives nor ends");
        assert!(arrives, "the mover was never at {point:?}");
        // At once, since a fence does not wait for the others.
        let cut = Cut { network, plan, me, room, mover, port: ports[end], loss };
        block_in_place(|| cut.network.lose(cut.loss, cut.port));
        cuts.push(cut);
    }
    let started = Instant::now();
    for cut in &mut cuts {
        cut.mover.go().await;
    }
    // Nobody waits until the silence is over: not writers, and not who takes the move over.
    for cut in &cuts {
        finish(&world, cut.plan).await;
        say(&*world.store, cut.room, cut.me.id, "the second").await.unwrap();
    }
    println!("others have done the work after {:?}", started.elapsed());
    for cut in cuts {
        let lines = timeout((started + ENDS).duration_since(Instant::now()), cut.mover.rest()).await;
        let lines =
            lines.unwrap_or_else(|_| panic!("a mover hangs with {:?} lost in slot {}", cut.loss, cut.plan.slot));
        let passes = lines.iter().any(|line| line.starts_with("passing"));
        assert!(passes, "with {:?} lost in slot {}: {lines:?}", cut.loss, cut.plan.slot);
        let lost = block_in_place(|| cut.network.heal());
        assert!(lost > 0, "no packet was lost in slot {}", cut.plan.slot);
        println!("slot {}, {:?}: {lost} packets were lost; {lines:?}", cut.plan.slot, cut.loss);
        let owned = world.state(1, cut.plan.slot).await.unwrap();
        assert_eq!(owned.0, "owned");
    }
    println!("all have ended after {:?}", started.elapsed());
}

/// Movers of the same plan without losses, until one succeeds.
async fn finish(world: &World, plan: Plan) {
    let started = Instant::now();
    loop {
        let (from, to) = (world.shard(0).await.unwrap(), world.shard(1).await.unwrap());
        let mut mover = Mover::new(plan, from, to, World::options(), ()).await.unwrap();
        match mover.run().await {
            Ok(_) => return,
            Err(error) if error.is_transient() && started.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("slot {}, after {:?}: {error:?}", plan.slot, started.elapsed()),
        }
    }
}
