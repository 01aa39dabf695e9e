//! A broker on a server that a [`Link`] keeps in touch with: what all of them do alike.

use std::{fmt::Display, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Broker, BrokerError, BrokerState, DELIVERIES, Delivery, Key, PUBLISH_BUDGET,
    link::{Link, Publisher, Server},
};

/// Publishes that may wait for their confirmation at once. Confirmations come in batches, so a window of this size keeps one connection busy;
/// it also bounds the memory held for a broker that answers slowly.
const WINDOW: usize = 1_000;

/// [`Broker`] on a server.
pub(super) struct Linked<S: Server> {
    link: Arc<Link<S>>,
    window: Semaphore,
    stop: CancellationToken,
}

/// Starts connecting in the background, and keeps at it. Deliveries come out of the receiver.
pub(super) fn start<S: Server>(server: S) -> (Linked<S>, mpsc::Receiver<Delivery>) {
    let (sender, deliveries) = mpsc::channel(DELIVERIES);
    let link = Arc::new(Link::new(server));
    let stop = CancellationToken::new();
    let running = Arc::clone(&link);
    let until = stop.clone();
    tokio::spawn(async move { until.run_until_cancelled_owned(running.run(sender)).await });
    (Linked { link, window: Semaphore::new(WINDOW), stop }, deliveries)
}

/// A broker that is away for this reason.
pub(super) fn away(cause: impl Display) -> BrokerError {
    BrokerError::Away(cause.to_string())
}

impl<S: Server> Linked<S> {
    async fn publish_through(
        &self,
        publisher: &Publisher<S::Channel>,
        key: Key,
        body: &[u8],
    ) -> Result<(), BrokerError> {
        let _place = self.window.acquire().await.map_err(away)?;
        S::publish(&self.link, publisher, key, body).await
    }
}

impl<S: Server> Drop for Linked<S> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[async_trait]
impl<S: Server> Broker for Linked<S> {
    async fn publish(&self, key: Key, body: Bytes) -> Result<(), BrokerError> {
        // While it is known to be away nobody waits at all.
        let Some(publisher) = self.link.publisher() else {
            return Err(away(self.link.component().message));
        };
        match timeout(PUBLISH_BUDGET, self.publish_through(&publisher, key, &body)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // A broker that stopped confirming would cost every publisher the whole budget: have the session looked at.
                self.link.suspect(publisher.session);
                Err(away("no confirmation in time"))
            }
        }
    }

    async fn bind(&self, key: Key) -> Result<(), BrokerError> {
        self.link.bindings().bound(key).await;
        Ok(())
    }

    fn unbind(&self, key: Key) {
        self.link.bindings().remove(key);
    }

    fn state(&self) -> watch::Receiver<BrokerState> {
        self.link.state()
    }
}
