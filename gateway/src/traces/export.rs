//! Sends spans that are over to a collector: OTLP over HTTP, in batches, each tried once.
//!
//! A collector that is away, hangs or refuses costs the spans of the time and nothing else: they are dropped and counted, and logged once a minute.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    otlp::{self, Resource},
    span::Span,
};
use crate::{
    outgoing::{Fetcher, RootsError},
    services::Counters,
};

/// Spans of one export. As many as the batch processor of OpenTelemetry sends.
const BATCH: usize = 512;

/// Time for a batch to gather: whoever looks for a trace looks seconds later.
const GATHER: Duration = Duration::from_secs(1);

/// How often it is logged that spans are lost.
const TOLD: Duration = Duration::from_secs(60);

/// Why spans cannot be exported at all.
pub type ExporterError = RootsError;

/// Sends batches to one collector.
pub(super) struct Exporter {
    url: String,
    resource: Resource,
    fetcher: Fetcher,
    counters: Arc<Counters>,
    /// When it was last logged that spans are lost.
    told: Option<Instant>,
}

impl Exporter {
    pub(super) fn new(url: String, resource: Resource, counters: Arc<Counters>) -> Result<Self, ExporterError> {
        Ok(Self { url, resource, fetcher: Fetcher::new(None)?, counters, told: None })
    }

    async fn export(&mut self, spans: &[Span]) {
        let body = Bytes::from(otlp::encode(&self.resource, spans));
        let all = spans.len() as u64;
        match self.fetcher.post(&self.url, "application/x-protobuf", body).await {
            Ok(answer) => {
                let rejected = otlp::rejected(&answer).min(all);
                self.counters.spans_exported.fetch_add(all - rejected, Relaxed);
                self.counters.spans_dropped.fetch_add(rejected, Relaxed);
                if rejected > 0 {
                    self.tell("the collector rejected some of them");
                }
            }
            Err(error) => {
                self.counters.spans_dropped.fetch_add(all, Relaxed);
                self.tell(&error.to_string());
            }
        }
    }

    fn tell(&mut self, error: &str) {
        if self.told.is_some_and(|told| told.elapsed() < TOLD) {
            return;
        }
        self.told = Some(Instant::now());
        let dropped = self.counters.spans_dropped.load(Relaxed);
        tracing::warn!(endpoint = self.url, error, dropped, "spans could not be exported; messages are not concerned");
    }
}

/// Exports until all who could bring spans are gone, or `finish`, after which only what waits is exported.
pub(super) async fn run(mut exporter: Exporter, mut inbox: mpsc::Receiver<Span>, finish: CancellationToken) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let came = tokio::select! {
            came = inbox.recv_many(&mut batch, BATCH) => came,
            () = finish.cancelled() => break,
        };
        if came == 0 {
            return;
        }
        gather(&mut inbox, &mut batch, &finish).await;
        exporter.export(&batch).await;
        batch.clear();
    }
    inbox.close();
    while inbox.recv_many(&mut batch, BATCH).await > 0 {
        exporter.export(&batch).await;
        batch.clear();
    }
}

/// Fills a batch for a moment.
async fn gather(inbox: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>, finish: &CancellationToken) {
    let due = Instant::now() + GATHER;
    while batch.len() < BATCH && !finish.is_cancelled() {
        let room = BATCH - batch.len();
        let came = tokio::select! {
            came = timeout_at(due, inbox.recv_many(batch, room)) => came.unwrap_or(0),
            () = finish.cancelled() => 0,
        };
        if came == 0 {
            return;
        }
    }
}
