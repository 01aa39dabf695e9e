//! Primaries that die for good while a slot moves, and standbys that take their places: real streaming replication.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use chat_gateway::store::{Store as _, StoreError};
use chat_shard_mover::{MoveError, Options, Point, Step};
use tokio::{
    task::{JoinHandle, block_in_place},
    time::sleep,
};

use crate::{
    cluster::Cluster,
    fixtures::{group_as, say, sign_up_as},
    hook::Hook,
    ledger::assert_whole,
    server::{SUPERUSER_PASSWORD, Server, command, temporary},
    traffic::Traffic,
    world::{SLOT, World},
};

/// Where the primary of the source, or else of the destination, dies with what its standby does not have.
const CELLS: [(Point, bool); 6] = [
    (Point::Before(Step::Copy), false),
    (Point::Before(Step::Drain), true),
    (Point::After(Step::Fence), true),
    (Point::Before(Step::Commit), false),
    (Point::Before(Step::Commit), true),
    (Point::Before(Step::Activate), false),
];

impl Server {
    /// A standby that streams from the server at this port.
    fn standby(primary: u16) -> Self {
        let folder = temporary();
        let made = command("pg_basebackup")
            .env("PGPASSWORD", SUPERUSER_PASSWORD)
            .args(["-h", "127.0.0.1", "-U", "postgres", "-R", "-X", "stream", "-c", "fast", "--no-sync", "-p"])
            .arg(primary.to_string())
            .arg("-D")
            .arg(folder.path().join("data"))
            .output()
            .expect("pg_basebackup runs");
        assert!(made.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self::in_folder(folder);
        server.resume();
        server
    }

    /// Ends the postmaster with SIGKILL; its children find out, but for those that are stopped.
    fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            child.kill().expect("the postmaster runs");
            child.wait().expect("it ends");
        }
    }

    /// Promotes it, and puts it where its primary was.
    fn take_over(&mut self, port: u16) {
        let promoted = command("pg_ctl").args(["promote", "-w", "-D"]).arg(self.data()).output().expect("pg_ctl runs");
        assert!(promoted.status.success(), "pg_ctl: {}", String::from_utf8_lossy(&promoted.stdout));
        self.crash();
        self.port = port;
        self.resume();
    }
}

/// A primary's standby, and the process that sends to it.
struct Pair {
    victim: usize,
    standby: Server,
    sender: i32,
}

impl Pair {
    /// Gives a shard a standby; if it is `synchronous`, no write is acknowledged that it does not have.
    async fn make(world: &World, victim: usize, synchronous: bool) -> Self {
        let port = world.cluster.servers[victim].port;
        let standby = block_in_place(|| Server::standby(port));
        let mut admin = world.cluster.admin(victim).await;
        if synchronous {
            sqlx::raw_sql("alter system set synchronous_standby_names = '*'").execute(&mut admin).await.unwrap();
            sqlx::raw_sql("select pg_reload_conf()").execute(&mut admin).await.unwrap();
        }
        let wanted = if synchronous { "sync" } else { "async" };
        let deadline = Instant::now() + Duration::from_secs(30);
        let sender = loop {
            let sql = "select pid from pg_stat_replication where state = 'streaming' and sync_state = $1";
            let found: Option<i32> = sqlx::query_scalar(sql).bind(wanted).fetch_optional(&mut admin).await.unwrap();
            match found {
                Some(pid) => break pid,
                None => assert!(Instant::now() < deadline, "the standby does not stream"),
            }
            sleep(Duration::from_millis(50)).await;
        };
        Self { victim, standby, sender }
    }

    /// Waits until the standby has all that there is.
    async fn has_caught_up(&self, world: &World) {
        let mut admin = world.cluster.admin(self.victim).await;
        let here: String =
            sqlx::query_scalar("select pg_current_wal_insert_lsn()::text").fetch_one(&mut admin).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let sql = "select bool_and(flush_lsn >= $1::text::pg_lsn) from pg_stat_replication";
            let has: Option<bool> = sqlx::query_scalar(sql).bind(&here).fetch_one(&mut admin).await.unwrap();
            if has == Some(true) {
                return;
            }
            assert!(Instant::now() < deadline, "the standby does not catch up");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// From here on nothing reaches the standby.
    fn freeze(&self) {
        signal("-STOP", self.sender);
    }

    /// The primary dies, and the standby takes its place.
    fn fail_over(mut self, world: &mut World) {
        block_in_place(|| {
            let primary = &mut world.cluster.servers[self.victim];
            let port = primary.port;
            primary.kill();
            signal("-KILL", self.sender);
            self.standby.take_over(port);
            *primary = self.standby;
        });
    }
}

fn signal(which: &str, pid: i32) {
    let sent = Command::new("kill").args([which, &pid.to_string()]).status().expect("kill runs");
    assert!(sent.success() || which == "-KILL", "process {pid} is gone");
}

/// Runs a move up to a point. Begun again when it fails on the way by what passes: a busy machine may keep a slot from being fenced.
async fn parked(world: &World, point: Point, options: Options) -> (Hook, JoinHandle<Result<(), MoveError>>) {
    let plan = World::plan();
    for _ in 0..5 {
        let hook = Hook::park(point);
        let mut mover = world.mover(plan, options.clone(), &hook).await.unwrap();
        let mut moving = tokio::spawn(async move { mover.run().await.map(drop) });
        match hook.reached_or_passing(&mut moving).await {
            None => return (hook, moving),
            Some(error) => println!("again, since {error}"),
        }
    }
    panic!("the mover does not come to {point:?}");
}

/// Acknowledged is what the standby has, too, so nothing may be missing afterwards, wherever the slot is then.
pub(crate) async fn of_synchronous_standbys() {
    let mut world = World::start().await;
    let traffic = Traffic::start(&world.store, 4).await;
    sleep(Duration::from_millis(500)).await;
    for (point, source) in CELLS {
        let pair = Pair::make(&world, if source { world.owner } else { 1 - world.owner }, true).await;
        let (hook, moving) = parked(&world, point, World::options()).await;
        pair.freeze();
        hook.let_go();
        // Long enough to run into a commit that waits for the standby, for ever.
        sleep(Duration::from_millis(300)).await;
        pair.fail_over(&mut world);
        match moving.await.unwrap() {
            Ok(()) => world.owner = 1 - world.owner,
            Err(error) => {
                assert!(error.is_transient(), "{point:?}: {error:?}");
                let report = world.finish(world.pending().await).await;
                println!("{} lost at {point:?}, then {report:?}", if source { "source" } else { "destination" });
            }
        }
    }
    let ledgers = traffic.stop().await;
    let mut database = world.owner_admin().await;
    assert_whole(&mut database, SLOT, &ledgers).await;
}

/// R1: the source has committed the hand-over, and a promotion would take it back. Nobody acts on it, and after the promotion the source is the
/// owner as if nothing had been.
pub(crate) async fn that_lack_the_hand_over() {
    let mut world = World::start().await;
    let ann = sign_up_as(&*world.store, Cluster::user_on(1)).await;
    let room = group_as(&*world.store, World::room_in(SLOT), std::slice::from_ref(&ann)).await;
    for text in 0..20 {
        say(&*world.store, room, ann.id, &format!("text {text}")).await.unwrap();
    }
    let pair = Pair::make(&world, world.owner, false).await;
    let options = Options { standby_patience: Duration::from_secs(1), ..World::options() };
    let (hook, moving) = parked(&world, Point::Before(Step::Commit), options).await;
    pair.has_caught_up(&world).await;
    pair.freeze();
    hook.let_go();
    let refused = moving.await.unwrap();
    assert!(matches!(refused, Err(MoveError::Standby { .. })), "{refused:?}");
    assert_eq!(world.state(world.owner, SLOT).await.unwrap().0, "moved", "it was committed");
    assert_eq!(world.state(1 - world.owner, SLOT).await.unwrap().0, "importing", "and nobody acts on it");
    let early = say(&*world.store, room, ann.id, "a gateway, too, asks the standbys first").await;
    assert!(matches!(early, Err(StoreError::Unavailable { .. })), "{early:?}");
    assert_eq!(world.state(1 - world.owner, SLOT).await.unwrap().0, "importing", "whoever waits for the slot");
    pair.fail_over(&mut world);
    assert_eq!(world.state(world.owner, SLOT).await.unwrap().0, "fenced", "the promotion took it back");
    world.finish(world.pending().await).await;
    say(&*world.store, room, ann.id, "after all").await.unwrap();
    assert_eq!(world.store.room(room, ann.id).await.unwrap().last_seq, 21);
    let mut database = world.owner_admin().await;
    let rows: i64 =
        sqlx::query_scalar("select count(distinct seq) from chat.messages where slot = $1 and room_id = $2")
            .bind(SLOT)
            .bind(room.0)
            .fetch_one(&mut database)
            .await
            .unwrap();
    assert_eq!(rows, 21);
}
