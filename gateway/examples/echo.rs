//! Sends back what it is sent, over the gateway's own listener, handshake and socket: the server that the conformance suite of RFC 6455 is run against.
//! Only the bounds on sizes are raised, since the suite sends messages of 16 MiB. Ends with its standard input.

use std::{io::Read as _, net::SocketAddr};

use anyhow::{Context as _, Result};
use axum::{Router, extract::Request, response::Response, routing::get};
use chat_gateway::{
    connection::{Heard, Wire},
    http::{self, Places},
    transport,
};
use chat_gateway_config::Timeouts;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Largest message of the suite, and some more for frames on their way.
const LARGEST: usize = 17 * 1024 * 1024;

#[tokio::main]
async fn main() -> Result<()> {
    let address: SocketAddr =
        std::env::args().nth(1).context("name the address to listen on, such as 127.0.0.1:9001")?.parse()?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))?;
    let stop = CancellationToken::new();
    let (times, places) = (Timeouts::default(), Places::new(usize::MAX));
    tokio::spawn(http::serve(listener, Router::new().route("/", get(echo)), times, places, stop.clone()));
    // Whoever started this ends it by closing its input, however they end themselves.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    stop.cancel();
    Ok(())
}

async fn echo(request: Request) -> Response {
    let (response, upgrade) = match transport::handshake(request) {
        Ok(accepted) => accepted,
        Err(refusal) => return *refusal,
    };
    tokio::spawn(async move {
        let Ok(accepted) = transport::accepted(upgrade).await else { return };
        let mut wire = Wire::new(accepted.stream, accepted.early, LARGEST);
        loop {
            match wire.hear().await {
                Ok(Heard::Message(frame)) => {
                    if wire.send(frame).await.is_err() {
                        break;
                    }
                }
                // Answered by the wire, as in the gateway.
                Ok(Heard::Ping(_) | Heard::Pong) => {}
                _ => break,
            }
        }
    });
    response
}
