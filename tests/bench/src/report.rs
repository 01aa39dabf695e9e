//! The figures of a run, as a table for people and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    /// More is.
    More,
    /// Less is.
    Less,
    /// Neither: it describes the run.
    Neither,
}

/// One measured value.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    name: &'static str,
    unit: &'static str,
    better: Better,
    target: Option<f64>,
    /// Whether the target is a multiple of what the first other peer reaches.
    times: bool,
    value: f64,
}

impl Figure {
    /// Of which more is better.
    pub(crate) fn more(name: &'static str, unit: &'static str, value: f64) -> Self {
        Self { name, unit, better: Better::More, target: None, times: false, value }
    }

    /// Of which less is better.
    pub(crate) fn less(name: &'static str, unit: &'static str, value: f64) -> Self {
        Self { name, unit, better: Better::Less, target: None, times: false, value }
    }

    /// That describes the run.
    pub(crate) fn note(name: &'static str, unit: &'static str, value: f64) -> Self {
        Self { name, unit, better: Better::Neither, target: None, times: false, value }
    }

    /// What the gateway is to reach.
    #[must_use]
    pub(crate) fn target(self, target: f64) -> Self {
        Self { target: Some(target), ..self }
    }

    /// How many times the figure of the first other peer the gateway is to reach.
    #[must_use]
    pub(crate) fn target_times(self, target: f64) -> Self {
        Self { target: Some(target), times: true, ..self }
    }

    /// The same without what is to be reached.
    #[must_use]
    pub(crate) fn without_target(self) -> Self {
        Self { target: None, ..self }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The value.
    pub(crate) fn value(&self) -> f64 {
        self.value
    }
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct Line {
    workload: &'static str,
    name: &'static str,
    unit: &'static str,
    better: Better,
    /// What the gateway is to reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<f64>,
    /// Whether the target is a multiple of what the first other peer reaches.
    times: bool,
    /// By peer, in the order of `Report::peers`; absent where a peer cannot do it or failed.
    values: Vec<Option<f64>>,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether this was the short form.
    pub(crate) quick: bool,
    /// Processors of the machine.
    pub(crate) processors: usize,
    /// Kernel of the machine.
    pub(crate) kernel: String,
    /// Names and versions, ours first.
    peers: Vec<(String, String)>,
    lines: Vec<Line>,
    /// What was not measured, and why.
    notes: Vec<String>,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(quick: bool, peers: Vec<(String, String)>) -> Self {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        Self { quick, processors: crate::machine::processors(), kernel, peers, lines: Vec::new(), notes: Vec::new() }
    }

    /// Adds the figures of one peer.
    pub(crate) fn add(&mut self, workload: &'static str, peer: &str, figures: Vec<Figure>) {
        let Some(column) = self.peers.iter().position(|(name, _)| name == peer) else { return };
        for Figure { name, unit, better, target, times, value } in figures {
            let known = self.lines.iter().position(|line| line.workload == workload && line.name == name);
            let at = known.unwrap_or(self.lines.len());
            if known.is_none() {
                self.lines.push(Line {
                    workload,
                    name,
                    unit,
                    better,
                    target,
                    times,
                    values: vec![None; self.peers.len()],
                });
            }
            self.lines[at].values[column] = Some(value);
        }
    }

    /// Says what is missing.
    pub(crate) fn note(&mut self, text: String) {
        eprintln!("  {text}");
        self.notes.push(text);
    }

    /// The table: values by peer, then ours divided by each other's.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let versions: Vec<String> = self.peers.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let form = if self.quick { "quick form" } else { "full form" };
        let _ =
            writeln!(text, "{}; {form}, {} processors, Linux {}", versions.join(", "), self.processors, self.kernel);
        let _ = write!(text, "\n{:<3} {:<52}", "", "");
        for (name, _) in &self.peers {
            let _ = write!(text, " {name:>15}");
        }
        for (name, _) in self.peers.iter().skip(1) {
            let _ = write!(text, " {:>15}", format!("ours/{name}"));
        }
        let _ = writeln!(text, " {:>9}", "target");
        for line in &self.lines {
            let name = format!("{} ({}{})", line.name, line.unit, arrow(line.better));
            let _ = write!(text, "{:<3} {name:<52}", line.workload);
            for value in &line.values {
                let _ = write!(text, " {:>15}", shown(*value));
            }
            for other in line.values.iter().skip(1) {
                let ratio = match (line.values.first(), line.better) {
                    (Some(Some(ours)), Better::More | Better::Less) => {
                        other.filter(|other| *other != 0.0).map(|other| ours / other)
                    }
                    _ => None,
                };
                let _ = write!(text, " {:>15}", shown(ratio));
            }
            let unit = if line.times { "x" } else { "" };
            let target = line.target.map(|target| format!("{}{unit}", shown(Some(target)))).unwrap_or_default();
            let _ = writeln!(text, " {target:>9}");
        }
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        text
    }
}

fn arrow(better: Better) -> &'static str {
    match better {
        Better::More => ", more is better",
        Better::Less => ", less is better",
        Better::Neither => "",
    }
}

fn shown(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_ours_divided_by_theirs() {
        let peers = ["ours", "other"].map(|name| (name.to_owned(), "1".to_owned())).to_vec();
        let mut report = Report::new(true, peers);
        report.add("W1", "ours", vec![Figure::more("rate", "1/s", 300.0).target(5.0)]);
        report.add("W1", "other", vec![Figure::more("rate", "1/s", 200.0)]);
        let table = report.table();
        let line = table.lines().find(|line| line.starts_with("W1")).unwrap();
        assert!(line.contains("300") && line.contains("200") && line.contains("1.50") && line.ends_with('5'), "{line}");
    }

    #[test]
    fn a_target_may_be_a_multiple_of_theirs() {
        let mut report = Report::new(true, vec![("ours".to_owned(), "1".to_owned())]);
        report.add("W1", "ours", vec![Figure::more("rate", "1/s", 300.0).target_times(2.0)]);
        let table = report.table();
        assert!(table.lines().any(|line| line.starts_with("W1") && line.ends_with(" 2x")), "{table}");
    }
}
