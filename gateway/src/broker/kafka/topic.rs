//! The topic: made when it is not there, looked at every now and then.

use std::{collections::BTreeMap, time::Duration};

use krafka::{
    Kafka,
    admin::{
        AdminClient, CreateTopicsOptions, DescribeTopicsOptions, ListOffsetsOptions, NewTopic, OffsetSpec,
        TopicDescription, TopicPartition,
    },
    error::{ErrorCode, KrafkaError},
};
use tokio::time::sleep;

use super::{KafkaSettings, reason::SessionError};

/// How long the topic keeps records: the store has them all, and a gateway that is ten minutes behind is served better by it.
pub(super) const RETENTION_MS: u32 = 10 * 60 * 1000;
/// A segment is deleted as a whole, and only when it is no longer written to.
const SEGMENT_MS: u32 = 5 * 60 * 1000;
/// Largest batch: above what the relay puts in one publish, also when most characters of its messages have to be escaped.
const MAX_MESSAGE_BYTES: u32 = 2 * 1024 * 1024;
/// A topic that was made a moment ago is not known to all servers yet; this often it is looked for.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

/// Bits of what the user may do with the topic, by the numbers of Kafka's protocol.
const READ: i32 = 1 << 3;
const WRITE: i32 = 1 << 4;

/// Partition to server that leads it.
pub(super) type Leaders = BTreeMap<i32, i32>;
/// Partition to offset.
pub(super) type Offsets = BTreeMap<i32, i64>;

/// What one look at the topic shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Changes when the topic is deleted and made anew.
    pub(super) id: [u8; 16],
    /// All partitions.
    pub(super) leaders: Leaders,
    /// Where each partition ends.
    pub(super) ends: Offsets,
}

/// Asks about the topic, on the producer's connections.
pub(super) struct Topic {
    admin: AdminClient,
    name: String,
}

impl Topic {
    /// Finds the topic, or makes it.
    pub(super) async fn open(kafka: &Kafka, settings: &KafkaSettings) -> Result<Self, SessionError> {
        let topic = Self { admin: kafka.admin(), name: settings.topic.clone() };
        match topic.describe().await {
            Err(SessionError::Absent { .. }) => topic.create(settings).await?,
            found => drop(found?),
        }
        Ok(topic)
    }

    /// Looks at the topic and asks the leader of each partition for its end: a sign of life from everybody who matters.
    pub(super) async fn look(&self) -> Result<View, SessionError> {
        let description = self.describe().await?;
        let mut leaders = Leaders::new();
        for partition in &description.partitions {
            let leader = partition.leader.ok_or(SessionError::NoLeader(partition.partition))?;
            leaders.insert(partition.partition, leader);
        }
        let asked = leaders.keys().map(|&partition| (TopicPartition::new(&self.name, partition), OffsetSpec::Latest));
        let answers = self.admin.list_offsets(asked, ListOffsetsOptions::default()).await?;
        let mut ends = Offsets::new();
        for (partition, answer) in answers {
            ends.insert(partition.partition, answer?.offset);
        }
        Ok(View { id: description.topic_id, leaders, ends })
    }

    async fn describe(&self) -> Result<TopicDescription, SessionError> {
        let mut answers = self.admin.describe_topics([&self.name], DescribeTopicsOptions::default()).await?;
        let answer = answers.remove(&self.name).unwrap_or(Err(KrafkaError::UnknownTopic { topic: self.name.clone() }));
        let description = match answer {
            Ok(description) => description,
            Err(error) if is_unknown(&error) => {
                return Err(SessionError::Absent { topic: self.name.clone(), cause: error.to_string() });
            }
            Err(error) if is_forbidden(&error) => return Err(self.forbidden()),
            Err(error) => return Err(error.into()),
        };
        let allowed = description.authorized_operations.unwrap_or(READ | WRITE);
        if allowed & READ == 0 || allowed & WRITE == 0 {
            return Err(self.forbidden());
        }
        Ok(description)
    }

    fn forbidden(&self) -> SessionError {
        SessionError::Forbidden { topic: self.name.clone() }
    }

    async fn create(&self, settings: &KafkaSettings) -> Result<(), SessionError> {
        let kafka = &settings.kafka;
        let copies = kafka.replication_factor.map_or(-1, |factor| i16::try_from(factor).unwrap_or(i16::MAX));
        let topic = NewTopic::new(&self.name, i32::from(kafka.partitions), copies)?
            .with_config("cleanup.policy", "delete")
            .with_config("retention.ms", RETENTION_MS.to_string())
            .with_config("segment.ms", SEGMENT_MS.to_string())
            .with_config("max.message.bytes", MAX_MESSAGE_BYTES.to_string());
        let mut answers = self.admin.create_topics([topic], CreateTopicsOptions::default()).await?;
        match answers.remove(&self.name) {
            Some(Ok(())) => tracing::info!(topic = self.name, partitions = kafka.partitions, "made the topic"),
            // Another gateway was quicker.
            Some(Err(KrafkaError::Broker { code: ErrorCode::TopicAlreadyExists, .. })) => {}
            Some(Err(error)) if error.is_retriable() => return Err(error.into()),
            Some(Err(error)) => {
                return Err(SessionError::Absent { topic: self.name.clone(), cause: error.to_string() });
            }
            None => return Err(SessionError::Timeout("making the topic")),
        }
        // The caller's time limit ends this.
        while let Err(error) = self.look().await {
            if !matches!(error, SessionError::Absent { .. } | SessionError::NoLeader(_)) {
                return Err(error);
            }
            sleep(SETTLE_PAUSE).await;
        }
        Ok(())
    }
}

fn is_unknown(error: &KrafkaError) -> bool {
    matches!(
        error,
        KrafkaError::UnknownTopic { .. } | KrafkaError::Broker { code: ErrorCode::UnknownTopicOrPartition, .. }
    )
}

pub(super) fn is_forbidden(error: &KrafkaError) -> bool {
    matches!(
        error,
        KrafkaError::Broker { code: ErrorCode::TopicAuthorizationFailed | ErrorCode::ClusterAuthorizationFailed, .. }
    )
}
