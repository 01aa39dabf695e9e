//! Three people on two gateways with rooms between them, who chat while things break.

use std::time::{Duration, Instant};

use chat_test_client::{
    Account, Addresses, Client, ClientConfig, Ledger, accounts,
    load::{self, LoadReport},
};
use uuid::Uuid;

use super::{
    memory::{MemoryWatch, resident},
    stage::{BrokerService, Gateway, Stage},
    told::Told,
};

/// Time for what takes a moment on an idle machine.
pub const MINUTE: Duration = Duration::from_secs(60);

/// Rooms in which Alice and Bob are, and those of them in which Carol is, too.
const ROOMS: usize = 8;
const CAROLS_ROOMS: usize = 4;

/// Bytes of a short text, and of a long one, which a cluster must be told to allow: many bytes for little work.
const SHORT: usize = 100;
const LONG: usize = 40 * 1024;

/// Alice and Carol, and Bob, on two gateways. Alice and Bob share all rooms, Carol is in half of them, and nobody may tell her of the others.
pub struct Scene<B> {
    pub stage: Stage<B>,
    pub a: Gateway,
    pub b: Gateway,
    pub ledger: Ledger,
    pub alice: Client,
    pub bob: Client,
    pub carol: Client,
    /// Where Alice, Bob and Carol connect next.
    pub homes: Vec<Addresses>,
    /// What the gateways took before anything was said.
    memory: [u64; 2],
    pub rooms: Vec<Uuid>,
}

/// What is said while something happens.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    /// Short texts of Alice and Bob together.
    pub short: u64,
    /// Short texts a second.
    pub per_second: u32,
    /// Long texts of Alice, side by side with the short ones: all of them pass through both gateways.
    pub long: u64,
    /// Long texts a second.
    pub pace: u32,
}

impl Talk {
    /// Short texts only, at a brisk pace.
    pub const fn short(short: u64) -> Self {
        Self { short, per_second: 200, long: 0, pace: 0 }
    }
}

/// The account of this name, made when there is none.
pub async fn account(gateway: &Gateway, name: &str) -> Account {
    let addresses = Addresses::new(vec![gateway.address.clone()]);
    accounts::enter(&addresses, name, "a good password", MINUTE).await.unwrap()
}

async fn client(name: &str, home: &Gateway, other: &Gateway, ledger: &Ledger) -> (Client, Addresses) {
    let addresses = Addresses::new(vec![home.address.clone(), other.address.clone()]);
    let config = ClientConfig::new(account(home, name).await, addresses.clone(), ledger.clone());
    let client = Client::start(config).await.unwrap();
    assert_eq!(client.standing().gateway.as_deref(), Some(home.name.as_str()));
    (client, addresses)
}

impl<B: BrokerService> Scene<B> {
    /// Starts everything, and lets everybody hear of their rooms.
    pub async fn open() -> Self {
        let stage = Stage::start().await;
        let (a, b) = tokio::join!(stage.ready_gateway("gateway-a"), stage.ready_gateway("gateway-b"));
        Self::on(stage, a, b).await
    }

    /// The same with two gateways that are ready.
    pub async fn on(stage: Stage<B>, a: Gateway, b: Gateway) -> Self {
        let ledger = Ledger::new();
        let ((alice, alices), (bob, bobs), (carol, carols)) = tokio::join!(
            client("alice", &a, &b, &ledger),
            client("bob", &b, &a, &ledger),
            client("carol", &b, &a, &ledger)
        );
        let mut rooms = Vec::new();
        for n in 0..ROOMS {
            let others: &[String] = if n < CAROLS_ROOMS { &["bob".into(), "carol".into()] } else { &["bob".into()] };
            let room = alice.create_room("group", &format!("room {n}"), others).await.unwrap();
            ledger.expect_member(alice.id(), room.id);
            ledger.expect_member(bob.id(), room.id);
            assert!(bob.wait_position(room.id, 0, MINUTE).await, "bob hears of the room");
            if n < CAROLS_ROOMS {
                ledger.expect_member(carol.id(), room.id);
                assert!(carol.wait_position(room.id, 0, MINUTE).await, "carol hears of the room");
            } else {
                ledger.expect_stranger(carol.id(), room.id);
            }
            rooms.push(room.id);
        }
        let (homes, memory) = (vec![alices, bobs, carols], [&a, &b].map(|gateway| resident(&gateway.process)));
        Self { stage, a, b, ledger, alice, bob, carol, homes, memory, rooms }
    }

    /// Tells everybody where the gateways of now are; those that they knew are gone.
    pub fn gateways_changed(&self) {
        for home in &self.homes {
            home.set(vec![self.a.address.clone(), self.b.address.clone()]);
        }
    }

    /// Alice and Bob send short texts while `trouble` happens in the middle; then everyone must have everything.
    pub async fn chat(
        &mut self,
        what: &str,
        messages: u64,
        trouble: impl AsyncFnOnce(&mut Stage<B>, &mut Gateway, &mut Gateway),
    ) -> Told {
        self.talk(what, Talk::short(messages), trouble).await
    }

    /// As [`Scene::chat`], with long texts beside the short ones.
    pub async fn talk(
        &mut self,
        what: &str,
        talk: Talk,
        trouble: impl AsyncFnOnce(&mut Stage<B>, &mut Gateway, &mut Gateway),
    ) -> Told {
        let memory = [&self.a, &self.b].map(|gateway| MemoryWatch::start(&gateway.process));
        let short = load::Load { messages: talk.short, in_flight: 8, body_bytes: SHORT, per_second: talk.per_second };
        let long = load::Load { messages: talk.long, in_flight: 8, body_bytes: LONG, per_second: talk.pace };
        let (progress, beside) = (load::Progress::default(), load::Progress::default());
        let clients = [&self.alice, &self.bob];
        let sending = async {
            let both = load::run(&clients, &self.rooms, short, &progress);
            let outcome = futures::future::try_join(both, load::run(&clients[..1], &self.rooms, long, &beside)).await;
            (outcome, Instant::now())
        };
        let breaking = async {
            progress.reach(talk.short / 4).await;
            trouble(&mut self.stage, &mut self.a, &mut self.b).await;
            Instant::now()
        };
        let ((outcome, sent), over) = tokio::join!(sending, breaking);
        let (report, long) =
            outcome.unwrap_or_else(|error| panic!("{what}: {error}\n{}\n{}", self.a.log(), self.b.log()));
        let behind = self.settle([&report, &long]).await;
        assert!(behind.is_empty(), "{what}: {behind:?}");
        let catch_up = over.max(sent).elapsed();
        assert_eq!((report.acked, long.acked), (talk.short, talk.long));
        let (p50, p99) = (report.percentile(50), report.percentile(99));
        let verdict = self.ledger.verify();
        assert!(verdict.is_clean(), "{what}\n{verdict}");
        let told = Told {
            what: what.to_owned(),
            acked: talk.short + talk.long,
            long_bytes: talk.long * LONG as u64,
            verdict,
            catch_up,
            growth: [0, 1].map(|n: usize| memory[n].peak().saturating_sub(self.memory[n])),
        };
        println!("{told}; sent in {:?}, to `sent` p50 {p50:?}, p99 {p99:?}", report.took.max(long.took));
        told
    }

    /// Waits until everybody has everything that these reports tell of in their rooms; who has not within a minute.
    async fn settle(&self, reports: [&LoadReport; 2]) -> Vec<String> {
        let mut behind = Vec::new();
        for report in reports {
            behind.extend(load::settle(&[&self.alice, &self.bob], report, MINUTE).await);
            let mut carols = report.clone();
            carols.last_seq.retain(|room, _| self.rooms[..CAROLS_ROOMS].contains(room));
            behind.extend(load::settle(&[&self.carol], &carols, MINUTE).await);
        }
        behind
    }

    /// Looks through the logs of both gateways for what must not be there.
    pub fn nothing_secret_was_logged(&self) {
        for gateway in [&self.a, &self.b] {
            let log = gateway.log();
            for secret in [
                "a good password",
                "gateway-password",
                "secret@",
                "guest:guest",
                "BEGIN PRIVATE",
                "admin-token\"",
                "eyJ",
                "xxxxxxxx",
            ] {
                assert!(!log.contains(secret), "{secret} is logged by {}", gateway.name);
            }
        }
    }
}
