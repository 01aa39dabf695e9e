//! From this gateway's queue to its hub.

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use lapin::{
    Channel, Consumer,
    options::{BasicAckOptions, BasicConsumeOptions},
    types::{FieldTable, ShortString},
};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep_until},
};

use super::{RabbitSettings, reason::SessionError};
use crate::broker::{Delivery, Key, link::Link};

/// Deliveries that one acknowledgement covers at most: well below the prefetch limit, so that the server never waits for one.
const ACK_EVERY: u32 = 100;
/// An overflowing queue tells of every message; the hub is told once in this time, after it.
const LOSS_PAUSE: Duration = Duration::from_secs(1);

/// Starts consuming a queue.
pub(super) async fn start(channel: &Channel, queue: ShortString) -> lapin::Result<Consumer> {
    let exclusive = BasicConsumeOptions { exclusive: true, ..Default::default() };
    channel.basic_consume(queue, "".into(), exclusive, FieldTable::default()).await
}

/// Hands deliveries to the hub, in order. Waits when the hub's queue is full: then nothing is acknowledged, and the server holds the rest.
/// `Ok` means that the hub is gone.
pub(super) async fn forward(
    mut consumer: Consumer,
    channel: &Channel,
    hub: &mpsc::Sender<Delivery>,
) -> Result<(), SessionError> {
    let multiple = BasicAckOptions { multiple: true };
    let mut unacknowledged = 0;
    loop {
        let Some(next) = consumer.next().await else {
            return Err(SessionError::ConsumerEnded);
        };
        let mut next = Some(next?);
        let mut last = 0;
        // All that has arrived already is covered by one acknowledgement.
        while let Some(delivery) = next {
            last = delivery.delivery_tag;
            unacknowledged += 1;
            if let Some(key) = Key::parse(delivery.routing_key.as_str())
                && hub.send(Delivery { key, body: Bytes::from(delivery.data) }).await.is_err()
            {
                return Ok(());
            }
            if unacknowledged >= ACK_EVERY {
                break;
            }
            next = match consumer.next().now_or_never() {
                Some(Some(more)) => Some(more?),
                Some(None) => return Err(SessionError::ConsumerEnded),
                None => None,
            };
        }
        channel.basic_ack(last, multiple).await?;
        unacknowledged = 0;
    }
}

/// Raises the epoch when the queue has dropped something. The hub then finds in the store what it missed.
pub(super) async fn watch_dropped(mut consumer: Consumer, link: &Link<RabbitSettings>) -> Result<(), SessionError> {
    while let Some(first) = consumer.next().await {
        first?.acker.ack(BasicAckOptions::default()).await?;
        // What else is dropped in the same fit is covered by the same epoch.
        let until = Instant::now() + LOSS_PAUSE;
        loop {
            tokio::select! {
                () = sleep_until(until) => break,
                next = consumer.next() => match next {
                    Some(more) => drop(more?.acker.ack(BasicAckOptions::default()).await?),
                    None => return Err(SessionError::ConsumerEnded),
                },
            }
        }
        tracing::warn!("this gateway's queue overflowed; missed messages come from the store");
        link.lost_deliveries();
    }
    Err(SessionError::ConsumerEnded)
}
