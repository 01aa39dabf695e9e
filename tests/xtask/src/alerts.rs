//! Alerts of the chart: promtool reads them, and says what they say of made-up series.

use anyhow::Result;

use crate::{paths, shell};

/// Checks the rules, and runs their tests.
pub(crate) fn run() -> Result<()> {
    let promtool = localkube::promtool(&|line| println!("{line}"))?;
    let root = paths::root();
    let rules = root.join("charts/chat-operator/files/rules.yaml").display().to_string();
    shell::run(shell::command(&promtool, &["check", "rules", &rules]))?;
    let tests = root.join("tests/monitoring/rules_test.yaml").display().to_string();
    shell::run(shell::command(&promtool, &["test", "rules", &tests]))
}
