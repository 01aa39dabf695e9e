//! What one thing costs, where that is from, and how sure it is.

use serde::Serialize;

/// How sure a figure is; the order is from the surest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Basis {
    /// Measured on this software, or a bound of its schema.
    Measured,
    /// Measured by hand in a single run; no command of this project repeats it.
    SingleRun,
    /// Nobody measured it here.
    Assumed,
}

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// What costs.
    pub what: &'static str,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// How sure.
    pub basis: Basis,
    /// What measured it and what came out, or why this was assumed.
    pub source: &'static str,
}

macro_rules! costs {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $value:expr, $unit:literal, $basis:ident, $source:literal;)*) => {
        /// All figures of the model. The defaults are those of docs/explanation/capacity.md.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Costs { $($(#[$doc])* pub $name: Cost,)* }

        impl Default for Costs {
            fn default() -> Self {
                Self { $($name: Cost { what: $what, value: $value, unit: $unit, basis: Basis::$basis, source: $source },)* }
            }
        }

        impl Costs {
            /// All of them, in the order of the documentation.
            #[must_use]
            pub fn all(&self) -> Vec<&Cost> {
                vec![$(&self.$name,)*]
            }
        }
    };
}

costs! {
    /// Of a gateway, for each connection.
    gateway_idle: "gateway: an idle connection, a second of it", 1.60, "us", Measured, "`cargo xtask bench`, W0: 1.60 us/s";
    /// Of a gateway, for each message that it takes, and answers.
    gateway_message: "gateway: a message taken, committed and answered", 12.03, "us", Measured,
        "W1 and P together: 1,000,000 / 52,225 us for each delivery, less 21 % that is SQLite's thread, is one message and 50 deliveries; 86.47 us of P are one message and 5";
    /// Of a gateway, for each member to whom it writes a message.
    gateway_delivery: "gateway: a message written to one member", 14.89, "us", Measured, "the same two equations. W4, where frames share writes, comes to 9.90";
    /// Of a gateway, to hand a message to the broker.
    gateway_publish: "gateway: a message given to the broker", 10.0, "us", Assumed, "W1 and P have the in-process broker";
    /// Of a gateway, to take a message from the broker.
    gateway_receive: "gateway: a message taken from the broker", 15.0, "us", Assumed, "as above; a decode and a look at the room";
    /// Of a gateway, for each record of the topic.
    gateway_kafka_record: "gateway: a record of Kafka, whoever it is for", 10.0, "us", Assumed, "an unoptimised gateway and Kafka together took at most 80 us on two processors (ADR 7)";
    /// Of a gateway, for each sign-in.
    gateway_sign_in: "gateway: a sign-in", 528.0, "us", Measured, "W0: 1,894 sign-ins a second on one processor. TLS is not in it: a balancer ends it";
    /// Of a gateway's process, for each connection.
    gateway_memory: "gateway: memory of a connection under load", 10_590.0, "bytes", Measured, "W1: 101 MiB with 10,000 connections, everything included (W0, idle: 3.14 KiB)";
    /// Of the kernel, for each connection.
    gateway_kernel_memory: "gateway: the kernel's memory of a socket", 5_018.0, "bytes", SingleRun, "190,000 sockets on the machine of the benchmarks: 4.9 KiB each";
    /// Around a message's body, to a client.
    frame_bytes: "gateway: bytes around a message's body, to a client", 324.0, "bytes", Measured, "protocol.md: 318 bytes for a body of 60, and 66 of Ethernet, IP and TCP";
    /// Around a message's body, in the broker.
    record_bytes: "broker: bytes around a message's body", 400.0, "bytes", Assumed, "the event as JSON, the routing key, the broker's own framing";
    /// Of RabbitMQ, for each message.
    rabbitmq_publish: "RabbitMQ: a publish", 13.0, "us", SingleRun,
        "rabbitmq-server 4.0.5, one node, processor time of its process: 20,000, 10,000 and 6,000 publishes of 400 bytes to 1, 4 and 8 consuming queues took 36.5, 94.0 and 198.3 us each; one run on a busy machine. The line through them begins at 13";
    /// Of RabbitMQ, for each gateway that hears of a message.
    rabbitmq_deliver: "RabbitMQ: a message to one gateway", 23.0, "us", SingleRun,
        "the same: 23 for each queue more";
    /// Of RabbitMQ, for each binding that comes or goes.
    rabbitmq_bind: "RabbitMQ: a binding that comes or goes", 202.0, "us", SingleRun,
        "the same server: 60,000 bindings made one after the other, 202 us each";
    /// Of every node of RabbitMQ, for each binding.
    rabbitmq_binding_memory: "RabbitMQ: memory of a binding, on every node", 700.0, "bytes", SingleRun,
        "the same: its resident memory grew by 696 bytes for each";
    /// Through one queue of RabbitMQ.
    rabbitmq_queue: "RabbitMQ: messages through one queue, which is one Erlang process", 25_000.0, "1/s", Assumed, "not measured";
    /// Of Kafka, for each record and copy.
    kafka_produce: "Kafka: a record taken, for each copy", 15.0, "us", Assumed, "not measured";
    /// Of Kafka, for each record and gateway.
    kafka_fetch: "Kafka: a record read by one gateway", 0.5, "us", Assumed, "not measured; fetches carry many records, and the kernel copies them";
    /// Through one partition of Kafka.
    kafka_partition: "Kafka: records through one partition", 10_000.0, "1/s", Assumed, "not measured";
    /// Of Redis as a broker, for each message.
    redis_publish: "Redis Pub/Sub: a publish", 1.8, "us", SingleRun, "redis-server, processor time by `INFO cpu`: 40,000 publishes of 400 bytes, 20 in a pipeline: 1.78 us";
    /// Of Redis as a broker, for each gateway that hears of a message.
    redis_deliver: "Redis Pub/Sub: a message to one gateway", 0.25, "us", SingleRun, "the same with 1, 10 and 40 subscribers: 1.78, 3.85 and 11.88 us. Fewer messages at once cost more each";
    /// Of Redis as a broker, for each room on a gateway.
    redis_subscription_memory: "Redis Pub/Sub: memory of a subscription", 200.0, "bytes", Assumed, "not measured";
    /// Of the Redis of limits, for each message.
    redis_limit: "Redis of limits: the script for a message", 12.0, "us", SingleRun, "the gateway's own script with two buckets: 11.96 us with 10 calls in a pipeline, 8.68 with 100";
    /// Of the Redis of presence, for each user, every 15 s.
    redis_vouch: "Redis of presence: a user who is still there", 3.8, "us", SingleRun, "the gateway's own scripts, 200 users in a call: 3.77 us each, renewed; 5.10 at first";
    /// Of the Redis of presence, for each user who goes and comes.
    redis_arrive: "Redis of presence: a user who goes and comes", 20.0, "us", SingleRun, "the gateway's own scripts, one user in a call: 12.70 us to come, 7.26 to go";
    /// Of the Redis of limits and presence, for each user.
    redis_user_memory: "Redis of limits and presence: memory of a user", 500.0, "bytes", Assumed, "251 bytes were measured for presence; as much again for buckets of who writes";
    /// Of PostgreSQL, for each text.
    shard_text: "shard: a text among 128", 58.0, "us", Measured, "benchmarks.md, what was gained: 58 us of PostgreSQL";
    /// Of PostgreSQL, for each commit.
    shard_commit: "shard: a commit, whatever is in it", 250.0, "us", Assumed, "before texts shared commits a shard took 2,500 a second (ADR 13): at most 800 us for everybody on two processors";
    /// From a text's way to the shard to the answer.
    commit_time: "shard: time of a commit, in which others gather", 2_000.0, "us", Assumed, "the disk's; W2 to W4 of the moves have round trips of 2 to 4 ms on a full machine";
    /// Texts that a shard was seen to commit.
    shard_most: "shard: texts a second", 24_899.0, "1/s", Measured, "`cargo xtask bench moves`, pauses full: 24,899 to 28,760 of two processors; nobody has seen more";
    /// Of PostgreSQL, for each sign-in.
    shard_sign_in: "shard: reads of a sign-in", 150.0, "us", Assumed, "W2 tells the gateway's part with SQLite only";
    /// Of PostgreSQL, for each look of a gateway.
    shard_look: "shard: a gateway that looks for changes, 0.7 times a second", 60.0, "us", Assumed, "one small question";
    /// Around a text's body, on the disk of a shard.
    row_bytes: "shard: disk of a text around its body", 350.0, "bytes", Assumed, "the row, its keys and indexes, and what vacuum leaves free";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_and_delivery_are_what_two_workloads_say_together() {
        let costs = Costs::default();
        let (message, delivery) = (costs.gateway_message.value, costs.gateway_delivery.value);
        let steady = 1e6 / 52_225.0 * 50.0 * 0.79;
        assert!((message + 50.0 * delivery - steady).abs() < 0.5, "{steady}");
        assert!((message + 5.0 * delivery - 86.47).abs() < 0.5);
    }

    #[test]
    fn every_figure_is_positive_and_says_where_it_is_from() {
        for cost in Costs::default().all() {
            assert!(cost.value > 0.0 && !cost.source.is_empty() && !cost.what.is_empty(), "{cost:?}");
        }
    }
}
