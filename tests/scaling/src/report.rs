//! The figures as a table for a person and as JSON.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{drive::Contender, record::Figures, scenario::Scenario};

/// What a figure of the operator should be at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Goal {
    /// This.
    Most(f64),
    /// This share of the HorizontalPodAutoscaler's.
    Share(f64),
}

/// One figure of both contenders.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    scenario: &'static str,
    figure: String,
    operator: Option<f64>,
    hpa: Option<f64>,
    goal: Option<Goal>,
}

impl Row {
    /// A figure that the operator alone has.
    pub(crate) fn alone(scenario: Scenario, figure: &str, value: f64, goal: Option<f64>) -> Self {
        let (operator, goal) = (Some(value), goal.map(Goal::Most));
        Self { scenario: scenario.name(), figure: figure.to_owned(), operator, hpa: None, goal }
    }

    /// Whether the goal is missed; a figure that there is none of misses it, too.
    fn misses(&self) -> bool {
        match (self.goal, self.operator, self.hpa) {
            (None, ..) => false,
            (Some(Goal::Most(most)), Some(value), _) => value > most,
            (Some(Goal::Share(share)), Some(value), Some(other)) => value > share * other,
            _ => true,
        }
    }

    fn line(&self) -> String {
        let ratio = match (self.operator, self.hpa) {
            (Some(ours), Some(theirs)) if theirs != 0.0 => Some(ours / theirs),
            _ => None,
        };
        let goal = match self.goal {
            None => String::new(),
            Some(Goal::Most(most)) => shown(Some(most)),
            Some(Goal::Share(share)) => format!("{}x", shown(Some(share))),
        };
        let verdict = if self.misses() { "**missed**" } else { "" };
        let [operator, hpa, ratio] = [self.operator, self.hpa, ratio].map(shown);
        format!("| {} | {} | {operator} | {hpa} | {ratio} | {goal} | {verdict} |", self.scenario, self.figure)
    }
}

/// The rows of a scenario.
pub(crate) fn rows(scenario: Scenario, start: f64, of: impl Fn(Contender) -> Figures) -> Vec<Row> {
    let [ours, theirs] = Contender::ALL.map(of);
    let row = |figure: &str, value: &dyn Fn(&Figures) -> Option<f64>, goal: Option<Goal>| Row {
        scenario: scenario.name(),
        figure: figure.to_owned(),
        operator: value(&ours),
        hpa: value(&theirs),
        goal,
    };
    let some = |value: f64| Some(value);
    let is_lost = scenario == Scenario::HalfLost;
    let moves = (scenario == Scenario::Sine).then_some(Goal::Share(0.45));
    // Who loses a gateway comes back when it wants to: that is nobody's budget.
    let budget = (!is_lost).then_some(Goal::Most(1.1));
    let mut rows = vec![
        row("forced moves", &|one| some(one.forced_moves as f64), moves),
        row("peak reconnects, 1/s", &|one| some(one.peak_reconnects as f64), None),
        row("peak reconnects / budget", &|one| some(one.peak_of_budget), budget),
        row("reversals", &|one| some(one.reversals.into()), None),
        row("scale-downs", &|one| some(one.scale_downs.into()), None),
        row("mean pods", &|one| some(one.mean_pods), None),
        row("seconds below demand", &|one| some(one.below.into()), None),
        row(
            "seconds below demand after a scale-down",
            &|one| some(one.below_after_fewer.into()),
            Some(Goal::Most(0.0)),
        ),
        row("people waiting, mean", &|one| some(one.mean_waiting), None),
    ];
    if matches!(scenario, Scenario::StepUp | Scenario::FlashCrowd | Scenario::HalfLost) {
        // Of a flash crowd and a loss it is told, and nothing was promised.
        let goal = (scenario == Scenario::StepUp).then_some(Goal::Most(30.0 + start));
        rows.push(row("capacity covers demand after, s", &|one| one.covered_after.map(f64::from), goal));
    }
    if is_lost {
        rows.push(row("connections lost", &|one| some(one.lost as f64), None));
    }
    if scenario == Scenario::GatewaysAdded {
        rows.push(row("even within a tenth after, s", &|one| one.even_after.map(f64::from), None));
        rows.push(row("fullest gateway at the end / mean", &|one| some(one.unevenness), Some(Goal::Most(1.1))));
    }
    if scenario == Scenario::StatsStalled {
        let goal = Some(Goal::Most(0.0));
        rows.push(row("scale-downs while nobody answers", &|one| some(one.scale_downs_blind.into()), goal));
    }
    rows
}

/// The table, in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let head =
        "| scenario | figure | operator | HPA | operator / HPA | goal | |\n| --- | --- | --- | --- | --- | --- | --- |";
    let lines: Vec<String> = rows.iter().map(Row::line).collect();
    format!("{head}\n{}", lines.join("\n"))
}

/// Writes everything as JSON.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(path: &Path, report: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    std::fs::write(path, text + "\n").with_context(|| format!("failed to write {}", path.display()))
}

fn shown(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.fract() == 0.0 || value.abs() >= 1_000.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(operator: Option<f64>, hpa: Option<f64>, goal: Goal) -> Row {
        Row { scenario: "sine", figure: "forced moves".to_owned(), operator, hpa, goal: Some(goal) }
    }

    #[test]
    fn a_goal_is_a_number_or_a_share_of_the_other_and_what_is_not_known_misses_it() {
        assert!(!row(Some(40.0), None, Goal::Most(40.0)).misses());
        assert!(row(Some(41.0), None, Goal::Most(40.0)).misses());
        assert!(row(None, Some(1.0), Goal::Most(40.0)).misses());
        assert!(!row(Some(45.0), Some(100.0), Goal::Share(0.45)).misses());
        assert!(row(Some(46.0), Some(100.0), Goal::Share(0.45)).misses());
        assert_eq!(
            row(Some(50.0), Some(100.0), Goal::Share(0.45)).line(),
            "| sine | forced moves | 50 | 100 | 0.50 | 0.45x | **missed** |"
        );
    }
}
