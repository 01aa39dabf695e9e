//! From the topic to the hub: what this gateway has bound, and nothing else.

use krafka::consumer::ConsumerRecord;
use tokio::sync::mpsc;

use super::KafkaSettings;
use crate::broker::{Delivery, Key, link::Link};

/// Takes records.
pub(super) struct Taker<'a> {
    pub(super) link: &'a Link<KafkaSettings>,
    pub(super) hub: &'a mpsc::Sender<Delivery>,
}

impl Taker<'_> {
    /// Hands a record to the hub when it is bound, and waits while the hub is full; false when nobody takes deliveries any more.
    pub(super) async fn take(&self, record: ConsumerRecord) -> bool {
        let key = record.key.as_deref().and_then(|key| Key::parse(std::str::from_utf8(key).ok()?));
        match (key, record.value) {
            (Some(key), Some(body)) if self.link.bindings().stands(key) => {
                self.hub.send(Delivery { key, body }).await.is_ok()
            }
            _ => !self.hub.is_closed(),
        }
    }
}
