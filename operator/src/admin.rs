//! `/healthz`, `/readyz` and `/metrics` over plain HTTP for the kubelet and for Prometheus.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Whether the operator can do its work, and if not, why. Shared by the parts that start one after the other.
#[derive(Clone, Debug)]
pub struct Readiness {
    // A std mutex: held for a clone of a short string, never across an await.
    blocker: Arc<Mutex<Option<String>>>,
}

impl Readiness {
    /// Not ready, because of `reason`.
    #[must_use]
    pub fn blocked(reason: &str) -> Self {
        Self { blocker: Arc::new(Mutex::new(Some(reason.to_owned()))) }
    }

    /// States why the operator cannot work.
    pub fn block(&self, reason: String) {
        *self.blocker.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// States that the operator works.
    pub fn ready(&self) {
        *self.blocker.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why the operator cannot work; `None` when it can.
    #[must_use]
    pub fn blocker(&self) -> Option<String> {
        self.blocker.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The admin port could not be opened or served.
#[derive(Debug, thiserror::Error)]
#[error("failed to serve health and metrics on {address}")]
pub struct AdminError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

#[derive(Clone)]
struct AdminState {
    readiness: Readiness,
    metrics: Arc<Metrics>,
}

/// Serves until `stop` is cancelled.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    address: SocketAddr,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<(), AdminError> {
    let fail = |source| AdminError { address, source };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(fail)?;
    axum::serve(listener, router(readiness, metrics)).with_graceful_shutdown(stop.cancelled_owned()).await.map_err(fail)
}

fn router(readiness: Readiness, metrics: Arc<Metrics>) -> Router {
    Router::new()
        // Liveness says only that the process answers: restarting it cannot make a CRD or an API server appear.
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(|State(state): State<AdminState>| async move { state.metrics.encode() }))
        .with_state(AdminState { readiness, metrics })
}

async fn readyz(State(state): State<AdminState>) -> (StatusCode, String) {
    match state.readiness.blocker() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readyz_names_the_blocker() {
        let readiness = Readiness::blocked("the CRD is absent");
        let state = AdminState { readiness: readiness.clone(), metrics: Arc::new(Metrics::new().unwrap()) };
        let (code, body) = readyz(State(state.clone())).await;
        assert_eq!((code, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "the CRD is absent\n"));
        readiness.ready();
        assert_eq!(readyz(State(state)).await.0, StatusCode::OK);
    }
}
