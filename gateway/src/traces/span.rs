//! One step of a message's way: open while it lasts, then a record that waits to be exported.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::sync::mpsc;

use super::context::Context;
use crate::services::Counters;

/// What a span is to the others of its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// What an attribute says. Neither what people write nor what they prove themselves with ever stands in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Word(&'static str),
    Id(uuid::Uuid),
    Number(i64),
    Flag(bool),
}

/// A step that is over, or lasts.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) context: Context,
    pub(super) parent: Option<Context>,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) start: SystemTime,
    pub(super) end: SystemTime,
    pub(super) attributes: Vec<(&'static str, Value)>,
    /// Why it came to nothing.
    pub(super) error: Option<&'static str>,
}

/// Where spans go that are over. Nobody ever waits for it.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    pub(super) spans: mpsc::Sender<Span>,
    pub(super) counters: Arc<Counters>,
}

/// A step that lasts. Dropped without an end it counts as given up.
#[derive(Debug)]
pub struct Open(Option<(Span, Sink)>);

/// What a span says that was dropped before its end: the connection, or the whole gateway, ended first.
const GIVEN_UP: &str = "given_up";

impl Open {
    pub(super) fn begin(sink: &Sink, span: (Context, Option<Context>), name: &'static str, kind: Kind) -> Self {
        let (context, parent) = span;
        let now = SystemTime::now();
        let span = Span { context, parent, name, kind, start: now, end: now, attributes: Vec::new(), error: None };
        Self(Some((span, sink.clone())))
    }

    /// The same, begun at another time.
    pub(super) fn since(mut self, start: SystemTime) -> Self {
        if let Some((span, _)) = &mut self.0 {
            span.start = start;
        }
        self
    }

    /// The same with another attribute.
    pub(super) fn with(mut self, key: &'static str, value: Value) -> Self {
        self.add(key, value);
        self
    }

    pub(super) fn add(&mut self, key: &'static str, value: Value) {
        if let Some((span, _)) = &mut self.0 {
            span.attributes.push((key, value));
        }
    }

    /// A step of this step.
    pub(super) fn child(&self, name: &'static str, kind: Kind) -> Option<Self> {
        let (span, sink) = self.0.as_ref()?;
        Some(Self::begin(sink, (span.context.sibling(), Some(span.context)), name, kind))
    }

    /// Names it for those who go on with it elsewhere.
    pub(crate) fn context(&self) -> Option<Context> {
        self.0.as_ref().map(|(span, _)| span.context)
    }

    /// It is over.
    pub(crate) fn end(mut self) {
        self.close(SystemTime::now(), None);
    }

    /// It was over at that time.
    pub(super) fn end_at(mut self, end: SystemTime) {
        self.close(end, None);
    }

    /// It came to nothing, for a reason of one word.
    pub(crate) fn fail(mut self, reason: &'static str) {
        self.close(SystemTime::now(), Some(reason));
    }

    fn close(&mut self, end: SystemTime, error: Option<&'static str>) {
        let Some((mut span, sink)) = self.0.take() else { return };
        // A clock that was set back must not make a span end before it began.
        span.end = end.max(span.start);
        span.error = error;
        if sink.spans.try_send(span).is_err() {
            sink.counters.spans_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close(SystemTime::now(), Some(GIVEN_UP));
    }
}

/// Nanoseconds of the Unix epoch, as OTLP counts them.
pub(super) fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// What comes of spans, for tests of those who hold them.
#[cfg(test)]
pub(crate) struct Recorder {
    spans: mpsc::Receiver<Span>,
    counters: Arc<Counters>,
}

#[cfg(test)]
impl Recorder {
    /// A span of a trace of its own, and what comes of it and its steps, of which so many wait.
    pub(crate) fn of_a_span(waiting: usize) -> (Open, Self) {
        let (spans, inbox) = mpsc::channel(waiting);
        let counters = Arc::<Counters>::default();
        let sink = Sink { spans, counters: Arc::clone(&counters) };
        (Open::begin(&sink, (Context::root(), None), "root", Kind::Internal), Self { spans: inbox, counters })
    }

    /// How the next span ended: well, or why not; none where no further one is over.
    pub(crate) fn ended(&mut self) -> Option<Result<(), &'static str>> {
        Some(self.spans.try_recv().ok()?.error.map_or(Ok(()), Err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_know_whose_they_are_and_say_how_they_ended() {
        let (root, mut recorder) = Recorder::of_a_span(8);
        let [good, bad, dropped] = ["good", "bad", "dropped"].map(|name| root.child(name, Kind::Internal).unwrap());
        good.with("n", Value::Number(1)).end();
        bad.fail("limit");
        drop(dropped);
        let of = root.context().unwrap();
        for (name, error) in [("good", None), ("bad", Some("limit")), ("dropped", Some(GIVEN_UP))] {
            let span = recorder.spans.try_recv().unwrap();
            assert_eq!((span.name, span.error, span.parent), (name, error, Some(of)));
            assert!(span.end >= span.start && span.context.trace == of.trace && span.context.span != of.span);
        }
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let (root, mut recorder) = Recorder::of_a_span(2);
        for _ in 0..5 {
            root.child("step", Kind::Internal).unwrap().end();
        }
        assert_eq!(recorder.counters.spans_dropped.load(Ordering::Relaxed), 3);
        assert_eq!([recorder.ended(), recorder.ended(), recorder.ended()], [Some(Ok(())), Some(Ok(())), None]);
    }
}
