//! The ChatCluster operator: `chat-operator`.

use std::process::ExitCode;

use chat_operator::{args::Args, run, telemetry};
use clap::Parser;

fn main() -> ExitCode {
    let args = Args::parse();
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ended");
            eprintln!("chat-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args) -> anyhow::Result<()> {
    telemetry::init(&args.log)?;
    // Two threads are enough for what waits for the API server most of the time, and each more costs memory.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run::run(args))
}
