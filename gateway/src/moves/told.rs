//! What the command says while it works: lines for people, or JSON for programs, on standard output.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chat_shard_mover::{MoveError, Observer, Progress, Report, Step};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

/// Between two lines about one step.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells of one slot.
#[derive(Clone)]
pub(super) struct Teller {
    json: bool,
    slot: i32,
    /// What was told last, and when.
    last: Arc<Mutex<Option<(Step, Instant)>>>,
}

impl Teller {
    pub(super) fn new(json: bool, slot: i32) -> Self {
        Self { json, slot, last: Arc::default() }
    }

    fn say(&self, event: &str, text: &str, mut fields: Value) {
        if self.json {
            fields["event"] = json!(event);
            fields["slot"] = json!(self.slot);
            println!("{fields}");
        } else {
            println!("slot {}: {text}", self.slot);
        }
    }

    pub(super) fn moved(&self, id: Uuid, report: &Report) {
        let mut fields = serde_json::to_value(report).unwrap_or_else(|_| json!({}));
        fields["moveId"] = json!(id);
        let pause = report.pause_ms.map_or_else(String::new, |ms| format!(", writes waited {ms} ms"));
        self.say("moved", &format!("moved, {} rows{pause}", report.rows), fields);
    }

    pub(super) fn given_up(&self, id: Uuid) {
        self.say("aborted", "the move is given up", json!({ "moveId": id }));
    }

    pub(super) fn cleaned(&self, rows: u64) {
        self.say("cleaned", &format!("{rows} rows deleted at the source"), json!({ "rows": rows }));
    }

    pub(super) fn failed(&self, error: &MoveError) {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        // People read it in the program's last line.
        if self.json {
            self.say("failed", "", json!({ "error": text }));
        }
    }
}

impl Observer for Teller {
    fn progress(&self, progress: &Progress) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if last.is_some_and(|(step, at)| step == progress.step && now < at + PAUSE) {
            return;
        }
        *last = Some((progress.step, now));
        let text = match progress.step {
            Step::Copy => format!("copy: {} rows, {} bytes so far", progress.rows, progress.bytes),
            Step::Drain => format!("drain: {} changed keys wait", progress.backlog),
            step => step.to_string(),
        };
        let fields = serde_json::to_value(progress).unwrap_or_else(|_| json!({}));
        self.say("progress", &text, fields);
    }
}
