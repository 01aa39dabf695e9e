//! Families of Prometheus metrics as data: what a program shows, what its reference says and what alerts may ask for come from one table each.

pub mod gateway;
pub mod process;

/// What the values of a family do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They only grow, until the process ends.
    Counter,
    /// They come and go.
    Gauge,
    /// They count observations up to each bound, and add them up.
    Histogram,
}

impl Kind {
    /// The word of the text format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One family of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its whole name, by the rules of Prometheus: base units, `_total` behind counters.
    pub name: &'static str,
    /// What its values do.
    pub kind: Kind,
    /// Its labels, without those that whoever scrapes adds.
    pub labels: &'static [&'static str],
    /// What it tells, in plain text: the HELP of the exposition, and the reference.
    pub help: &'static str,
}

impl Family {
    /// A counter; `name` ends in `_total`.
    #[must_use]
    pub const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, labels, help }
    }

    /// A gauge.
    #[must_use]
    pub const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, labels, help }
    }

    /// A histogram.
    #[must_use]
    pub const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, labels, help }
    }
}
