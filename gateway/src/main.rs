//! `chat-gateway`: serves chat clients, migrates the database shards, and moves slots between them.

use std::{path::Path, process::ExitCode};

use chat_gateway::{
    args::{Args, Command},
    audit, embedded,
    live::ShardsFolder,
    migrate,
    moves::{self, Job, Task},
    serve, settings, shutdown, telemetry,
};
use chat_gateway_config::{Embedded, Farewell};
use clap::Parser as _;

/// Figures in docs/reference/benchmarks.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The configuration is wrong: repeating the start will not help.
const EXIT_CONFIG: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    // Both TLS users in the tree (AMQP and Redis) take the process-wide provider.
    drop(rustls::crypto::ring::default_provider().install_default());
    telemetry::start();
    let ended = run(Args::parse()).await;
    audit::catch_up(true);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_configuration(&error) => {
            tracing::error!("{error:#}");
            ExitCode::from(EXIT_CONFIG)
        }
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_configuration(error: &anyhow::Error) -> bool {
    error.is::<settings::SettingsError>()
        || error.is::<embedded::EmbeddedError>()
        || matches!(error.downcast_ref(), Some(migrate::MigrateError::Config(_)))
        || error.downcast_ref::<moves::MovesError>().is_some_and(moves::MovesError::is_configuration)
        || error.downcast_ref::<serve::ServeError>().is_some_and(serve::ServeError::is_configuration)
}

/// Leaves how it ended where Kubernetes shows it in the pod's status, for the operator and for people.
fn tell(reason: &str, message: &str) {
    let farewell = Farewell::new(reason, message);
    // Outside a pod there is no such file, and nobody to tell but the log.
    if Path::new(Farewell::FILE).exists()
        && let Ok(json) = serde_json::to_vec(&farewell)
        && let Err(error) = std::fs::write(Farewell::FILE, json)
    {
        tracing::warn!(%error, file = Farewell::FILE, "failed to leave the reason in the pod's status");
    }
}

/// An error and its causes.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    message
}

async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Serve { config: Some(config), live_config, shards_dir, name, .. } => {
            let shards = shards_dir.map(ShardsFolder::open).transpose()?;
            let mut config = settings::load_with(&config, shards.as_ref())?;
            config.live_file = live_config.or(config.live_file);
            Ok(serve::run_following(config, shards, name).await?)
        }
        Command::Serve { config: None, data, listen, admin_listen, name, .. } => {
            let config = embedded::prepare(&data, listen, admin_listen)?;
            Ok(serve::run(config, name).await?)
        }
        Command::Migrate { config } => {
            let config = settings::load(&config)?;
            if let Some(Embedded { file, .. }) = &config.database.embedded {
                tracing::info!(file = %file.display(), "nothing to do: an embedded database is brought up to date when it is opened");
                return Ok(());
            }
            let report = tokio::select! {
                report = migrate::run(&config) => report.inspect_err(|error| tell(error.reason(), &sentence(error)))?,
                // As process 1 of its container it would otherwise ignore the signal until it is killed. Every step is a
                // transaction, so the next run goes on where this one ended.
                () = shutdown::requested() => anyhow::bail!("stopped before the migration was complete"),
            };
            for shard in report.shards {
                tracing::info!(shard = shard.name, given = shard.given, known = shard.known, "the shard is up to date");
            }
            Ok(())
        }
        Command::Move {
            config,
            slots,
            from,
            to,
            move_id,
            bytes_per_second,
            source_standbys,
            destination_standbys,
            restore,
            abort,
            clean,
            json,
        } => {
            let task = match (abort, clean) {
                (true, _) => Task::Abort,
                (_, true) => Task::Clean,
                _ => Task::Move,
            };
            let job = Job {
                task,
                slots,
                from,
                to,
                move_id,
                bytes_per_second,
                source_standbys,
                destination_standbys,
                restore,
                json,
            };
            let config = settings::load(&config)?;
            tokio::select! {
                done = moves::run(&config, &job) => {
                    done.inspect_err(|error| tell(error.reason(), &sentence(error)))?;
                    let (reason, message) = job.done();
                    tell(reason, &message);
                    Ok(())
                }
                // Every step is a transaction, and a fence ends by itself.
                () = shutdown::requested() => {
                    let stopped = "stopped before all slots had moved; the same command goes on";
                    tell("Stopped", stopped);
                    anyhow::bail!(stopped)
                }
            }
        }
    }
}
