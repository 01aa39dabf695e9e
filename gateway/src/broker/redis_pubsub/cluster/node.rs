//! One node of the cluster: a subscribing and a publishing connection.

use chat_gateway_config::{HostPort, Seeds, stats::Component};
use redis::{AsyncConnectionConfig, Client, ProtocolVersion, aio::MultiplexedConnection};

use super::{
    NODE_ANSWER,
    subscriber::{Sinks, Subscriber},
    work::Work,
};
use crate::{
    broker::{
        bindings::{Bindings, Change},
        link::Failure as _,
        redis_pubsub::{BATCH, reason::SessionError},
    },
    redis_server::{Certificates, connection_info, down, greet},
};

/// See the module's documentation.
pub(super) struct Node {
    pub(super) at: HostPort,
    pub(super) publisher: MultiplexedConnection,
    /// `None` once it is of no more use.
    pub(super) subscriber: Option<Subscriber>,
}

/// What the nodes have in common, as it was read for these connections.
pub(super) struct Entry {
    pub(super) seeds: Seeds,
    pub(super) certificates: Certificates,
}

/// A client of one node, for RESP3.
pub(super) fn client(at: &HostPort, Entry { seeds, certificates }: &Entry) -> Result<Client, SessionError> {
    let info = connection_info(at, seeds.tls, &seeds.credentials, certificates)?;
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(Client::open(info.set_redis_settings(redis))?)
}

/// A connection that asks and publishes.
pub(super) async fn connect(client: &Client) -> Result<MultiplexedConnection, SessionError> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(NODE_ANSWER));
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

impl Node {
    /// Connects twice, and checks that the node can do what is needed.
    pub(super) async fn open(at: &HostPort, entry: &Entry, number: u64, sinks: Sinks) -> Result<Self, SessionError> {
        let client = client(at, entry)?;
        let mut publisher = connect(&client).await?;
        let greeting = greet(&mut publisher).await?;
        if !greeting.has_sharded_pubsub() {
            let (version, reason) = (greeting.version(), "TooOld");
            return Err(down(reason, format!("Redis {version} has no sharded Pub/Sub; it came with Redis 7")).into());
        }
        let subscriber = Subscriber::open(&client, number, sinks).await?;
        Ok(Self { at: at.clone(), publisher, subscriber: Some(subscriber) })
    }

    /// Asks for a sign of life on both connections, and gives up what gives none; false when the publishing one did not.
    pub(super) async fn probe(&mut self) -> bool {
        let Self { publisher, subscriber, .. } = self;
        let subscribing = async {
            match subscriber {
                Some(subscriber) => subscriber.probe().await,
                None => Err(SessionError::Closed),
            }
        };
        let ping = redis::cmd("PING");
        let (subscribes, publishes) = tokio::join!(subscribing, ping.query_async::<String>(publisher));
        if let Err(error) = subscribes {
            tracing::debug!(%error, "a subscribing connection is given up");
            self.subscriber = None;
        }
        publishes.is_ok()
    }

    /// Brings its part of the changes to the node, and confirms each batch. A partition that is refused is put into `refused`; a connection
    /// that fails is given up. Whatever does not come to stand is postponed.
    pub(super) async fn apply(&mut self, work: Work, bindings: &Bindings) -> Result<(), (Vec<usize>, Component)> {
        let mut refused = Vec::new();
        let mut why = None;
        for (partition, batch) in work.batches(BATCH) {
            let outcome = match &mut self.subscriber {
                Some(subscriber) if !refused.contains(&partition) => match batch.changes.first() {
                    Some(Change::Bind(_)) => subscriber.subscribe(&batch.channels).await,
                    _ => subscriber.unsubscribe(&batch.channels).await,
                },
                _ => Err(SessionError::Closed),
            };
            match outcome {
                Ok(()) => bindings.confirm(&batch.changes),
                Err(error) => {
                    // A refusal leaves the connection as it is; anything else leaves it in an unknown state.
                    let is_refusal = matches!(&error, SessionError::Redis(component) if component.reason == "Refused");
                    if !is_refusal {
                        self.subscriber = None;
                    }
                    refused.push(partition);
                    why.get_or_insert_with(|| error.component());
                    bindings.postpone(&batch.changes);
                }
            }
        }
        why.map_or(Ok(()), |why| Err((refused, why)))
    }
}
