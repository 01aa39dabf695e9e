//! The benchmarks: optimised builds, figures as ratios within one run.

use std::{ffi::OsString, process::Command};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{packages, shell};

/// A version of inferno, which draws flame graphs, that the pinned toolchain builds.
const INFERNO: &str = "0.12.8";

/// Measures the gateway beside two peers; `cargo xtask bench -- --help` tells what can be chosen.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// For the measuring program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        packages::ensure_for_benchmarks()?;
        let mut bench = build(&["--package", "chat-gateway", "--package", "bench"])?;
        bench.args(&self.args);
        if self.args.iter().any(|arg| arg == "--flame" || arg.to_string_lossy().starts_with("--flame=")) {
            packages::ensure_for_flame_graphs()?;
            let tools = packages::cargo_install("inferno", INFERNO, "inferno-flamegraph")?;
            let path = std::env::var_os("PATH").unwrap_or_default();
            bench.env("PATH", std::env::join_paths([tools].into_iter().chain(std::env::split_paths(&path)))?);
        }
        // A file that is named on the command line is meant from where the command is given.
        bench.current_dir(std::env::current_dir().context("this folder is gone")?);
        shell::run(bench)
    }
}

/// Counts the instructions of the hot path, and fails when a stage takes more than its budget. The one benchmark that a busy machine does not disturb.
pub(crate) fn instructions() -> Result<()> {
    packages::ensure_for_instructions()?;
    let mut bench = build(&["--package", "bench"])?;
    bench.args(["--only", "instructions", "--peers", "chat-gateway"]);
    shell::run(bench)
}

/// Builds the programs of these packages, optimised, and gives the one that measures. Not of the workspace: the operator and the tests have no part
/// in it, and this profile shares nothing with theirs. The gateway's features are the same in either choice, so what is built once serves both.
fn build(packages: &[&str]) -> Result<Command> {
    let mut build = shell::cargo(&["build", "--profile", "bench", "--locked", "--bins"]);
    build.args(packages);
    shell::run(build)?;
    // Cargo puts what the profile `bench` builds where `release` goes, beside the folder that this program is in.
    let own = std::env::current_exe()?;
    let built = own.ancestors().nth(2).context("this program is in no folder of cargo's")?.join("release");
    let mut bench = shell::command(built.join("bench"), &[]);
    bench
        .env("CHATCLUSTER_BENCH_GATEWAY", built.join("chat-gateway"))
        .env("CHATCLUSTER_BENCH_HOTPATH", built.join("hotpath"));
    Ok(bench)
}
