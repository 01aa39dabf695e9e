//! What connects one gateway, from its start to its crash, with store and broker; faults happen here.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use chat_gateway::store::StoreError;
use rand::{RngExt as _, SeedableRng, rngs::StdRng};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Answers of the store that get lost after the work was done, in percent.
const ANSWERS_LOST: u32 = 1;

pub(crate) struct Line {
    /// The process is gone: whatever it still had under way has no effect any more.
    pub(crate) dead: CancellationToken,
    pub(crate) store_cut: AtomicBool,
    pub(crate) broker_cut: AtomicBool,
    dice: Mutex<StdRng>,
}

impl Line {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dead: CancellationToken::new(),
            store_cut: AtomicBool::new(false),
            broker_cut: AtomicBool::new(false),
            dice: Mutex::new(StdRng::seed_from_u64(seed)),
        }
    }

    /// Waits for ever in a process that is gone.
    pub(crate) async fn live(&self) {
        if self.dead.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&self, share: u32) -> bool {
        self.roll(0..100) < u64::from(share)
    }

    pub(crate) async fn dawdle(&self, up_to_ms: u64) {
        let pause = Duration::from_millis(self.roll(0..up_to_ms + 1));
        sleep(pause).await;
        self.live().await;
    }

    /// The way to the store.
    pub(crate) async fn to_store(&self) -> Result<(), StoreError> {
        self.dawdle(3).await;
        self.check_store("cut")
    }

    /// The way back; what was done stays done when it is lost.
    pub(crate) async fn back_from_store(&self) -> Result<(), StoreError> {
        self.dawdle(2).await;
        self.check_store("cut on the way back")?;
        if self.percent(ANSWERS_LOST) { Err(unavailable("the answer was lost")) } else { Ok(()) }
    }

    fn check_store(&self, cause: &str) -> Result<(), StoreError> {
        if self.store_cut.load(SeqCst) { Err(unavailable(cause)) } else { Ok(()) }
    }

    fn roll(&self, range: std::ops::Range<u64>) -> u64 {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).random_range(range)
    }
}

fn unavailable(cause: &str) -> StoreError {
    StoreError::Unavailable { shard: "simulated".to_owned(), cause: cause.to_owned() }
}
