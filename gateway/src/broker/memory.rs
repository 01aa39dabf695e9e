//! The broker inside one process: an exchange that any number of gateways share. For tests, and for a gateway that is alone.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chat_gateway_config::stats::Component;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout_at},
};

use super::{
    Broker, BrokerError, BrokerState, DELIVERIES, Delivery, Key, PUBLISH_BUDGET,
    bindings::{Bindings, LINGER},
    connected,
};

/// Where gateways of one process meet.
#[derive(Clone, Default)]
pub struct MemoryExchange {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    away: AtomicBool,
    gateways: Mutex<Vec<Weak<Gateway>>>,
}

struct Gateway {
    bindings: Bindings,
    queue: mpsc::Sender<Delivery>,
    state: watch::Sender<BrokerState>,
}

/// One gateway's end of a [`MemoryExchange`].
pub struct MemoryBroker {
    exchange: MemoryExchange,
    gateway: Arc<Gateway>,
}

impl MemoryExchange {
    /// An exchange without gateways.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Joins a gateway; deliveries come out of the receiver.
    #[must_use]
    pub fn join(&self) -> (MemoryBroker, mpsc::Receiver<Delivery>) {
        self.join_with(LINGER)
    }

    /// [`MemoryExchange::join`] with another time for bindings to linger.
    #[must_use]
    pub fn join_with(&self, linger: Duration) -> (MemoryBroker, mpsc::Receiver<Delivery>) {
        let (queue, deliveries) = mpsc::channel(DELIVERIES);
        let here = !self.is_away();
        let gateway = Arc::new(Gateway {
            bindings: Bindings::new(linger),
            queue,
            state: watch::Sender::new(BrokerState { epoch: u64::from(here), component: component(here) }),
        });
        if here {
            gateway.bindings.try_online();
        }
        let mut gateways = self.lock();
        gateways.retain(|known| known.strong_count() > 0);
        gateways.push(Arc::downgrade(&gateway));
        drop(gateways);
        let exchange = self.clone();
        (MemoryBroker { exchange, gateway }, deliveries)
    }

    /// Takes the exchange away, as a broker that dies: publishes fail, bindings are lost.
    pub fn stop(&self) {
        self.shared.away.store(true, Ordering::SeqCst);
        for gateway in self.gateways() {
            gateway.bindings.disconnected();
            gateway.state.send_modify(|state| state.component = component(false));
        }
    }

    /// Brings it back: bindings are made again, then the epoch rises.
    pub fn start(&self) {
        self.shared.away.store(false, Ordering::SeqCst);
        for gateway in self.gateways() {
            while !gateway.bindings.try_online() {
                gateway.settle();
            }
            gateway.state.send_modify(|state| {
                state.epoch += 1;
                state.component = component(true);
            });
        }
    }

    fn is_away(&self) -> bool {
        self.shared.away.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Gateway>>> {
        self.shared.gateways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gateways(&self) -> Vec<Arc<Gateway>> {
        self.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

impl Gateway {
    /// Does what is due; the exchange's own part is the table, so confirming is all there is.
    fn settle(&self) {
        let changes = self.bindings.take(usize::MAX);
        self.bindings.confirm(&changes);
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn publish(&self, key: Key, body: Bytes) -> Result<(), BrokerError> {
        let deadline = Instant::now() + PUBLISH_BUDGET;
        for gateway in self.exchange.gateways() {
            if self.exchange.is_away() {
                break;
            }
            gateway.bindings.sweep();
            gateway.settle();
            if !gateway.bindings.stands(key) {
                continue;
            }
            let delivery = Delivery { key, body: body.clone() };
            // An error of the queue itself means that the gateway is stopping; it hears nothing more.
            if timeout_at(deadline, gateway.queue.send(delivery)).await.is_err() {
                return Err(BrokerError::Away("a gateway does not read its queue".into()));
            }
        }
        if self.exchange.is_away() {
            return Err(BrokerError::Away("the exchange is stopped".into()));
        }
        Ok(())
    }

    async fn bind(&self, key: Key) -> Result<(), BrokerError> {
        drop(self.gateway.bindings.add(key));
        if !self.exchange.is_away() {
            self.gateway.bindings.sweep();
            self.gateway.settle();
        }
        Ok(())
    }

    fn unbind(&self, key: Key) {
        self.gateway.bindings.remove(key);
    }

    fn state(&self) -> watch::Receiver<BrokerState> {
        self.gateway.state.subscribe()
    }

    fn is_alone(&self) -> bool {
        self.exchange.lock().iter().filter(|gateway| gateway.strong_count() > 0).count() == 1
    }
}

fn component(here: bool) -> Component {
    if here {
        return connected("in this process");
    }
    Component { available: false, reason: "ConnectionRefused".into(), message: "the exchange is stopped".into() }
}
