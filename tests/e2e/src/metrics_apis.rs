//! The metrics APIs of the operator under test, registered for as long as a test needs them.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::world::{OPERATOR_NAMESPACE, World};

/// The API that HorizontalPodAutoscalers ask.
pub const CUSTOM: &str = "v1beta2.custom.metrics.k8s.io";
/// The API for everybody else.
pub const LOAD: &str = "v1alpha1.metrics.chatcluster.dev";

impl World {
    /// Registers an API as the chart does, runs `body`, and takes it away again whatever became of that: while an API is registered whose
    /// server is away, no namespace goes, and other tests take the operator away.
    ///
    /// # Errors
    /// The installed chart has no such API, it does not become available within a minute, or `body` fails.
    pub async fn with_metrics_api<T>(&self, api: &str, body: impl Future<Output = Result<T>>) -> Result<T> {
        let manifest = self.helm(&["get", "manifest", "chat-operator", "--namespace", OPERATOR_NAMESPACE]).await?;
        let documents = manifest.split("\n---").filter_map(|text| serde_yaml_ng::from_str::<Value>(text).ok());
        let service = documents
            .into_iter()
            .find(|document| document["kind"] == "APIService" && document["metadata"]["name"] == api)
            .with_context(|| format!("the chart is installed without {api}"))?;
        let printed = self.kubectl_any(&["apply", "-f", "-"], Some(&service.to_string())).await?;
        ensure!(printed.success, "{api} was refused: {}", printed.err);
        let outcome = async {
            let object = format!("apiservice/{api}");
            self.kubectl(&["wait", &object, "--for=condition=Available", "--timeout=60s"]).await?;
            body.await
        };
        let outcome = outcome.await;
        self.kubectl(&["delete", "apiservice", api]).await?;
        outcome
    }
}
