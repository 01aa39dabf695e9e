//! Stands between the broker and the hub.

use std::time::Duration;

use chat_gateway::broker::Delivery;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::Fault;

/// How late a delivery comes: well over what a rollout allows, and well under what a person would call broken.
const LATE: Duration = Duration::from_secs(1);

/// Deliveries that are under way, as many as a second may have.
const UNDER_WAY: usize = 65_536;

/// What is left of the deliveries, in their order.
#[must_use]
pub fn spoil(fault: Fault, mut deliveries: mpsc::Receiver<Delivery>) -> mpsc::Receiver<Delivery> {
    let (spoilt, rest) = mpsc::channel(1);
    match fault {
        Fault::Unready | Fault::Silent | Fault::Lose | Fault::Twice | Fault::Reorder | Fault::Mute => {
            return deliveries;
        }
        Fault::Drop => {
            tokio::spawn(async move {
                let mut count = 0_u64;
                while let Some(delivery) = deliveries.recv().await {
                    count += 1;
                    if count.is_multiple_of(2) && spoilt.send(delivery).await.is_err() {
                        return;
                    }
                }
            });
        }
        Fault::Delay => {
            let (late, mut due) = mpsc::channel(UNDER_WAY);
            tokio::spawn(async move {
                while let Some(delivery) = deliveries.recv().await {
                    if late.send((Instant::now() + LATE, delivery)).await.is_err() {
                        return;
                    }
                }
            });
            tokio::spawn(async move {
                while let Some((at, delivery)) = due.recv().await {
                    sleep_until(at).await;
                    if spoilt.send(delivery).await.is_err() {
                        return;
                    }
                }
            });
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chat_gateway::{broker::Key, model::RoomId};
    use uuid::Uuid;

    use super::*;

    /// What comes of ten deliveries, and when the last did.
    async fn spoilt(fault: Fault) -> (Vec<u8>, Duration) {
        let (broker, deliveries) = mpsc::channel(16);
        let mut rest = spoil(fault, deliveries);
        let begin = Instant::now();
        for number in 0..10 {
            let body = Bytes::from(vec![number]);
            broker.send(Delivery { key: Key::Room(RoomId(Uuid::nil())), body }).await.unwrap();
        }
        drop(broker);
        let mut came = Vec::new();
        while let Some(delivery) = rest.recv().await {
            came.push(delivery.body[0]);
        }
        (came, begin.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn each_fault_spoils_deliveries_as_it_says() {
        assert_eq!(spoilt(Fault::Silent).await, ((0..10).collect(), Duration::ZERO));
        assert_eq!(spoilt(Fault::Drop).await, (vec![1, 3, 5, 7, 9], Duration::ZERO));
        let (came, took) = spoilt(Fault::Delay).await;
        assert_eq!(came, (0..10).collect::<Vec<u8>>());
        assert!(took >= LATE && took < LATE * 2, "all of them a second late, and not one after the other: {took:?}");
    }
}
