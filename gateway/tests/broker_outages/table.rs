//! One column of the table: a scene over one broker, and what came of each fault.

use std::time::Duration;

use crate::{
    fault::Fault,
    suffers::Suffers,
    support::{
        behind::Behind,
        scene::{Scene, Talk},
        stage::Gateway,
        told::Told,
    },
};

/// By how much a gateway may grow, whatever is said: what it passes on at the time, and what it reads from the store for who is behind. Texts
/// that add up to more than this, as in the long form, are what shows that it holds.
const GROWTH: u64 = 64 * 1024 * 1024;

/// See the module's documentation.
pub(crate) struct Table<B> {
    pub(crate) scene: Scene<Behind<B>>,
    rows: Vec<Told>,
}

impl<B: Suffers> Table<B> {
    /// Starts everything.
    pub(crate) async fn open() -> Self {
        Self { scene: Scene::open().await, rows: Vec::new() }
    }

    /// Lets all that befalls every broker befall this one.
    pub(crate) async fn every_fault(&mut self) {
        for fault in Fault::ALL {
            self.befall(fault.name(), fault.talk(), async |broker, gateways| fault.befall(broker, gateways).await)
                .await;
        }
    }

    /// Adds a row: people chat while something befalls the broker.
    pub(crate) async fn befall(
        &mut self,
        what: &str,
        talk: Talk,
        trouble: impl AsyncFnOnce(&Behind<B>, [&Gateway; 2]),
    ) {
        let row = format!("{}, {what}", B::NAME);
        let told = self.scene.talk(&row, talk, async |stage, a, b| trouble(&stage.broker, [&*a, &*b]).await).await;
        assert!(told.growth.iter().all(|growth| *growth < GROWTH), "{told}");
        self.rows.push(told);
    }

    /// Nothing is lost, doubled, reordered or told to others, and both gateways lived through it all.
    pub(crate) fn all_is_well(&self) {
        self.rows.iter().for_each(|row| println!("{row}"));
        let acked = self.rows.iter().map(|row| row.acked).sum();
        self.scene.ledger.verify().assert_clean(acked);
        let homes =
            [(&self.scene.alice, "gateway-a"), (&self.scene.bob, "gateway-b"), (&self.scene.carol, "gateway-b")];
        for (client, home) in homes {
            assert_eq!(client.standing().gateway.as_deref(), Some(home), "it stayed up");
        }
        let slowest = self.rows.iter().map(|row| row.catch_up).max().unwrap_or(Duration::ZERO);
        println!("{}: everyone had all {slowest:?} after the worst of it", B::NAME);
        self.scene.nothing_secret_was_logged();
    }
}
