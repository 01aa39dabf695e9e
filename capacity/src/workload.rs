//! What a ChatCluster is to carry.

use serde::Serialize;

/// What carries messages between gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BrokerKind {
    /// RabbitMQ: a queue for each gateway, a binding for each room on each gateway that has somebody in it.
    RabbitMq,
    /// Kafka: every gateway reads everything.
    Kafka,
    /// Redis Pub/Sub, sharded over a Redis Cluster: a subscription for each room on each gateway.
    Redis,
}

/// What a ChatCluster is to carry at its busiest. See [`Workload::check`] for the bounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Open connections.
    pub connections: u64,
    /// Texts that clients send in a second.
    pub messages_per_second: u64,
    /// Members who are online in the room of an average message, the sender included.
    pub members_online: u64,
    /// Rooms of a connection.
    pub rooms_per_connection: u64,
    /// Bytes of a message's body.
    pub message_bytes: u64,
    /// Connections that end and come back in an hour, in percent of all.
    pub reconnects_percent: u64,
    /// Days that the shards keep texts.
    pub history_days: u64,
    /// Messages of a mean second of these days, in percent of the busiest.
    pub mean_percent: u64,
    /// What carries messages between gateways.
    pub broker: BrokerKind,
    /// Copies of everything stored, the first included: 2 is a standby for each shard.
    pub copies: u64,
}

/// An input that the model is not for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfBounds {
    /// A number is outside of its bounds.
    #[error("{field} is {value}, and must be from {least} to {most}")]
    Number {
        /// The field, in the words of the command line.
        field: &'static str,
        /// What it was.
        value: u64,
        /// The smallest that is taken.
        least: u64,
        /// The largest that is taken.
        most: u64,
    },
    /// A room has more members online than there are connections.
    #[error("members is {members}, and there are only {connections} connections; lower members or raise connections")]
    MoreMembersThanConnections {
        /// Members online of a room.
        members: u64,
        /// Connections.
        connections: u64,
    },
}

impl Workload {
    /// So many connections and messages a second, and for the rest what the benchmarks have: rooms of 50, five of them for each connection,
    /// 128 bytes. A quarter of the connections comes anew in an hour, 30 days are kept, two copies.
    #[must_use]
    pub fn of(connections: u64, messages_per_second: u64) -> Self {
        Self {
            connections,
            messages_per_second,
            members_online: 50.min(connections.max(1)),
            rooms_per_connection: 5,
            message_bytes: 128,
            reconnects_percent: 25,
            history_days: 30,
            mean_percent: 40,
            broker: BrokerKind::RabbitMq,
            copies: 2,
        }
    }

    /// Whether the model is for it.
    ///
    /// # Errors
    /// A number is outside of its bounds; the error has them.
    pub fn check(&self) -> Result<(), OutOfBounds> {
        let bounds = [
            ("connections", self.connections, 1, 1_000_000_000),
            ("messages-per-second", self.messages_per_second, 0, 1_000_000_000),
            ("members", self.members_online, 1, 10_000_000),
            ("rooms", self.rooms_per_connection, 1, 100_000),
            ("message-bytes", self.message_bytes, 1, 49_152),
            ("reconnects", self.reconnects_percent, 0, 10_000),
            ("history-days", self.history_days, 0, 3_650),
            ("mean-load", self.mean_percent, 1, 100),
            ("copies", self.copies, 1, 7),
        ];
        for (field, value, least, most) in bounds {
            if value < least || value > most {
                return Err(OutOfBounds::Number { field, value, least, most });
            }
        }
        if self.members_online > self.connections {
            let (members, connections) = (self.members_online, self.connections);
            return Err(OutOfBounds::MoreMembersThanConnections { members, connections });
        }
        Ok(())
    }

    /// `factor` times the connections and the messages, rounded.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let times = |number: u64| (number as f64 * factor).round() as u64;
        Self {
            connections: times(self.connections).max(1),
            messages_per_second: times(self.messages_per_second),
            ..self.clone()
        }
    }

    /// Sign-ins a second.
    pub(crate) fn sign_ins(&self) -> f64 {
        self.connections as f64 * self.reconnects_percent as f64 / 100.0 / 3_600.0
    }

    /// Rooms of which somebody is online.
    pub(crate) fn rooms(&self) -> f64 {
        (self.connections as f64 * self.rooms_per_connection as f64 / self.members_online as f64).max(1.0)
    }

    pub(crate) fn messages(&self) -> f64 {
        self.messages_per_second as f64
    }

    /// Deliveries to clients a second.
    pub(crate) fn deliveries(&self) -> f64 {
        self.messages() * self.members_online as f64
    }

    /// Gateways of `gateways` that have somebody of a room, when its members came to them at random.
    pub(crate) fn spread(&self, gateways: u64) -> f64 {
        if gateways <= 1 {
            return 1.0;
        }
        let all = gateways as f64;
        all * -(self.members_online as f64 * (-1.0 / all).ln_1p()).exp_m1()
    }
}
