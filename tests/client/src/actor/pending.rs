//! Requests without an answer: what to transmit when, on which connection, and for how long.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    backoff,
    wire::{Body, Refusal},
};

use super::Command;

/// Waiting requests, by number; lower numbers are transmitted first.
pub(super) struct Pending {
    waiting: BTreeMap<u64, Waiting>,
    next_id: u64,
    patience: Duration,
}

struct Waiting {
    frame: Value,
    /// None: the client itself asked.
    reply: Option<oneshot::Sender<Result<Body, Refusal>>>,
    /// When to transmit; none while the answer is awaited on the present connection.
    due: Option<Instant>,
    transmissions: u32,
    refusals: u32,
    given_up: Instant,
}

impl Pending {
    pub(super) fn new(patience: Duration) -> Self {
        // 0 is the number of pings and of hello.
        Self { waiting: BTreeMap::new(), next_id: 1, patience }
    }

    pub(super) fn add(&mut self, command: Command) {
        self.insert(command.request, Some(command.reply));
    }

    /// A request whose answer only the client itself wants.
    pub(super) fn add_own(&mut self, request: Value) {
        self.insert(request, None);
    }

    fn insert(&mut self, mut frame: Value, reply: Option<oneshot::Sender<Result<Body, Refusal>>>) {
        let id = self.next_id;
        self.next_id += 1;
        frame["id"] = json!(id);
        let now = Instant::now();
        let waiting =
            Waiting { frame, reply, due: Some(now), transmissions: 0, refusals: 0, given_up: now + self.patience };
        self.waiting.insert(id, waiting);
    }

    /// Everything goes out again on the new connection, in the old order.
    pub(super) fn connection_changed(&mut self) {
        let now = Instant::now();
        self.waiting.retain(|_, waiting| !waiting.is_given_up(now));
        for waiting in self.waiting.values_mut() {
            waiting.due = Some(now);
        }
    }

    /// The next request to transmit now, and whether it was transmitted before.
    pub(super) fn take_due(&mut self) -> Option<(Value, bool)> {
        let now = Instant::now();
        let (_, waiting) = self.waiting.iter_mut().find(|(_, waiting)| waiting.due.is_some_and(|due| due <= now))?;
        waiting.due = None;
        waiting.transmissions += 1;
        Some((waiting.frame.clone(), waiting.transmissions > 1))
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.values().filter_map(|waiting| waiting.due).min()
    }

    /// Takes an answer. A passing refusal is not passed on: the request goes out again after the time that the gateway named.
    /// Returns the answer when it is to a request of the client itself.
    pub(super) fn resolve(&mut self, id: u64, body: Body) -> Option<Body> {
        let waiting = self.waiting.get_mut(&id)?;
        if let Body::Error(refusal) = &body
            && refusal.is_passing()
            && !waiting.is_given_up(Instant::now())
        {
            let named = refusal.retry_after_ms.map(Duration::from_millis);
            let wait = named.map_or_else(|| backoff::delay(waiting.refusals), backoff::jittered);
            waiting.refusals += 1;
            waiting.due = Some(Instant::now() + wait);
            return None;
        }
        let waiting = self.waiting.remove(&id)?;
        let Some(reply) = waiting.reply else {
            return Some(body);
        };
        let outcome = match body {
            Body::Error(refusal) => Err(refusal),
            body => Ok(body),
        };
        let _ = reply.send(outcome);
        None
    }
}

impl Waiting {
    fn is_given_up(&self, now: Instant) -> bool {
        now >= self.given_up || self.reply.as_ref().is_some_and(oneshot::Sender::is_closed)
    }
}
