//! `cargo xtask`: the one entry point for developers and CI.

mod alerts;
mod backends;
mod baseline;
mod bench;
mod book;
mod charts;
mod cluster;
mod codegen;
mod conformance;
mod demo;
mod deny;
mod diagnosis;
mod docs;
mod evolution;
mod fuzz;
mod guests;
mod helm_values;
mod http_api;
mod install;
mod kafka;
mod kafka_archives;
#[path = "../../kafka/java.rs"]
mod kafka_java;
mod packages;
mod paths;
mod rbac;
mod release;
mod rfc6455;
mod scaling;
mod shell;
mod soak;
mod steps;
mod summary;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, runs and tests ChatCluster on this machine.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything from nothing: a real Kubernetes, the operator, a ChatCluster, and two addresses to open in a browser.
    Demo(demo::Demo),
    /// Every check and every test. A step that cannot run is a failure.
    Test(test::Test),
    /// The local Kubernetes by itself.
    Cluster(cluster::ClusterArgs),
    /// Builds the container images and says where they are.
    Images {
        #[command(flatten)]
        build: backends::Build,
        /// Makes the Debian images anew even when cached, to get newer packages.
        #[arg(long)]
        refresh: bool,
    },
    /// Writes the generated files, or with --check fails if one is out of date.
    Codegen {
        /// Writes nothing; fails if a file would change.
        #[arg(long)]
        check: bool,
    },
    /// Gets the Apache Kafka that tests start, unless it is in the cache.
    Kafka,
    /// Builds the gateway of the version before, which tests start beside today's, unless it is in the cache.
    Baseline,
    /// Unpacks the PostgreSQL, RabbitMQ and Redis of the images, which tests start, unless they are in the cache.
    Servers,
    /// Checks the conventions of Kubernetes resources rule by rule, on a local cluster or any other.
    Conformance(conformance::Conformance),
    /// Fuzzes everything that a gateway reads from a network, for a bounded time.
    Fuzz(fuzz::Fuzz),
    /// Counts the instructions of the hot path as tests build it, and compares them with the budget.
    Instructions(bench::Instructions),
    /// Measures an optimised gateway beside two peers, as ratios.
    Bench(bench::Bench),
    /// Makes a release with all that others need to check it, in one folder.
    Release(release::Release),
    /// Runs for long, kills what it can, and checks that nothing is lost.
    #[command(subcommand)]
    Soak(soak::Soak),
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Demo(demo) => demo.run(),
        Command::Test(test) => test.run(),
        Command::Cluster(cluster) => cluster.run(),
        Command::Images { build, refresh } => backends::images(build, refresh).map(|built| backends::print(&built)),
        Command::Codegen { check } => codegen::run(check),
        Command::Kafka => kafka::ensure(),
        Command::Baseline => baseline::ensure(),
        Command::Servers => backends::servers(),
        Command::Conformance(conformance) => conformance.run(),
        Command::Fuzz(fuzz) => fuzz.run(),
        Command::Instructions(instructions) => instructions.run(),
        Command::Bench(bench) => bench.run(),
        Command::Release(release) => release.run(),
        Command::Soak(soak) => soak.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    const INCOMPLETE: [ErrorKind; 2] =
        [ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];

    #[test]
    fn commands_of_the_documentation_are_commands() {
        let mut seen = 0;
        for page in pages::all().unwrap() {
            for command in pages::commands(&page.text, "cargo xtask") {
                if let Err(error) = Args::try_parse_from(command.words.iter().skip(1)) {
                    // A sentence may name a command without its arguments.
                    let left_out = !command.whole && INCOMPLETE.contains(&error.kind());
                    assert!(left_out || error.exit_code() == 0, "{}: {}\n{error}", page.path, command.words.join(" "));
                }
                seen += 1;
            }
        }
        assert!(seen > 40, "only {seen} commands");
    }
}
