//! A broker that loses, repeats and reorders what it confirmed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chat_gateway::broker::{Broker, BrokerError, BrokerState, Key, MemoryBroker};
use tokio::sync::watch;

/// How often each fault happens, in percent of publishes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u32,
    pub(crate) repeated: u32,
    pub(crate) delayed: u32,
}

/// Switches shared by the brokers of a world.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    /// Publishes wait for ever.
    pub(crate) stuck: AtomicBool,
    /// What tells of a removal is confirmed and lost.
    pub(crate) removals_lost: AtomicBool,
    /// Publishes so far.
    pub(crate) publishes: AtomicU32,
}

pub(crate) struct FaultyBroker {
    pub(crate) inner: Arc<MemoryBroker>,
    pub(crate) faults: Faults,
    pub(crate) switches: Arc<Switches>,
}

#[async_trait]
impl Broker for FaultyBroker {
    async fn publish(&self, key: Key, body: Bytes) -> Result<(), BrokerError> {
        self.switches.publishes.fetch_add(1, Ordering::SeqCst);
        if self.switches.stuck.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let tells_of_removal = || {
            let body = String::from_utf8_lossy(&body);
            ["room_removed", "member_removed"].iter().any(|kind| body.contains(kind))
        };
        if self.switches.removals_lost.load(Ordering::SeqCst) && tells_of_removal() {
            return Ok(());
        }
        let dice = rand::random_range(0..100);
        let Faults { lost, repeated, delayed } = self.faults;
        if dice < lost {
            return Ok(());
        }
        if dice < lost + repeated {
            self.inner.publish(key, body.clone()).await?;
        } else if dice < lost + repeated + delayed {
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(rand::random_range(1..40))).await;
                let _ = inner.publish(key, body).await;
            });
            return Ok(());
        }
        self.inner.publish(key, body).await
    }

    async fn bind(&self, key: Key) -> Result<(), BrokerError> {
        self.inner.bind(key).await
    }

    fn unbind(&self, key: Key) {
        self.inner.unbind(key);
    }

    fn state(&self) -> watch::Receiver<BrokerState> {
        self.inner.state()
    }
}
