//! Traces of messages through gateways, as OpenTelemetry has them: of the sampled ones each step is a span, from the sender's frame to the sockets
//! of those who follow the room, on all gateways.
//!
//! What is not sampled costs a comparison, and what is off not even that. Spans that are over wait in a bounded queue, from which they are exported
//! in batches (see [`export`]); what finds no room there is dropped and counted, and nothing ever waits for it.

mod context;
mod export;
mod fan_out;
mod otlp;
mod sending;
mod span;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use chat_gateway_config::{Broker, GatewayConfig};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[cfg(test)]
pub(crate) use self::span::Recorder;
pub use self::{context::Context, fan_out::FanOut, sending::Sending, span::Open};
pub(crate) use self::{
    context::lenient,
    sending::{Stage, commit, ended, stage},
};
use self::{
    sending::Systems,
    span::{Kind, Sink, Value},
};
use crate::{connection::session::Session, hub::event::Event, protocol::Request, services::Counters};

/// Spans that wait to be exported; more are dropped. As many as the batch processor of OpenTelemetry keeps.
const WAITING: usize = 2_048;

/// Time that a gateway which ends gives its last spans.
const LAST: Duration = Duration::from_secs(2);

/// Begins the spans of one gateway, or does nothing at all.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Inner>>);

struct Inner {
    sink: Sink,
    per_million: u32,
    systems: Systems,
    finish: CancellationToken,
    exports: TaskTracker,
}

impl Tracer {
    /// Starts to export what the configuration wants traced; `name` is the gateway's. Without `tracing` in it nothing is started.
    ///
    /// # Errors
    /// When TLS cannot be set up, which is a defect.
    pub fn start(
        config: &GatewayConfig,
        name: &str,
        counters: Arc<Counters>,
        stop: &CancellationToken,
    ) -> Result<Self, ExporterError> {
        let Some(tracing) = &config.tracing else { return Ok(Self::default()) };
        let (spans, inbox) = mpsc::channel(WAITING);
        let (finish, exports) = (CancellationToken::new(), TaskTracker::new());
        let resource = otlp::resource(&config.cluster, name);
        let exporter = export::Exporter::new(tracing.endpoint.traces(), resource, Arc::clone(&counters))?;
        let (run, stop) = (export::run(exporter, inbox, finish.clone()), stop.clone());
        exports.spawn(async move { stop.run_until_cancelled(run).await });
        exports.close();
        let (sink, systems) = (Sink { spans, counters }, systems(config));
        let per_million = tracing.sampling_rate_per_million;
        Ok(Self(Some(Arc::new(Inner { sink, per_million, systems, finish, exports }))))
    }

    /// The time, if it matters to anybody.
    pub(crate) fn clock(&self) -> Option<SystemTime> {
        self.0.as_ref().map(|_| SystemTime::now())
    }

    /// Decides whether a message is traced, whose frame came at `heard` and has been read.
    pub(crate) fn sample(
        &self,
        heard: Option<SystemTime>,
        session: &Session,
        request: &Request,
    ) -> Option<Box<Sending>> {
        let (inner, heard) = (self.0.as_ref()?, heard?);
        let Request::Send { room, message_id, content } = request else { return None };
        if inner.per_million == 0 || rand::random_range(0..1_000_000) >= inner.per_million {
            return None;
        }
        let bytes = i64::try_from(content.body().len()).unwrap_or(i64::MAX);
        let root = Open::begin(&inner.sink, (Context::root(), None), "send", Kind::Server)
            .with("messaging.system", Value::Word("chatcluster"))
            .with("messaging.operation.name", Value::Word("send"))
            .with("messaging.operation.type", Value::Word("send"))
            .with("messaging.destination.name", Value::Id(room.0))
            .with("messaging.message.id", Value::Id(message_id.0))
            .with("messaging.message.body.size", Value::Number(bytes))
            .with("session.id", Value::Id(session.id))
            .with("chat.entry.kind", Value::Word(content.kind().name()));
        Some(Box::new(sending::begin(root, inner.systems, heard)))
    }

    /// Begins the way of a traced message to the connections here. One of another gateway came out of the broker at `received`.
    pub(crate) fn fan_out(&self, event: &Event, received: Option<SystemTime>) -> Option<FanOut> {
        let (inner, mut parent) = (self.0.as_ref()?, event.traceparent()?);
        if let Some(received) = received {
            let span = Open::begin(&inner.sink, (parent.sibling(), Some(parent)), "receive", Kind::Consumer)
                .since(received)
                .with("messaging.system", Value::Word(inner.systems.broker))
                .with("messaging.operation.name", Value::Word("receive"))
                .with("messaging.operation.type", Value::Word("receive"));
            parent = span.context()?;
            span.end();
        }
        Some(FanOut::new(Open::begin(&inner.sink, (parent.sibling(), Some(parent)), "fan_out", Kind::Internal)))
    }

    /// Exports what waits, if that does not take long. What begins after it is dropped.
    pub async fn finish(&self) {
        let Some(inner) = &self.0 else { return };
        inner.finish.cancel();
        if tokio::time::timeout(LAST, inner.exports.wait()).await.is_err() {
            tracing::debug!("the last spans were not exported in time");
        }
    }
}

pub use export::ExporterError;

/// The names of OpenTelemetry, as far as it has them.
fn systems(config: &GatewayConfig) -> Systems {
    Systems {
        broker: match config.broker {
            Broker::Rabbitmq(_) => "rabbitmq",
            Broker::Kafka(_) => "kafka",
            Broker::RedisPubSub(_) => "redis",
            Broker::InProcess(_) => "in_process",
        },
        store: if config.database.embedded.is_some() { "sqlite" } else { "postgresql" },
    }
}
