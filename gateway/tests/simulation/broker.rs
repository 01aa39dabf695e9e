//! The exchange as one gateway reaches it: what it brings is at times lost, late, repeated or overtaken.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chat_gateway::broker::{Broker, BrokerError, BrokerState, Delivery, Key, MemoryBroker, MemoryExchange};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use crate::line::Line;

/// How often deliveries are lost without a word, repeated, and late, in percent.
const LOST: u32 = 2;
const REPEATED: u32 = 6;
const LATE: u32 = 12;

/// How often news of removals are lost: they are few, and it must be felt.
const REMOVALS_LOST: u32 = 40;

/// Deliveries that wait, as for a real connection.
const WAITING: usize = 1_024;

pub(crate) struct SimBroker {
    inner: MemoryBroker,
    line: Arc<Line>,
    state: watch::Sender<BrokerState>,
}

impl SimBroker {
    pub(crate) fn join(exchange: &MemoryExchange, line: &Arc<Line>) -> (Arc<Self>, mpsc::Receiver<Delivery>) {
        let (inner, from_exchange) = exchange.join();
        let state = watch::Sender::new(inner.state().borrow().clone());
        let (to_hub, deliveries) = mpsc::channel(WAITING);
        tokio::spawn(forward(from_exchange, to_hub, Arc::clone(line)));
        (Arc::new(Self { inner, line: Arc::clone(line), state }), deliveries)
    }

    /// Cuts the connection, or makes it anew: then deliveries may have been lost, which a new epoch says.
    pub(crate) fn cut(&self, cut: bool) {
        self.line.broker_cut.store(cut, SeqCst);
        self.state.send_modify(|state| {
            state.epoch += u64::from(!cut);
            state.component.available = !cut;
        });
    }
}

#[async_trait]
impl Broker for SimBroker {
    async fn publish(&self, key: Key, body: Bytes) -> Result<(), BrokerError> {
        self.line.dawdle(2).await;
        if self.line.broker_cut.load(SeqCst) {
            return Err(BrokerError::Away("cut".into()));
        }
        self.inner.publish(key, body).await?;
        self.line.dawdle(2).await;
        Ok(())
    }

    async fn bind(&self, key: Key) -> Result<(), BrokerError> {
        self.line.live().await;
        self.inner.bind(key).await
    }

    fn unbind(&self, key: Key) {
        self.inner.unbind(key);
    }

    fn state(&self) -> watch::Receiver<BrokerState> {
        self.state.subscribe()
    }
}

async fn forward(mut from: mpsc::Receiver<Delivery>, to: mpsc::Sender<Delivery>, line: Arc<Line>) {
    while let Some(delivery) = from.recv().await {
        if line.dead.is_cancelled() {
            return;
        }
        let lost = if tells_of_removal(&delivery) { REMOVALS_LOST } else { LOST };
        if line.broker_cut.load(SeqCst) || line.percent(lost) {
            continue;
        }
        if line.percent(REPEATED) {
            late(delivery.clone(), to.clone(), 100);
        }
        if line.percent(LATE) {
            late(delivery, to.clone(), 40);
        } else if to.send(delivery).await.is_err() {
            return;
        }
    }
}

fn tells_of_removal(delivery: &Delivery) -> bool {
    String::from_utf8_lossy(&delivery.body).contains("_removed\"")
}

fn late(delivery: Delivery, to: mpsc::Sender<Delivery>, after_ms: u64) {
    tokio::spawn(async move {
        sleep(Duration::from_millis(after_ms)).await;
        // The gateway may be gone by then.
        let _ = to.send(delivery).await;
    });
}
