//! `kubectl chat`: what a platform engineer does with ChatClusters by hand. kubectl finds this program by its name in the search path.

mod admin_port;
mod args;
mod changes;
mod completion;
mod drain;
mod gateway;
mod gateways;
mod health;
mod load;
mod logs;
#[cfg(test)]
mod objects;
mod plan;
mod rebalance;
mod report;
mod rooms;
mod seen;
mod shards;
mod status;
mod tables;
mod view;
mod why;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    args::{Args, Command},
    gateways::Sight,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // The library is built with one provider only; telling it so fails when it knows already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = Args::parse();
    let failure = args.command.failure();
    match run(args).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            failure
        }
    }
}

async fn run(Args { place, command }: Args) -> anyhow::Result<ExitCode> {
    // These need no cluster.
    match &command {
        Command::Completion { shell } => {
            print!("{}", completion::script(*shell)?);
            return Ok(ExitCode::SUCCESS);
        }
        Command::Plan(asked) => {
            plan::show(asked)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Complete { words } => {
            print!("{}", completion::candidates(words));
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let gateways = gateway::Gateways::connect(place).await?;
    match command {
        Command::Completion { .. } | Command::Complete { .. } | Command::Plan(_) => {}
        Command::Status(told) => status::show(&gateways, &told).await?,
        Command::Why(told) => return why::show(&gateways, &told).await,
        Command::Gateways(told) => gateways::show(&gateways, &told, Sight::List).await?,
        Command::Top(told) => gateways::show(&gateways, &told, Sight::Top).await?,
        Command::Rooms(asked) => rooms::show(&gateways, &asked).await?,
        Command::Logs(asked) => logs::show(&gateways, &asked).await?,
        Command::Report { cluster, output } => report::write(&gateways, &cluster, output).await?,
        Command::Drain(drain) => drain::drain(&gateways, &drain).await?,
        Command::Uncordon { pod } => drain::uncordon(&gateways, &pod).await?,
        Command::Changes(asked) => changes::run(&gateways, &asked).await?,
        Command::Shards(shards) => shards::show(&gateways, &shards).await?,
        Command::Rebalance(rebalance) => rebalance::run(&gateways, rebalance).await?,
    }
    Ok(ExitCode::SUCCESS)
}
