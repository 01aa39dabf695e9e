//! `broken-gateway`: takes the command line of `chat-gateway`, migrates as it does, and serves worse.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context as _, Result, bail};
use broken_gateway::{Fault, answer_for, spoil, stand_before};
use chat_gateway::{
    args::{Args, Command},
    broker, migrate, serve, settings, telemetry,
};
use clap::Parser as _;

#[tokio::main]
async fn main() -> Result<()> {
    drop(rustls::crypto::ring::default_provider().install_default());
    telemetry::start();
    match Args::parse().command {
        Command::Serve { config: Some(config), live_config, name, .. } => {
            let fault: Fault = std::env::var(Fault::VARIABLE)
                .with_context(|| format!("{} does not say what is broken", Fault::VARIABLE))?
                .parse()?;
            let mut config = settings::load(&config)?;
            config.live_file = live_config.or(config.live_file);
            if matches!(fault, Fault::Unready | Fault::Silent) {
                let place = std::mem::replace(&mut config.admin_listen, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
                answer_for(place, fault == Fault::Silent).await?;
            }
            if fault.is_before_clients() {
                let inside = free_place()?;
                let front = std::mem::replace(&mut config.listen, inside);
                stand_before(inside, front, fault).await?;
            }
            let join = |config: &_, name: &_| {
                let (broker, deliveries) = broker::start(config, name);
                (broker, spoil(fault, deliveries))
            };
            Ok(serve::run_over(config, name, join).await?)
        }
        Command::Serve { config: None, .. } => bail!("a gateway that is alone has nothing to be compared with"),
        Command::Migrate { config } => Ok(migrate::run(&settings::load(&config)?).await.map(drop)?),
        Command::Move { .. } => bail!("it moves no slots; that is for chat-gateway move"),
    }
}

/// A port on this machine that nobody has now: the real gateway takes it in a moment.
fn free_place() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to find a free port")?;
    Ok(listener.local_addr()?)
}
