//! What the operator writes into its audit log on this thread, where all other lines are off.

use std::{
    io::Write,
    sync::{Arc, LazyLock, Mutex},
};

use chat_operator::telemetry;
use serde_json::Value;
use tracing::{
    Dispatch,
    subscriber::{DefaultGuard, NoSubscriber},
};
use tracing_subscriber::EnvFilter;

/// `tracing` asks the subscriber of the thread that writes a line first whether anybody wants it, as long as one subscriber is all there is. Most tests have
/// none, and would switch the line off for this one. With a second all are asked.
static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Takes lines for as long as it is there.
pub(crate) struct AuditLog {
    lines: Lines,
    _logging: DefaultGuard,
}

impl AuditLog {
    pub(crate) fn start() -> Self {
        LazyLock::force(&ANOTHER);
        let lines = Lines::default();
        let to = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_env_filter(telemetry::with_audit(EnvFilter::new("off,audit=off")))
            .with_writer(move || to.clone())
            .finish();
        Self { lines, _logging: tracing::subscriber::set_default(subscriber) }
    }

    /// What was written since the last [`AuditLog::take`].
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines since the last call, each of which is the operator's, and of the audit log.
    pub(crate) fn take(&self) -> Vec<Value> {
        let text = String::from_utf8(std::mem::take(&mut *self.lines.0.lock().unwrap())).unwrap();
        let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(records.iter().all(|record| record["target"] == "audit" && record["by"] == "operator"), "{text}");
        records
    }

    /// The same as sentences: act, object and what came of it.
    pub(crate) fn told(&self) -> Vec<String> {
        self.take().iter().map(shown).collect()
    }
}

/// Act, object and what came of it.
pub(crate) fn shown(record: &Value) -> String {
    let word = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    format!("{} {}: {}", word("act"), word("object"), word("outcome"))
}
