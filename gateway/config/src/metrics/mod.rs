//! Families of Prometheus metrics as data: what a program shows, what its reference says and what alerts may ask for come from one table each.

pub mod gateway;
pub mod process;

use std::fmt::Write as _;

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

    /// Names of its series, as queries name them.
    #[must_use]
    pub fn series(&self) -> Vec<String> {
        match self.kind {
            Kind::Counter | Kind::Gauge => vec![self.name.to_owned()],
            Kind::Histogram => ["bucket", "sum", "count"].map(|part| format!("{}_{part}", self.name)).to_vec(),
        }
    }
}

/// The families as a table in Markdown, in the order of their names.
#[must_use]
pub fn table(families: &[Family]) -> String {
    let mut families = families.to_vec();
    families.sort_by_key(|family| family.name);
    let mut table = "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for Family { name, kind, labels, help } in families {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing into a String cannot fail.
        let _ = writeln!(table, "| `{name}` | {} | {} | {help} |", kind.as_str(), labels.join(", "));
    }
    table
}

/// `page` with `table` between the marks of the table called `name`; `None` where the page has lost them.
#[must_use]
pub fn with_table(page: &str, name: &str, table: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- metrics of {name} -->\n"), format!("<!-- end of metrics of {name} -->\n"));
    let (head, rest) = page.split_once(&begin)?;
    let (_, tail) = rest.split_once(&end)?;
    Some(format!("{head}{begin}{table}{end}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILIES: &[Family] = &[
        Family::histogram("b_seconds", &[], "How long it takes"),
        Family::counter("a_total", &["of", "for"], "How many there were"),
    ];

    #[test]
    fn a_table_is_put_in_its_place() {
        let page = "# A\n<!-- metrics of x -->\nold\n<!-- end of metrics of x -->\nB\n";
        let expected = "# A\n<!-- metrics of x -->\n\
                        | metric | type | labels | meaning |\n| --- | --- | --- | --- |\n\
                        | `a_total` | counter | `of`, `for` | How many there were |\n\
                        | `b_seconds` | histogram |  | How long it takes |\n\
                        <!-- end of metrics of x -->\nB\n";
        assert_eq!(with_table(page, "x", &table(FAMILIES)).as_deref(), Some(expected));
        assert_eq!(with_table("# A\n", "x", ""), None);
    }

    #[test]
    fn a_histogram_is_several_series() {
        assert_eq!(FAMILIES[0].series(), ["b_seconds_bucket", "b_seconds_sum", "b_seconds_count"]);
        assert_eq!(FAMILIES[1].series(), ["a_total"]);
    }
}
