//! An admin port that answers probes and nothing else.

use std::{future::pending, net::SocketAddr};

use anyhow::{Context as _, Result};
use axum::{Router, http::StatusCode, routing::get};
use tokio::net::TcpListener;

/// Answers probes at `address` in the gateway's place, until the program ends; `ready` is what `/readyz` says. Who asks anything else waits for
/// ever.
///
/// # Errors
/// The port cannot be opened.
pub async fn answer_for(address: SocketAddr, ready: bool) -> Result<()> {
    let verdict = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { verdict }))
        .fallback(pending::<StatusCode>);
    let listener = TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}
