//! When to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Returns on SIGTERM, which Kubernetes sends, or SIGINT, which a terminal sends.
pub async fn requested() {
    // Without a handler the signal ends the process by itself: worse than a drain, and no reason not to serve.
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be handled; this gateway will not drain");
        return std::future::pending().await;
    };
    let name = tokio::select! {
        () = received(&mut terminate) => "SIGTERM",
        () = received(&mut interrupt) => "SIGINT",
    };
    tracing::info!(signal = name, "asked to stop");
}

async fn received(signal: &mut Signal) {
    // `None` means that no further signal can come; then this one waits for ever, and the other decides.
    if signal.recv().await.is_none() {
        std::future::pending().await
    }
}
