//! The course of an upgrade that is taken back and made again, while people chat.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use chat_gateway_config::Tracing;
use chat_shards::SCHEMA_VERSION;
use chat_test_client::{Client, HistoryRange, accounts, socket, wire::Body};
use serde_json::json;

use crate::{
    catalog,
    exchange::exchange,
    support::{
        baseline::{baseline, program},
        collector::{Collector, Manner},
        eventually,
        scene::{MINUTE, Scene},
        stage::{BrokerService, Gateway, PROGRAM, Stage, text},
    },
};

/// Texts that each gateway hears from the other one, one by one.
const TURNS: u64 = 10;

const SHARDS: [&str; 2] = ["shard_a", "shard_b"];

/// See the module's documentation.
pub(crate) struct Course<B> {
    scene: Scene<B>,
    before: PathBuf,
    /// Takes the traces of today's gateways, which trace every message: the version before has to read what they tell each other then.
    collector: Collector,
}

impl<B: BrokerService> Course<B> {
    /// The version before makes the schema and serves it, alone.
    pub(crate) async fn begin() -> Self {
        let (stage, before) = (Stage::<B>::unmigrated().await, program());
        succeeds(&stage.migrate(&before));
        for shard in SHARDS {
            assert_eq!(catalog::version(&stage.postgres, shard), baseline().schema, "as baseline/version.json says");
        }
        let [a, b] = ["old-1", "old-2"].map(|name| stage.gateway_of(&before, name, &stage.config()));
        tokio::join!(a.wait_ready(), b.wait_ready());
        let collector = Collector::start(Manner::Takes).await;
        Self { scene: Scene::on(stage, a, b).await, before, collector }
    }

    /// A gateway of today that is ready.
    pub(crate) async fn start_new(&self, name: &str) -> Gateway {
        let gateway = self.start_traced(name);
        gateway.wait_ready().await;
        gateway
    }

    fn start_traced(&self, name: &str) -> Gateway {
        let mut config = self.scene.stage.config();
        let endpoint = self.collector.endpoint.parse().unwrap();
        config.tracing = Some(Tracing { endpoint, sampling_rate_per_million: 1_000_000 });
        self.scene.stage.gateway_with(name, &config)
    }

    /// A gateway of the version before that is ready.
    async fn start_old(&self, name: &str) -> Gateway {
        let stage = &self.scene.stage;
        let gateway = stage.gateway_of(&self.before, name, &stage.config());
        gateway.wait_ready().await;
        gateway
    }

    /// A gateway of today that starts before the schema is its own serves nobody and says why; the others go on. It is returned as it is.
    pub(crate) async fn a_new_gateway_comes_too_early(&mut self) -> Gateway {
        let early = self.start_traced("new-1");
        let alice = self.scene.alice.account().clone();
        let outdated = format!("schema version {}, this gateway needs {SCHEMA_VERSION}", baseline().schema);
        self.scene
            .chat("a new gateway waits for its schema", 100, async |_, _, _| {
                eventually("it says what is missing", MINUTE, async || {
                    early.admin("/readyz", None).await.1.contains(&outdated)
                })
                .await;
                assert_eq!(early.admin("/readyz", None).await.0, 503);
                let stats = early.stats().await;
                assert!(stats.shards.iter().all(|shard| shard.component.reason == "SchemaOutdated"), "{stats:?}");
                // Whoever comes all the same is sent away for the moment, and not told something wrong.
                let credentials = json!({ "name": "alice", "password": "a good password" });
                let (status, answer) = accounts::post(&early.address, "/v1/sign-in", None, &credentials).await.unwrap();
                assert_eq!(status.as_u16(), 503, "{answer:?}");
                let greeting = socket::greet(&early.address, &alice.token).await;
                let Ok((Body::Error(refusal), Some(1012))) = &greeting else { panic!("{greeting:?}") };
                assert_eq!(refusal.code, "unavailable", "{refusal:?}");
            })
            .await;
        early
    }

    /// The schema is expanded under the gateways of the version before. All that they call is still there, and the new gateway begins to serve.
    pub(crate) async fn the_schema_is_expanded(&mut self, early: &Gateway) {
        let before = SHARDS.map(|shard| catalog::callable(&self.scene.stage.postgres, shard));
        self.scene
            .chat("the schema is expanded", 400, async |stage, _, _| succeeds(&stage.migrate(PROGRAM.as_ref())))
            .await;
        let postgres = &self.scene.stage.postgres;
        for (shard, before) in SHARDS.into_iter().zip(before) {
            assert_eq!(catalog::version(postgres, shard), SCHEMA_VERSION);
            let now = catalog::callable(postgres, shard);
            let missing: Vec<_> = before.iter().filter(|function| !now.contains(function)).collect();
            assert!(missing.is_empty(), "gateways of the version before call what is gone: {missing:?}");
        }
        early.wait_ready().await;
    }

    /// Bob and Carol go on at this gateway, when theirs drains.
    pub(crate) async fn second_is_replaced(&mut self, what: &str, by: Gateway) {
        for home in &self.scene.homes[1..] {
            home.set(vec![by.address.clone()]);
        }
        self.scene
            .chat(what, 300, async |_, _, b| {
                b.process.signal("TERM");
                assert_eq!(b.process.wait(), Some(0), "{}", b.log());
            })
            .await;
        self.scene.b = by;
        for person in [&self.scene.bob, &self.scene.carol] {
            on(person, &self.scene.b);
        }
        on(&self.scene.alice, &self.scene.a);
    }

    /// People on both gateways chat; each understands what the other one publishes.
    pub(crate) async fn side_by_side(&mut self, what: &str) {
        self.in_turn(what).await;
        self.scene.chat(what, 400, async |_, _, _| {}).await;
        for gateway in [&self.scene.a, &self.scene.b] {
            assert!(!gateway.log().contains("is no envelope"), "{}", gateway.log());
        }
    }

    /// Everything that can be said is said from each gateway to the other.
    pub(crate) async fn everything_is_said(&self) {
        let Scene { a, b, .. } = &self.scene;
        tokio::join!(exchange("one", a, b), exchange("two", b, a));
    }

    /// Alice and Bob speak in turn, each after hearing the other. What comes then comes by the broker: a gateway that did not understand what the other
    /// one publishes would fetch it from the store some moments later, and nobody would miss anything.
    async fn in_turn(&self, what: &str) {
        let Scene { alice, bob, rooms, .. } = &self.scene;
        let before = self.backfilled().await;
        for turn in 0..2 * TURNS {
            let (speaker, listener) = if turn % 2 == 0 { (alice, bob) } else { (bob, alice) };
            let said = speaker.send(rooms[0], "your turn").await.unwrap();
            assert!(listener.wait_position(rooms[0], said.seq, MINUTE).await, "{what}: turn {turn}");
        }
        for (before, now) in before.into_iter().zip(self.backfilled().await) {
            assert!(now - before < TURNS / 2, "{what}: {} of {TURNS} came from the store", now - before);
        }
    }

    /// Messages that each gateway fetched from the store, since the broker did not bring them.
    async fn backfilled(&self) -> [u64; 2] {
        let (a, b) = tokio::join!(self.scene.a.stats(), self.scene.b.stats());
        [a, b].map(|stats| stats.messages.backfilled)
    }

    /// Alice's gateway dies: she goes on at the other one, which brings what the dead one did not.
    pub(crate) async fn first_dies(&mut self, what: &str) {
        self.scene.homes[0].set(vec![self.scene.b.address.clone()]);
        self.scene.chat(what, 300, async |_, a, _| a.process.kill()).await;
        on(&self.scene.alice, &self.scene.b);
    }

    /// Gateways of the version before start on today's schema, and that of today dies.
    pub(crate) async fn it_is_taken_back(&mut self) {
        let (a, b) = tokio::join!(self.start_old("old-3"), self.start_old("old-4"));
        let homes = [&a, &b, &b].map(|gateway| gateway.address.clone());
        for (home, address) in self.scene.homes.iter().zip(homes) {
            home.set(vec![address]);
        }
        self.scene.a = a;
        self.scene.chat("it is taken back", 300, async |_, _, b| b.process.kill()).await;
        self.scene.b = b;
        on(&self.scene.alice, &self.scene.a);
        on(&self.scene.bob, &self.scene.b);
        self.side_by_side("the version before on today's schema").await;
    }

    /// Whoever migrates what is newer than itself changes nothing; today's program says so as well.
    pub(crate) fn migrating_backwards_changes_nothing(&self) {
        let Stage { postgres, .. } = &self.scene.stage;
        self.migrate_without_a_trace(&self.before);
        for shard in SHARDS {
            let newer = "insert into chat.migrations (version, description, success, checksum, execution_time) values (9999, 'newer', true, '', 0)";
            postgres.query(shard, newer);
        }
        let said = self.migrate_without_a_trace(PROGRAM.as_ref());
        assert_eq!(said.matches("left as it is").count(), SHARDS.len(), "{said}");
        for shard in SHARDS {
            postgres.query(shard, "delete from chat.migrations where version = 9999");
        }
    }

    /// What a program says that migrates, and changes nothing.
    fn migrate_without_a_trace(&self, program: &Path) -> String {
        let stage = &self.scene.stage;
        let before = SHARDS.map(|shard| catalog::everything(&stage.postgres, shard));
        assert!(before.iter().all(|lines| lines.len() > 100), "{before:?}");
        let migrated = stage.migrate(program);
        succeeds(&migrated);
        for (shard, before) in SHARDS.into_iter().zip(before) {
            assert_eq!(catalog::everything(&stage.postgres, shard), before, "{shard} by {}", program.display());
        }
        format!("{}{}", text(&migrated.stdout), text(&migrated.stderr))
    }

    /// Both gateways tell the same of all that was said, and nothing was lost, doubled or reordered.
    pub(crate) async fn all_is_there(&self) {
        let Scene { ledger, rooms, alice, bob, .. } = &self.scene;
        for room in rooms {
            let (ones, others) = tokio::join!(log(alice, *room), log(bob, *room));
            assert!(ones == others, "the gateways tell different things of {room}");
            assert_eq!(Some(ones.len() as u64), alice.position(*room));
        }
        let verdict = ledger.verify();
        verdict.assert_clean(2_000);
        println!("{verdict}");
        let traced = self.collector.spans().into_iter().filter(|recorded| recorded.span.name == "publish");
        assert!(traced.count() > 100, "the version before was told of traced messages");
        self.scene.nothing_secret_was_logged();
    }
}

/// All of a room's log.
async fn log(client: &Client, room: uuid::Uuid) -> Vec<chat_test_client::wire::Message> {
    let mut all = Vec::new();
    loop {
        let (page, more) = client.history(room, HistoryRange::After(all.len() as u64)).await.unwrap();
        all.extend(page);
        if !more {
            return all;
        }
    }
}

fn on(person: &Client, gateway: &Gateway) {
    assert_eq!(person.standing().gateway.as_deref(), Some(gateway.name.as_str()), "{}", person.account().user.name);
}

fn succeeds(migrated: &Output) {
    assert!(migrated.status.success(), "{}{}", text(&migrated.stdout), text(&migrated.stderr));
}
