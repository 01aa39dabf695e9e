//! APIs that the Kubernetes API server has the operator answer: `custom.metrics.k8s.io` for HorizontalPodAutoscalers, and
//! `metrics.chatcluster.dev` for everybody else. Read-only, and from memory.
//!
//! Nobody but the API server gets in: a client shows the certificate of its front proxy. For whom the API server asks, it says in headers;
//! whether they may, the operator asks it back. See `docs/adr/0019-load-through-the-api-server.md`.

mod access;
mod answers;
mod front_proxy;
mod leader;
mod questions;
mod serve;
mod tls;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use kube::Client;
use tokio::{net::TcpListener, sync::SetOnce};
use tokio_util::sync::CancellationToken;

use self::{access::Access, serve::Server, tls::Tls};
use crate::poll::Poller;

/// The poller, once this replica leads. Until then it knows nothing, and says so.
pub type Leading = Arc<SetOnce<Arc<Poller>>>;

/// How the APIs are served.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address of the port.
    pub listen: SocketAddr,
    /// Folder with `tls.crt` and `tls.key`, which may change.
    pub certificates: PathBuf,
    /// The operator's namespace.
    pub namespace: String,
    /// This replica's pod.
    pub pod: String,
}

/// The port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to serve the metrics APIs on {address}")]
pub struct ExtensionError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// Serves until `stop` is cancelled.
///
/// # Errors
/// When the address cannot be bound. What can change by itself, such as a certificate, is waited for.
pub async fn serve(
    settings: Settings,
    client: Client,
    leading: Leading,
    stop: CancellationToken,
) -> Result<(), ExtensionError> {
    let Settings { listen: address, certificates, namespace, pod } = settings;
    let listener = TcpListener::bind(address).await.map_err(|source| ExtensionError { address, source })?;
    let tls = Tls::new(certificates);
    let server = Server::new(Access::new(client.clone()), Arc::clone(&leading));
    tokio::select! {
        () = stop.cancelled() => {}
        () = tls.keep(&client) => {}
        () = leader::mark(&client, &namespace, &pod, &leading) => {}
        () = server.accept(listener, &tls) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
