//! The benchmarks: optimised builds, figures as ratios within one run.

use anyhow::{Result, bail};

use crate::{paths, shell};

pub(crate) fn run() -> Result<()> {
    if !paths::root().join("tests/bench/Cargo.toml").exists() {
        bail!("there is no benchmark yet: tests/bench is to hold them");
    }
    shell::run(shell::cargo(&["run", "--profile", "bench", "--package", "bench"]))
}
