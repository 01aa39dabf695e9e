//! The connection to the Kubernetes under test.

use std::{env, path::PathBuf};

use anyhow::{Context as _, Result};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

/// Namespace of the operator.
pub const OPERATOR_NAMESPACE: &str = "chat-system";

/// The Kubernetes under test.
#[derive(Clone)]
pub struct World {
    /// API client with the rights of an administrator.
    pub client: Client,
    /// File for tools.
    pub kubeconfig: PathBuf,
}

impl World {
    /// Connects and checks that the custom resource is there.
    ///
    /// # Errors
    /// No cluster, or no ChatCluster resource in it; the message says how to get them.
    pub async fn connect() -> Result<Self> {
        // A second call is refused; the provider of the first one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = env::var_os("CHATCLUSTER_KUBECONFIG")
            .or_else(|| env::var_os("KUBECONFIG"))
            .map(PathBuf::from)
            .context("no cluster: set CHATCLUSTER_KUBECONFIG, or run these tests by `cargo xtask test --only e2e`")?;
        let read =
            Kubeconfig::read_from(&kubeconfig).with_context(|| format!("failed to read {}", kubeconfig.display()))?;
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        let resources = client
            .list_api_group_resources("chatcluster.dev/v1alpha1")
            .await
            .context("no ChatCluster resource: install charts/chat-operator-crds and charts/chat-operator")?;
        anyhow::ensure!(resources.resources.iter().any(|resource| resource.kind == "ChatCluster"));
        Ok(Self { client, kubeconfig })
    }
}
