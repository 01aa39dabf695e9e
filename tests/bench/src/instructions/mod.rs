//! Counts the instructions of the hot path and compares them with a budget that is kept with the sources. Instructions, unlike times, are the
//! same on a busy machine, so a few per cent more are a fact.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::machine;

/// What each stage may cost, from `budget.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Budget {
    /// Per cent over the budget that are not yet a regression: compilers and hash seeds vary a little.
    tolerance_percent: f64,
    /// Instructions of one message, by cargo profile and stage.
    instructions: BTreeMap<String, Counts>,
}

/// Instructions by stage.
type Counts = BTreeMap<String, u64>;

/// What the program whose instructions are counted was built with, as this one was: `bench` is what people run, `dev` what tests have built
/// anyway, so that every run of them can look.
const PROFILE: &str = if cfg!(debug_assertions) { "dev" } else { "bench" };

/// Stages, in the order of a message's way; each is a function of `hotpath` that valgrind counts inside of.
const STAGES: &[&str] = &["decode", "accept", "encode", "fan_out"];

/// Counts and compares; with `write`, makes what was counted the new budget.
///
/// # Errors
/// A stage grew by more than the tolerance, or valgrind is absent.
pub(crate) fn check(program: &Path, write: bool) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("budget.json");
    let mut counted = Counts::new();
    for stage in STAGES {
        machine::check_time()?;
        counted.insert((*stage).to_owned(), count(program, stage)?);
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("no budget at {}", path.display()))?;
    let mut budget: Budget = serde_json::from_str(&text)?;
    if write {
        budget.instructions.insert(PROFILE.to_owned(), counted);
        std::fs::write(&path, serde_json::to_string_pretty(&budget)? + "\n")?;
        println!("wrote {}", path.display());
        return Ok(());
    }
    let allowed = budget.instructions.get(PROFILE);
    let allowed = allowed.with_context(|| format!("no budget for profile {PROFILE}: make one with --write-budget"))?;
    compare(allowed, budget.tolerance_percent, &counted)
}

/// Prints each stage, and fails when one costs too much.
fn compare(budget: &Counts, tolerance_percent: f64, counted: &Counts) -> Result<()> {
    let mut grown = Vec::new();
    println!("{:<10} {:>12} {:>12} {:>8}", "stage", "counted", "budget", "change");
    for stage in STAGES {
        let (Some(now), Some(then)) = (counted.get(*stage), budget.get(*stage)) else {
            bail!("stage {stage} is not in the budget: write it anew with --write-budget");
        };
        let change = (*now as f64 / *then as f64 - 1.0) * 100.0;
        println!("{stage:<10} {now:>12} {then:>12} {change:>+7.1}%");
        if change > tolerance_percent {
            grown.push(format!("{stage} by {change:.1} %"));
        }
    }
    if !grown.is_empty() {
        bail!(
            "instructions grew: {}; make the stage cheaper, or say in the change why it must cost more and use --write-budget",
            grown.join(", ")
        );
    }
    Ok(())
}

/// Instructions of one message in a stage.
fn count(program: &Path, stage: &str) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let out: PathBuf = folder.path().join("callgrind");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect=*stage_{stage}*"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .arg(stage)
        .output()
        .context("valgrind is needed; on Debian: apt-get install --no-install-recommends valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("stage {stage} failed: {said}");
    }
    let total: u64 = said
        .lines()
        .find_map(|line| line.split("Collected : ").nth(1)?.trim().parse().ok())
        .with_context(|| format!("no count from valgrind: {said}"))?;
    let rounds: u64 =
        String::from_utf8_lossy(&output.stdout).trim().parse().context("hotpath did not tell its rounds")?;
    if total == 0 {
        bail!("nothing was counted in stage {stage}: is its function still named stage_{stage}?");
    }
    Ok(total / rounds.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(fan_out: u64) -> Counts {
        [("decode", 100), ("accept", 100), ("encode", 100), ("fan_out", fan_out)]
            .map(|(stage, count)| (stage.to_owned(), count))
            .into()
    }

    #[test]
    fn names_the_stage_that_grew() {
        compare(&counts(1_000), 5.0, &counts(1_049)).unwrap();
        let error = compare(&counts(1_000), 5.0, &counts(1_060)).unwrap_err().to_string();
        assert!(error.contains("fan_out by 6.0 %") && !error.contains("decode"), "{error}");
    }
}
