//! The benchmarks: optimised builds, figures as ratios within one run.

use std::{ffi::OsString, process::Command};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use crate::{backends, packages, scaling::Scaling, shell};

/// A version of inferno, which draws flame graphs, that the pinned toolchain builds.
const INFERNO: &str = "0.12.8";

/// Measures the gateway beside two peers; `cargo xtask bench -- --help` tells what can be chosen.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Bench {
    #[command(subcommand)]
    other: Option<Other>,
    /// For the measuring program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Measures the operator beside a HorizontalPodAutoscaler, before simulated gateways.
    Scaling(Scaling),
    /// Measures moves of slots between two PostgreSQL servers; `cargo xtask bench moves -- --help` tells what can be chosen.
    Moves {
        /// For the measuring program.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// Counts the instructions of the hot path in the tests' profile, and fails when a stage takes more than its budget.
#[derive(Debug, Default, Args)]
pub(crate) struct Instructions {
    /// Makes what is counted the new budget.
    #[arg(long)]
    write_budget: bool,
}

impl Instructions {
    /// The one benchmark that a busy machine does not disturb, of programs that the tests have nearly built.
    pub(crate) fn run(self) -> Result<()> {
        packages::ensure_for_instructions()?;
        // Of the whole workspace, because cargo chooses the features of dependencies by the packages it is asked for.
        let programs = ["--bin", "bench", "--bin", "hotpath", "--bin", "chat-gateway"];
        let mut build = shell::cargo(&["build", "--workspace", "--locked", "--quiet"]);
        build.args(programs);
        shell::run(build)?;
        let mut bench = measuring("debug")?;
        bench.args(["--only", "instructions", "--peers", "chat-gateway"]);
        bench.args(self.write_budget.then_some("--write-budget"));
        shell::run(bench)
    }
}

/// The program that measures, out of this folder beside the one that this program is in.
fn measuring(folder: &str) -> Result<Command> {
    let own = std::env::current_exe()?;
    let built = own.ancestors().nth(2).context("this program is in no folder of cargo's")?.join(folder);
    let mut bench = shell::command(built.join("bench"), &[]);
    bench
        .env("CHATCLUSTER_BENCH_GATEWAY", built.join("chat-gateway"))
        .env("CHATCLUSTER_BENCH_HOTPATH", built.join("hotpath"));
    Ok(bench)
}

/// Builds one of the programs that move slots, optimised, and runs it where the command is given.
pub(crate) fn moves(program: &str, args: &[OsString]) -> Result<()> {
    backends::servers()?;
    // With the gateway's own features, as for the other benchmarks.
    let mut build =
        shell::cargo(&["build", "--profile", "bench", "--locked", "--package", "chat-gateway", "--package", "bench"]);
    build.args(["--bin", program]);
    shell::run(build)?;
    let own = std::env::current_exe()?;
    let built = own.ancestors().nth(2).context("this program is in no folder of cargo's")?.join("release");
    let mut measuring = shell::command(built.join(program), &[]);
    measuring.args(args).current_dir(std::env::current_dir().context("this folder is gone")?);
    shell::run(measuring)
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        match self.other {
            Some(Other::Scaling(scaling)) => return scaling.run(),
            Some(Other::Moves { args }) => return moves("moves", &args),
            None => {}
        }
        packages::ensure_for_benchmarks()?;
        // Two packages and not the workspace: the operator and the tests have no part in it, and this profile shares nothing with theirs.
        let build =
            ["build", "--profile", "bench", "--locked", "--package", "chat-gateway", "--package", "bench", "--bins"];
        shell::run(shell::cargo(&build))?;
        // Cargo puts what the profile `bench` builds where `release` goes, beside the folder that this program is in.
        let mut bench = measuring("release")?;
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
