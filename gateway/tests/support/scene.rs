//! Two people on two gateways with rooms between them, who chat while things break.

use std::time::{Duration, Instant};

use chat_test_client::{Account, Addresses, Client, ClientConfig, Ledger, accounts, load};
use uuid::Uuid;

use super::stage::{BrokerService, Gateway, Stage};

/// Time for what takes a moment on an idle machine.
pub const MINUTE: Duration = Duration::from_secs(60);

/// Two people on two gateways, with rooms between them.
pub struct Scene<B> {
    pub stage: Stage<B>,
    pub a: Gateway,
    pub b: Gateway,
    pub ledger: Ledger,
    pub alice: Client,
    pub bob: Client,
    pub alice_home: Addresses,
    pub bob_home: Addresses,
    pub rooms: Vec<Uuid>,
}

/// The account of this name, made when there is none.
pub async fn account(gateway: &Gateway, name: &str) -> Account {
    let addresses = Addresses::new(vec![gateway.address.clone()]);
    accounts::enter(&addresses, name, "a good password", MINUTE).await.unwrap()
}

async fn client(name: &str, home: &Gateway, other: &Gateway, ledger: &Ledger) -> (Client, Addresses) {
    let addresses = Addresses::new(vec![home.address.clone(), other.address.clone()]);
    let config = ClientConfig::new(account(home, name).await, addresses.clone(), ledger.clone());
    (Client::start(config).await.unwrap(), addresses)
}

impl<B: BrokerService> Scene<B> {
    /// Starts everything, and lets both hear of all rooms.
    pub async fn open() -> Self {
        let stage = Stage::start().await;
        let (a, b) = tokio::join!(stage.ready_gateway("gateway-a"), stage.ready_gateway("gateway-b"));
        let ledger = Ledger::new();
        let (alice, alice_home) = client("alice", &a, &b, &ledger).await;
        let (bob, bob_home) = client("bob", &b, &a, &ledger).await;
        assert_eq!(alice.standing().gateway.as_deref(), Some("gateway-a"));
        assert_eq!(bob.standing().gateway.as_deref(), Some("gateway-b"));
        let mut rooms = Vec::new();
        for n in 0..8 {
            let room = alice.create_room("group", &format!("room {n}"), &["bob".into()]).await.unwrap();
            ledger.expect_member(alice.id(), room.id);
            ledger.expect_member(bob.id(), room.id);
            assert!(bob.wait_position(room.id, 0, MINUTE).await, "bob hears of the room");
            rooms.push(room.id);
        }
        Self { stage, a, b, ledger, alice, bob, alice_home, bob_home, rooms }
    }

    /// Both send while `trouble` happens in the middle; then everyone must have everything.
    pub async fn chat(
        &mut self,
        what: &str,
        messages: u64,
        trouble: impl AsyncFnOnce(&mut Stage<B>, &mut Gateway, &mut Gateway),
    ) {
        let load = load::Load { messages, in_flight: 8, body_bytes: 100, per_second: 200 };
        let progress = load::Progress::default();
        let clients = [&self.alice, &self.bob];
        let sending = load::run(&clients, &self.rooms, load, &progress);
        let breaking = async {
            progress.reach(messages / 4).await;
            trouble(&mut self.stage, &mut self.a, &mut self.b).await;
            Instant::now()
        };
        let (report, over) = tokio::join!(async { (sending.await, Instant::now()) }, breaking);
        let (report, sent) = report;
        let report = report.unwrap_or_else(|error| panic!("{what}: {error}\n{}\n{}", self.a.log(), self.b.log()));
        let behind = load::settle(&clients, &report, MINUTE).await;
        assert!(behind.is_empty(), "{what}: {behind:?}");
        assert_eq!(report.acked, messages);
        println!(
            "{what}: {messages} acknowledged in {:?}; to `sent` p50 {:?}, p99 {:?}; everyone has all {:?} after the trouble and the load",
            report.took,
            report.percentile(50),
            report.percentile(99),
            over.max(sent).elapsed()
        );
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
