//! The figures, as a table for people and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

/// What a figure should be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Goal {
    Least(f64),
    Most(f64),
}

/// One figure.
#[derive(Debug, Serialize)]
struct Figure {
    part: &'static str,
    name: String,
    unit: &'static str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<Goal>,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    quick: bool,
    processors: usize,
    kernel: String,
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(quick: bool) -> Self {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { quick, processors, kernel, figures: Vec::new() }
    }

    /// A figure that describes the run.
    pub(crate) fn note(&mut self, part: &'static str, name: impl Into<String>, unit: &'static str, value: f64) {
        self.add(part, name.into(), unit, value, None);
    }

    /// A figure that should be this at least.
    pub(crate) fn least(&mut self, part: &'static str, name: impl Into<String>, value: f64, goal: f64) {
        self.add(part, name.into(), "", value, Some(Goal::Least(goal)));
    }

    /// A figure that should be this at most.
    pub(crate) fn most(
        &mut self,
        part: &'static str,
        name: impl Into<String>,
        unit: &'static str,
        value: f64,
        goal: f64,
    ) {
        self.add(part, name.into(), unit, value, Some(Goal::Most(goal)));
    }

    fn add(&mut self, part: &'static str, name: String, unit: &'static str, value: f64, goal: Option<Goal>) {
        eprintln!("  {name}: {} {unit}", shown(value));
        self.figures.push(Figure { part, name, unit, value, goal });
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        let form = if self.quick { "quick form" } else { "full form" };
        let mut text = format!("moves; {form}, {} processors, Linux {}\n\n", self.processors, self.kernel);
        for Figure { part, name, unit, value, goal } in &self.figures {
            let unit = if unit.is_empty() { String::new() } else { format!(", {unit}") };
            let (goal, is_missed) = match goal {
                None => (String::new(), false),
                Some(Goal::Least(goal)) => (format!(">= {}", shown(*goal)), value < goal),
                Some(Goal::Most(goal)) => (format!("<= {}", shown(*goal)), value > goal),
            };
            let verdict = if is_missed { "missed" } else { "" };
            let name = format!("{name}{unit}");
            let _ = writeln!(text, "{part:<11} {name:<64} {:>10} {goal:>9} {verdict}", shown(*value));
        }
        text
    }
}

fn shown(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_is_said() {
        let mut report = Report::new(true);
        report.least("copy", "idle", 0.6, 0.7);
        report.most("guards", "cost", "", 1.01, 1.05);
        let table = report.table();
        let line = |name: &str| table.lines().find(|line| line.contains(name)).unwrap().to_owned();
        assert!(line("idle").ends_with("missed") && !line("cost").contains("missed"), "{table}");
    }
}
