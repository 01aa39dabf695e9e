//! Where cells are played: two servers, writers, a mover, and somebody who brings its move to an end.

use std::{collections::BTreeMap, time::Duration};

use chat_gateway::model::{RoomId, User};
use chat_gateway_config::GatewayConfig;
use chat_shard_mover::{MoveError, Mover, Options, Plan, Point, Shard};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rustix::process::Signal;
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::{
    task::{JoinHandle, block_in_place},
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{
    Cell, Fault,
    disk::Disk,
    network::Network,
    processes::{MoverRole, Process, WriterRole, is_of_cleaning},
};
use crate::{
    cluster::{admin_uri, admin_uri_at, gateway_uri},
    family::{family, kill_family, signal_to},
    fixtures::{group_as, say, sign_up_as},
    hook::Hook,
    ledger::{Ledger, complaints},
    proxy::{Proxy, Way},
    traffic::Traffic,
    world::{NAMES, SLOT, World},
};

/// How long anything may take on a busy machine before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// I9: how long a write may wait once both databases are up. 0.5 s by the fence and 1 s by the lock of a mover that does not move; the rest is for
/// a busy machine, and less than the 10 s of any session that is left open.
const ACCEPTED: Duration = Duration::from_secs(6);

pub(crate) struct Stage {
    world: World,
    // Behind the servers, which end first.
    disks: [Disk; 2],
    /// The ways of the movers, and those of writers in processes of their own.
    proxies: [[Proxy; 2]; 2],
    /// That of movers whose packets are lost.
    network: Network,
    config: GatewayConfig,
    /// All that was ever acknowledged here.
    ledgers: Vec<Ledger>,
}

/// The mover that suffers.
enum Moving {
    Process(Box<Process>),
    Task(Hook, JoinHandle<Result<(), MoveError>>),
}

/// A writer in a process of its own.
struct Writer {
    process: Process,
    room: RoomId,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let mut world = World::start().await;
        let network = block_in_place(Network::make);
        let [a, b] = &mut world.cluster.servers;
        // From the start on that the disks need.
        [&mut *a, &mut *b].into_iter().for_each(|server| server.listen_at(network.host(), &network.range()));
        let disks = block_in_place(|| [Disk::under(a), Disk::under(b)]);
        let [a, b] = [world.cluster.servers[0].port, world.cluster.servers[1].port];
        let pair = async || [Proxy::start(0, a).await, Proxy::start(0, b).await];
        let proxies = [pair().await, pair().await];
        let mut config = world.cluster.config.clone();
        for (index, name) in NAMES.iter().enumerate() {
            let uri = gateway_uri(proxies[1][index].port(), "gate%2Fway");
            config.database.shards[index].uri_file = world.cluster.uri_file(&format!("{name}-through-a-proxy"), &uri);
        }
        Self { world, disks, proxies, network, config, ledgers: Vec::new() }
    }

    /// One cell from its traffic to the verdict.
    pub(crate) async fn play(&mut self, cell: Cell) {
        let mut dice = StdRng::seed_from_u64(cell.seed);
        let Cell { fault, point, .. } = cell;
        let traffic = Traffic::start(&self.world.store, 3).await;
        let me = sign_up_as(&*self.world.store, World::user_in(SLOT)).await;
        let mut writer = if fault.is_of_writer() { Some(self.writer(&me).await) } else { None };
        let room = group_as(&*self.world.store, World::room_in(SLOT), std::slice::from_ref(&me)).await;
        let mut said = 0;
        sleep(Duration::from_millis(dice.random_range(20..150))).await;
        let (source, destination) = (self.world.owner, 1 - self.world.owner);
        let plan = World::plan();
        let mut moving = self.begin(plan, cell).await;
        let is_there = timeout(PATIENCE, moving.reached()).await.expect("the mover neither arrives nor ends");
        // A slot may be handed over before a single batch was drained.
        assert!(is_there || point == Point::Applied, "the mover was never at {point:?}");
        let own = (&me, room, &mut said);
        if dice.random() {
            moving.go().await;
            sleep(Duration::from_micros(dice.random_range(0..15_000))).await;
            self.suffer(fault, &mut moving, writer.as_mut(), own, &mut dice).await;
        } else {
            self.suffer_and_go(fault, &mut moving, writer.as_mut(), own, &mut dice).await;
        }
        // Whatever the mover has come to: both databases are up.
        self.accepts(&me, room).await;
        said += 1;
        let report = self.world.finish(plan).await;
        assert_eq!(self.world.owner, destination, "the slot has moved: {report:?}");
        self.let_wake(fault, &moving, source);
        timeout(PATIENCE, moving.ends()).await.expect("a mover whose work was done by another is stuck");
        if is_of_cleaning(point) {
            let (from, to) = (self.world.shard(source).await.unwrap(), self.world.shard(destination).await.unwrap());
            let mut cleaner = Mover::new(plan, from, to, World::options(), ()).await.unwrap();
            cleaner.clean(true).await.expect("another cleans up");
            assert!(self.world.rows(source, SLOT).await.is_empty(), "the source is clean");
        }
        self.accepts(&me, room).await;
        said += 1;
        self.ledgers.extend(traffic.stop().await);
        let mut database = self.world.owner_admin().await;
        let found = complaints(&mut database, SLOT, &self.ledgers).await;
        assert!(found.is_empty(), "{} complaints:\n{}", found.len(), found[..found.len().min(20)].join("\n"));
        assert_eq!(seqs(&mut database, room).await.len(), said, "texts of this cell's own");
        if let Some(writer) = writer {
            writer.verdict(&mut database).await;
        }
        let owned = self.world.state(destination, SLOT).await.unwrap();
        assert_eq!(owned.0, "owned");
    }

    async fn writer(&self, me: &User) -> Writer {
        let room = group_as(&*self.world.store, World::room_in(SLOT), std::slice::from_ref(me)).await;
        let role = WriterRole { config: self.config.clone(), room: room.0, user: me.id.0 };
        let mut process = Process::start("a_writer_in_a_process_of_its_own", &role);
        assert!(timeout(PATIENCE, process.says("reached")).await.expect("a writer starts"), "a writer starts");
        Writer { process, room }
    }

    /// Starts the mover that is going to suffer.
    async fn begin(&self, plan: Plan, cell: Cell) -> Moving {
        let Cell { fault, point, .. } = cell;
        let ends = [self.world.owner, 1 - self.world.owner];
        let uri = |index: usize| admin_uri(self.proxies[0][index].port());
        let cleans = is_of_cleaning(point);
        if fault.is_of_mover() {
            let there = |index: usize| {
                let port = self.world.cluster.servers[index].port;
                if fault.loss().is_some() { admin_uri_at(self.network.host(), port) } else { uri(index) }
            };
            let role = MoverRole {
                slot: SLOT,
                move_id: plan.move_id,
                chunk_rows: World::options().chunk_rows,
                shards: ends.map(|index| (NAMES[index].to_owned(), there(index))),
                point: format!("{point:?}"),
                jumps: fault == Fault::MoverClock,
                cleans,
            };
            let test = "a_mover_in_a_process_of_its_own";
            let process = match fault.loss() {
                Some(_) => Process::start_in(&self.network, test, &role),
                None => Process::start(test, &role),
            };
            return Moving::Process(Box::new(process));
        }
        let connect =
            async |index: usize| Shard::connect(NAMES[index], &uri(index).parse::<PgConnectOptions>().unwrap()).await;
        let (from, to) = (connect(ends[0]).await.unwrap(), connect(ends[1]).await.unwrap());
        let hook = Hook::park(point);
        let options = Options { standby_patience: Duration::from_secs(2), ..World::options() };
        let mut mover = Mover::new(plan, from, to, options, hook.clone()).await.unwrap();
        let task = tokio::spawn(async move {
            mover.run().await?;
            if cleans { mover.clean(true).await.map(drop) } else { Ok(()) }
        });
        Moving::Task(hook, task)
    }

    /// The fault first, and the mover goes on into it.
    async fn suffer_and_go(
        &mut self,
        fault: Fault,
        moving: &mut Moving,
        writer: Option<&mut Writer>,
        own: (&User, RoomId, &mut usize),
        dice: &mut StdRng,
    ) {
        if let Moving::Task(hook, _) = &*moving {
            // A little into the fault, which lasts longer than that.
            let hook = hook.clone();
            tokio::spawn(async move {
                sleep(Duration::from_millis(30)).await;
                hook.let_go();
            });
        }
        self.suffer(fault, moving, writer, own, dice).await;
        if let Moving::Process(process) = moving {
            process.go().await;
        }
    }

    /// What goes wrong, and all of its end that does not wait for the move's.
    async fn suffer(
        &mut self,
        fault: Fault,
        moving: &mut Moving,
        writer: Option<&mut Writer>,
        (me, room, said): (&User, RoomId, &mut usize),
        dice: &mut StdRng,
    ) {
        let (source, destination) = (self.world.owner, 1 - self.world.owner);
        // Shorter than a fence, or longer.
        let lasts = Duration::from_millis(dice.random_range(100..900));
        match fault {
            Fault::MoverKilled => moving.signal(Signal::KILL),
            Fault::MoverStopped => {
                moving.signal(Signal::STOP);
                sleep(lasts).await;
            }
            // It does so by itself.
            Fault::MoverClock => {}
            Fault::WriterKilled => writer.expect("a writer").process.signal(Signal::KILL),
            Fault::WriterStopped => {
                let writer = writer.expect("a writer");
                writer.process.signal(Signal::STOP);
                sleep(lasts).await;
                writer.process.signal(Signal::CONT);
            }
            Fault::WriterCut => {
                self.proxies[1].iter().for_each(|proxy| proxy.cut_after(Way::ToServer, 0));
                sleep(Duration::from_millis(100)).await;
            }
            Fault::SourceKilled => self.kill_server(source),
            Fault::DestinationKilled => self.kill_server(destination),
            Fault::SourceStopped => self.stop_server(source, lasts).await,
            Fault::DestinationStopped => self.stop_server(destination, lasts).await,
            Fault::DestinationFull => {
                block_in_place(|| self.disks[destination].fill());
                sleep(lasts).await;
                self.disks[destination].relieve();
            }
            Fault::SourceReset => self.proxies[0][source].cut_after(Way::ToServer, 0),
            Fault::DestinationReset => self.proxies[0][destination].cut_after(Way::ToServer, 0),
            Fault::SourceUnheard | Fault::SourceSilent | Fault::DestinationUnheard | Fault::DestinationSilent => {
                let at = if matches!(fault, Fault::SourceUnheard | Fault::SourceSilent) { source } else { destination };
                self.proxies[0][at].pace(way(fault), Some(0));
                sleep(lasts).await;
            }
            Fault::LossToSource
            | Fault::LossFromSource
            | Fault::LossAtSource
            | Fault::LossToDestination
            | Fault::LossFromDestination
            | Fault::LossAtDestination => {
                let (loss, of_source) = fault.loss().expect("a loss");
                let port = self.world.cluster.servers[if of_source { source } else { destination }].port;
                block_in_place(|| self.network.lose(loss, port));
                sleep(lasts).await;
                // Or until another mover has done the work.
                if dice.random() {
                    block_in_place(|| self.network.heal());
                }
            }
            Fault::SourceLocked => self.hold_lock(source, lasts).await,
            Fault::DestinationLocked => self.hold_lock(destination, lasts).await,
            Fault::LongTransaction => {
                *said += usize::from(self.long_transaction(source, me, room, lasts).await);
            }
        }
    }

    /// The end of what lasts until another mover has done the work.
    fn let_wake(&self, fault: Fault, moving: &Moving, source: usize) {
        match fault {
            Fault::MoverStopped => moving.signal(Signal::CONT),
            Fault::SourceUnheard | Fault::SourceSilent => self.proxies[0][source].pace(way(fault), None),
            Fault::DestinationUnheard | Fault::DestinationSilent => self.proxies[0][1 - source].pace(way(fault), None),
            _ if fault.loss().is_some() => {
                block_in_place(|| self.network.heal());
            }
            _ => {}
        }
    }

    fn kill_server(&mut self, index: usize) {
        block_in_place(|| {
            let server = &mut self.world.cluster.servers[index];
            let mut first = server.process.take().expect("a server that runs");
            kill_family(first.id());
            first.wait().expect("it ends");
            server.resume();
        });
    }

    async fn stop_server(&self, index: usize, lasts: Duration) {
        let first = self.world.cluster.servers[index].process.as_ref().expect("a server that runs").id();
        signal_to(first, Signal::STOP);
        let all = family(first);
        all.iter().for_each(|pid| signal_to(*pid, Signal::STOP));
        sleep(lasts).await;
        all.iter().for_each(|pid| signal_to(*pid, Signal::CONT));
    }

    async fn hold_lock(&self, index: usize, lasts: Duration) {
        let mut admin = self.world.cluster.admin(index).await;
        let mut holding = admin.begin().await.unwrap();
        sqlx::query("select pg_advisory_xact_lock($1, $2)")
            .bind(chat_shards::SLOT_LOCK_CLASS)
            .bind(SLOT)
            .execute(&mut *holding)
            .await
            .unwrap();
        sleep(lasts).await;
        holding.rollback().await.unwrap();
    }

    /// Whether its text was accepted; a slot that has just moved takes none.
    async fn long_transaction(&self, source: usize, me: &User, room: RoomId, lasts: Duration) -> bool {
        let mut admin = self.world.cluster.admin(source).await;
        let mut long = admin.begin().await.unwrap();
        let sent = sqlx::query("select * from chat.send_message($1, $2, $3, $4, 'late', $5)")
            .bind(SLOT)
            .bind(room.0)
            .bind(Uuid::now_v7())
            .bind(me.id.0)
            .bind(Uuid::now_v7())
            .execute(&mut *long)
            .await;
        sleep(lasts).await;
        sent.is_ok() && long.commit().await.is_ok()
    }

    /// I9.
    async fn accepts(&self, me: &User, room: RoomId) {
        let started = Instant::now();
        while let Err(error) = say(&*self.world.store, room, me.id, "is anybody there?").await {
            assert!(started.elapsed() < ACCEPTED, "no write is accepted: {error}");
            sleep(Duration::from_millis(20)).await;
        }
        assert!(started.elapsed() < ACCEPTED, "a write waited {:?}", started.elapsed());
    }
}

impl Moving {
    /// Waits until it is at its point; false when it ended before.
    async fn reached(&mut self) -> bool {
        match self {
            Self::Process(process) => process.says("reached").await,
            Self::Task(hook, task) => loop {
                tokio::select! {
                    () = hook.reached() => return true,
                    () = sleep(Duration::from_millis(20)) => if task.is_finished() { return hook.was_reached() },
                }
            },
        }
    }

    async fn go(&mut self) {
        match self {
            Self::Process(process) => process.go().await,
            Self::Task(hook, _) => hook.let_go(),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Self::Process(process) = self {
            process.signal(signal);
        }
    }

    /// Its end, which may be a failure that passes or a refusal, and no other.
    async fn ends(self) {
        match self {
            Self::Process(process) => {
                let lines = process.rest().await;
                assert!(!lines.iter().any(|line| line.starts_with("wrong")), "{lines:?}");
            }
            Self::Task(_, task) => match task.await.unwrap() {
                Ok(()) => {}
                Err(error) => {
                    let is_known = error.is_transient() || matches!(error, MoveError::Refused { .. });
                    assert!(is_known, "{error:?}");
                }
            },
        }
    }
}

impl Writer {
    /// All that was answered is there, and nothing else than what was tried.
    async fn verdict(self, database: &mut PgConnection) {
        self.process.signal(Signal::KILL);
        let lines = self.process.rest().await;
        let stored = seqs(database, self.room).await;
        let mut tried = Vec::new();
        let mut sent = 0;
        for line in &lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["try", id] => tried.push(id.parse::<Uuid>().unwrap()),
                ["sent", id, seq] => {
                    sent += 1;
                    let at = stored.get(&seq.parse::<i64>().unwrap());
                    assert_eq!(at, Some(&id.parse::<Uuid>().unwrap()), "what a process was answered at {seq}");
                }
                ["wrong", ..] => panic!("{line}"),
                _ => {}
            }
        }
        assert!(sent > 0, "the writer has sent something: {lines:?}");
        assert!(stored.keys().copied().eq(1..=stored.len() as i64), "there is a gap");
        assert!(stored.values().all(|id| tried.contains(id)), "nobody has sent this");
        assert!(
            stored.values().collect::<std::collections::BTreeSet<_>>().len() == stored.len(),
            "an id is there twice"
        );
    }
}

async fn seqs(database: &mut PgConnection, room: RoomId) -> BTreeMap<i64, Uuid> {
    let rows: Vec<(i64, Uuid)> =
        sqlx::query_as("select seq, message_id from chat.messages where slot = $1 and room_id = $2")
            .bind(SLOT)
            .bind(room.0)
            .fetch_all(database)
            .await
            .unwrap();
    rows.into_iter().collect()
}

/// Which way a network is held up.
fn way(fault: Fault) -> Way {
    if matches!(fault, Fault::SourceUnheard | Fault::DestinationUnheard) { Way::ToServer } else { Way::ToGateway }
}
