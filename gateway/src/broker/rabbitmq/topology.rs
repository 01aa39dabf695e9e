//! What exists on the server: the exchange, this gateway's queue, and a second small queue that tells when the first one overflowed.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

use super::RabbitSettings;
use crate::broker::bindings::Change;

/// The exchange of all gateways of a cluster; the vhost or server is the cluster's own.
pub(super) const EXCHANGE: &str = "chatcluster";

/// The queues of one session; exclusive, so they go with its connection.
pub(super) struct Queues {
    /// Where deliveries come from.
    pub(super) main: ShortString,
    /// Where RabbitMQ puts what it dropped from `main`: one message is enough to know that something was.
    pub(super) dropped: ShortString,
}

/// Declares everything. A queue's name is used once: a queue of a connection that the server has not yet given up would be in the way.
pub(super) async fn declare(channel: &Channel, settings: &RabbitSettings) -> lapin::Result<Queues> {
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Direct, durable, FieldTable::default()).await?;
    let name = format!("gateway.{}.{:016x}", settings.gateway, rand::random::<u64>());
    let queues = Queues { dropped: format!("{name}.dropped").into(), main: name.into() };
    let exclusive = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    channel.queue_declare(queues.dropped.clone(), exclusive, arguments).await?;

    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(settings.queue_bytes));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
    // The default exchange leads to the queue whose name is the key.
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(queues.dropped.as_str().into()));
    channel.queue_declare(queues.main.clone(), exclusive, arguments).await?;
    Ok(queues)
}

/// Makes and removes bindings, in order. Only the last one is waited for: a channel handles its methods one after another, so its answer
/// stands for all, and ten thousand bindings cost no ten thousand round trips.
pub(super) async fn apply(channel: &Channel, queues: &Queues, changes: &[Change]) -> lapin::Result<()> {
    for (left, change) in (0..changes.len()).rev().zip(changes) {
        match change {
            Change::Bind(key) => {
                let options = QueueBindOptions { nowait: left > 0 };
                let key = key.to_string().into();
                channel.queue_bind(queues.main.clone(), EXCHANGE.into(), key, options, FieldTable::default()).await?;
            }
            // AMQP 0-9-1 has no unbind without an answer. They are rare, and never in the way of a person.
            Change::Unbind(key) => {
                channel
                    .queue_unbind(queues.main.clone(), EXCHANGE.into(), key.to_string().into(), FieldTable::default())
                    .await?;
            }
        }
    }
    Ok(())
}
