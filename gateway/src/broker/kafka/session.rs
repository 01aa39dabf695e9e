//! One session: readers and a producer, from the first byte to the error that ends them.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    KafkaSettings,
    client::{Connector, Publishing},
    readers::{Outcome, Readers},
    reason::SessionError,
    taker::Taker,
    topic::{Topic, View},
};
use crate::broker::{
    Delivery,
    link::{self, Link},
};

/// Time for all connections and a look at the topic, which may have to be made; and for each later look.
const OPEN_TIME: Duration = Duration::from_secs(10);
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How often the topic is looked at. A frozen server is noticed within `PROBE + ANSWER_TIME`, also when nobody publishes.
const PROBE: Duration = Duration::from_secs(3);
/// How often bindings without references are looked through.
const SWEEP: Duration = Duration::from_secs(5);

pub(in crate::broker) struct Session {
    topic: Topic,
    view: View,
    publishing: Publishing,
    readers: Readers,
}

impl link::Session for Session {
    type Server = KafkaSettings;
    type Error = SessionError;

    async fn open(settings: &KafkaSettings) -> Result<Self, SessionError> {
        timeout(OPEN_TIME, Box::pin(Self::open_now(settings))).await.unwrap_or(Err(SessionError::Timeout("connecting")))
    }

    async fn serve(self, link: &Link<KafkaSettings>, deliveries: &mpsc::Sender<Delivery>) -> Result<(), SessionError> {
        let Self { topic, view, publishing, readers } = self;
        while !link.bindings().try_online() {
            settle(link);
        }
        let partitions = view.leaders.len();
        let (views, seen) = watch::channel(view);
        let session = link.stands(publishing);
        tracing::info!(topic = link.server().topic, partitions, "connected to Kafka");
        tokio::select! {
            outcome = forward(readers, seen, link, deliveries) => outcome,
            outcome = keep_looking(&topic, &views) => outcome,
            outcome = keep_bindings(link) => outcome,
            () = link.suspected(session) => Err(SessionError::Suspected),
        }
    }
}

impl Session {
    /// Connects, finds or makes the topic, and sets readers at its end.
    async fn open_now(settings: &KafkaSettings) -> Result<Self, SessionError> {
        let connector = Connector::new(settings)?;
        let kafka = connector.connect().await?;
        let topic = Topic::open(&kafka, settings).await?;
        let view = topic.look().await?;
        let publishing = Publishing::new(&kafka).await?;
        let readers = Readers::start(connector, &settings.topic, &view).await?;
        Ok(Self { topic, view, publishing, readers })
    }
}

/// Hands what is bound to the hub. While the hub is full nothing is read.
async fn forward(
    mut readers: Readers,
    mut views: watch::Receiver<View>,
    link: &Link<KafkaSettings>,
    hub: &mpsc::Sender<Delivery>,
) -> Result<(), SessionError> {
    let taker = Taker { link, hub };
    loop {
        match readers.read(&mut views, &taker).await? {
            Outcome::NobodyListens => return Ok(()),
            due @ (Outcome::LayoutChanged | Outcome::Stalled) => {
                let leaders = views.borrow_and_update().leaders.clone();
                if matches!(due, Outcome::LayoutChanged) {
                    tracing::info!(?leaders, "the topic's partitions or their leaders changed");
                }
                timeout(OPEN_TIME, readers.rearrange(&leaders))
                    .await
                    .unwrap_or(Err(SessionError::Timeout("following partitions to their leaders")))?;
            }
        }
    }
}

/// Looks at the topic every now and then, and passes on what it sees.
async fn keep_looking(topic: &Topic, views: &watch::Sender<View>) -> Result<(), SessionError> {
    let mut probe = interval(PROBE);
    probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        probe.tick().await;
        let view =
            timeout(ANSWER_TIME, topic.look()).await.unwrap_or(Err(SessionError::Timeout("answering a probe")))?;
        if view.id != views.borrow().id {
            return Err(SessionError::Changed);
        }
        views.send_replace(view);
    }
}

/// Makes bindings, which are nobody's business but this gateway's.
async fn keep_bindings(link: &Link<KafkaSettings>) -> Result<(), SessionError> {
    let mut sweep = interval(SWEEP);
    loop {
        tokio::select! {
            () = link.bindings().wait() => settle(link),
            _ = sweep.tick() => link.bindings().sweep(),
        }
    }
}

fn settle(link: &Link<KafkaSettings>) {
    let changes = link.bindings().take(usize::MAX);
    link.bindings().confirm(&changes);
}
