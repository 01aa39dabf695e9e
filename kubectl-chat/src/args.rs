//! What the command line says.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use jiff::SignedDuration;

use crate::{completion, plan};

/// What a platform engineer does with ChatClusters by hand.
#[derive(Debug, Parser)]
#[command(name = "kubectl-chat", bin_name = "kubectl chat", version)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where to look.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// Namespace; the one of the context if absent.
    #[arg(short, long, global = true)]
    pub(crate) namespace: Option<String>,
    /// Context of the kubeconfig; the current one if absent.
    #[arg(long, global = true)]
    pub(crate) context: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows on one screen how a ChatCluster is: ready or not, gateways, clients, backends, rollout, delivery, and what is worth a look.
    Status(Told),
    /// Says what is wrong with a ChatCluster, why, since when, and what to do. Ends with 0 when all is well, with 1 when something is not as it should be, with 2 when that cannot be told.
    Why(Told),
    /// Lists the gateways of a ChatCluster: revision, state, connections, messages a second, restarts, age, node.
    Gateways(Told),
    /// Lists the gateways of a ChatCluster by what they carry.
    Top(Told),
    /// Lists the rooms of a ChatCluster in which the most goes on: messages a second, connections, gateways.
    Rooms(Rooms),
    /// Shows what all pods of a part logged, in the order of time.
    Logs(Logs),
    /// Writes what somebody who helps needs to see, as one JSON without what is secret: the ChatCluster and all that it is made of, Events, versions, what is wrong.
    Report {
        /// Name of the ChatCluster.
        cluster: String,
        /// File to write; the standard output if absent.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Says what a ChatCluster of a given size needs: gateways, broker, Redis, shards; what runs out first; and writes one that fits. Needs no cluster.
    Plan(Box<plan::Asked>),
    /// Writes what makes the Tab key complete commands: for kubectl, bash, zsh or fish.
    Completion {
        /// The shell, or kubectl.
        shell: completion::Shell,
    },
    /// Answers kubectl, which asks what fits.
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The words so far, the last of which is to be completed.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Replaces a gateway: another one starts, the clients of this one move to the others within the budget, and its pod goes when nobody is left.
    Drain(Drain),
    /// Takes a drain back: the gateway takes people again.
    Uncordon {
        /// Name of the gateway's pod.
        pod: String,
    },
    /// Shows what the operator would change about pods that run, and waits with; approves of it.
    Changes(Changes),
    /// Shows the database shards of a ChatCluster: slots, rows, bytes, lag.
    Shards(Told),
    /// Plans, approves, pauses, aborts and watches moves of slots between shards.
    #[command(subcommand)]
    Rebalance(Rebalance),
}

impl Command {
    /// The exit code when it fails. 1 is an answer of `why`.
    pub(crate) fn failure(&self) -> ExitCode {
        ExitCode::from(if matches!(self, Self::Why(_)) { 2 } else { 1 })
    }
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// A ChatCluster that is to be told about.
#[derive(Debug, clap::Args)]
pub(crate) struct Told {
    /// Name of the ChatCluster.
    pub(crate) cluster: String,
    /// How it is written.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rooms {
    /// Name of the ChatCluster.
    pub(crate) cluster: String,
    /// Rooms at most.
    #[arg(long, default_value_t = 20, value_name = "ROOMS", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) limit: u16,
    /// How it is written.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    /// Name of the ChatCluster.
    pub(crate) cluster: String,
    /// Whose logs.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) part: Part,
    /// From how long ago on, such as 90s, 10m or 2h.
    #[arg(long, default_value = "10m", value_name = "TIME")]
    pub(crate) since: SignedDuration,
    /// Lines of each pod at most, the newest.
    #[arg(long, default_value_t = 1_000, value_name = "LINES")]
    pub(crate) tail: i64,
    /// Lines of this level and graver ones only. Broker, Redis, PostgreSQL and HAProxy have lines without a level.
    #[arg(long, value_enum)]
    pub(crate) level: Option<Level>,
    /// The audit log only, which gateways write: who did what, and what came of it. `--tail` counts its lines.
    #[arg(long, conflicts_with = "level")]
    pub(crate) audit: bool,
    /// How it is written: json is an object a line.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Pods of a ChatCluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// The gateways.
    #[default]
    Gateway,
    /// HAProxy in front of them.
    Balancer,
    /// RabbitMQ.
    Broker,
    /// Redis.
    Cache,
    /// PostgreSQL.
    Database,
    /// The migration of the shards.
    Migration,
    /// Moves of slots between shards.
    Mover,
    /// All of them.
    All,
}

impl Part {
    /// Its component, as the label says it; `None` for all.
    pub(crate) fn component(self) -> Option<&'static str> {
        Some(match self {
            Self::Gateway => "gateway",
            Self::Balancer => "balancer",
            Self::Broker => "broker",
            Self::Cache => "cache",
            Self::Database => "database",
            Self::Migration => "migration",
            Self::Mover => "mover",
            Self::All => return None,
        })
    }
}

/// How grave a line is, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Level {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What happens.
    Info,
    /// Everything.
    Debug,
}

impl Level {
    /// The level of a line, as the gateway writes it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        Some(match text {
            "ERROR" => Self::Error,
            "WARN" => Self::Warn,
            "INFO" => Self::Info,
            "DEBUG" | "TRACE" => Self::Debug,
            _ => return None,
        })
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Changes {
    /// Name of the ChatCluster.
    pub(crate) cluster: String,
    /// Has the changes made that have this hash: one part after the other.
    #[arg(long, value_name = "HASH")]
    pub(crate) approve: Option<String>,
    /// How it is written.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Rebalance {
    /// Has the operator plan moves, and shows what they would cost. Nothing moves before the plan is approved.
    Plan {
        /// Name of the ChatCluster.
        cluster: String,
        /// Slots to move, such as 5 or 0-31,40; without them, what brings every shard to its share.
        #[arg(long, requires = "to")]
        slots: Option<String>,
        /// Name of the shard that is to have the slots.
        #[arg(long, requires = "slots")]
        to: Option<String>,
        /// How it is written.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Approves a plan, and lets it go on where it was paused.
    Approve {
        /// Name of the ShardRebalance.
        name: String,
        /// Hash of the plan that was read; the one that it has now if absent.
        #[arg(long)]
        plan: Option<String>,
    },
    /// Stops it: slots under way stay with their source until it goes on.
    Pause {
        /// Name of the ShardRebalance.
        name: String,
    },
    /// Lets a paused one go on.
    Resume {
        /// Name of the ShardRebalance.
        name: String,
    },
    /// Gives up what has not moved, for good.
    Abort {
        /// Name of the ShardRebalance.
        name: String,
    },
    /// Shows how far it is until it ends.
    Watch {
        /// Name of the ShardRebalance.
        name: String,
        /// How it is written: json is an object a line.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Drain {
    /// Name of the gateway's pod.
    pub(crate) pod: String,
    /// Ask for it, and do not wait until it is done.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Seconds to wait at most; the drain goes on when they are over.
    #[arg(long, default_value_t = 1_800, value_name = "SECONDS")]
    pub(crate) timeout: u64,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, error::ErrorKind};

    use super::*;

    const INCOMPLETE: [ErrorKind; 2] =
        [ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
        let args = Args::parse_from(["kubectl-chat", "drain", "demo-gateway-1", "-n", "chat", "--no-wait"]);
        assert_eq!(args.place.namespace.as_deref(), Some("chat"));
        assert!(matches!(args.command, Command::Drain(Drain { no_wait: true, timeout: 1_800, .. })));
        let args = Args::parse_from(["kubectl-chat", "rebalance", "watch", "demo-g2", "-o", "json"]);
        assert!(matches!(args.command, Command::Rebalance(Rebalance::Watch { output: Output::Json, .. })));
        assert!(Args::try_parse_from(["kubectl-chat", "rebalance", "plan", "demo", "--slots", "1"]).is_err());
    }

    #[test]
    fn commands_of_the_documentation_are_commands() {
        let mut seen = 0;
        for page in pages::all().unwrap() {
            for command in pages::commands(&page.text, "kubectl chat") {
                if let Err(error) = Args::try_parse_from(command.words.iter().skip(1)) {
                    // A sentence may name a command without its arguments.
                    let left_out = !command.whole && INCOMPLETE.contains(&error.kind());
                    assert!(left_out, "{}: {}\n{error}", page.path, command.words.join(" "));
                }
                seen += 1;
            }
        }
        assert!(seen > 30, "only {seen} commands");
    }
}
