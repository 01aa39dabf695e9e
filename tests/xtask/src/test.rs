//! `cargo xtask test`: every step, then one table and one closing line.

use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    guests::Guests,
    steps::{self, E2e, Run, Step},
};

/// Runs every check and every test.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Runs only these steps.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Leaves these steps out.
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
    /// Runs the long forms: ten minutes of quiet instead of two, and so on.
    #[arg(long)]
    long: bool,
    #[command(flatten)]
    e2e: E2e,
    /// Runs one step for a run that prints what this one says and counts it.
    #[arg(long, hide = true)]
    guest: bool,
}

impl Test {
    pub(crate) fn run(self) -> Result<()> {
        for name in self.only.iter().chain(&self.skip) {
            if !steps::ALL.iter().any(|step| step.name == name) {
                let known: Vec<&str> = steps::ALL.iter().map(|step| step.name).collect();
                bail!("there is no step {name}; the steps are {}", known.join(", "));
            }
        }
        let chosen: Vec<&Step> = steps::ALL
            .iter()
            .filter(|step| self.only.is_empty() || self.only.iter().any(|name| name == step.name))
            .filter(|step| !self.skip.iter().any(|name| name == step.name))
            .collect();
        let started = Instant::now();
        let mut run = Run { long: self.long, e2e: self.e2e, ..Run::default() };
        let mut guests = Guests::default();
        let mut rows = Vec::new();
        let mut failures = 0;
        for (at, step) in chosen.iter().enumerate() {
            println!("\n== {}/{} {}: {}", at + 1, chosen.len(), step.name, step.what);
            let begun = Instant::now();
            guests.invite(step, &chosen, self.long)?;
            let (outcome, note) = match guests.take(step.name) {
                Some(guest) => guest.report(&mut run.counts),
                None => ((step.run)(&mut run), String::new()),
            };
            let verdict = match &outcome {
                Ok(()) => "ok    ",
                Err(error) => {
                    failures += 1;
                    println!("== {} FAILED: {error:#}", step.name);
                    "FAILED"
                }
            };
            rows.push(format!("{verdict} {:>6} s  {:<10} {}{note}", begun.elapsed().as_secs(), step.name, step.what));
        }
        if self.guest {
            return if failures > 0 { bail!("the step failed") } else { Ok(()) };
        }
        println!("\n== after {} s", started.elapsed().as_secs());
        for row in rows {
            println!("{row}");
        }
        run.counts.failures().for_each(|line| println!("{line}"));
        // A step that failed without a failed test (a build, a lint) must not read as green.
        println!("{} passed, {} failed", run.counts.passed, run.counts.failed.max(failures));
        if failures > 0 {
            bail!("{failures} of {} steps failed", chosen.len());
        }
        Ok(())
    }
}
