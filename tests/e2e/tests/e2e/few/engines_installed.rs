//! CloudNativePG and the RabbitMQ Cluster Operator themselves, built from their Go modules and installed with their own manifests.

use std::env;

use anyhow::{Context as _, Result};
use e2e::World;

use super::scaled::changed;

/// CloudNativePG makes certificates for its webhooks first.
const START_LIMIT: &str = "--timeout=180s";

/// One of the two.
struct Manager {
    /// The variable with the folder of its manifests.
    manifests: &'static str,
    deployment: &'static str,
    namespace: &'static str,
    /// What differs from a cluster that fetches images and has processors to spare.
    changes: &'static [(&'static str, &'static str)],
}

const CLOUD_NATIVE_PG: Manager = Manager {
    manifests: "CHATCLUSTER_CLOUD_NATIVE_PG",
    deployment: "deployment/cnpg-controller-manager",
    namespace: "cnpg-system",
    changes: &[
        ("controller:latest", "chatcluster.dev/cloudnative-pg:1.27.0"),
        ("imagePullPolicy: Always", "imagePullPolicy: IfNotPresent"),
        (
            "          limits:\n            cpu: 100m\n            memory: 200Mi\n          requests:\n            cpu: 100m\n",
            "          limits:\n            memory: 200Mi\n          requests:\n            cpu: 10m\n",
        ),
    ],
};

const RABBITMQ: Manager = Manager {
    manifests: "CHATCLUSTER_RABBITMQ_OPERATOR",
    deployment: "deployment/rabbitmq-cluster-operator",
    namespace: "rabbitmq-system",
    changes: &[
        ("rabbitmqoperator/cluster-operator:latest", "chatcluster.dev/rabbitmq-operator:2.16.0"),
        (
            "          limits:\n            cpu: 200m\n            memory: 500Mi\n          requests:\n            cpu: 200m\n            memory: 500Mi\n",
            "          limits:\n            memory: 500Mi\n          requests:\n            cpu: 10m\n            memory: 100Mi\n",
        ),
    ],
};

/// Both, while they are installed.
pub(super) struct Installed(Vec<String>);

impl Installed {
    /// Installs both and waits until they serve.
    pub(super) async fn both(world: &World) -> Result<Self> {
        let mut installed = Vec::new();
        for manager in [&CLOUD_NATIVE_PG, &RABBITMQ] {
            let folder = env::var(manager.manifests).ok().filter(|folder| !folder.is_empty());
            let folder = folder.with_context(|| {
                format!("{} is not set: run this test by `cargo xtask test --only e2e`", manager.manifests)
            })?;
            let manifests = changed(&world.kubectl(&["kustomize", &folder]).await?, manager.changes)?;
            world.kubectl_apply(&manifests).await?;
            installed.push(manifests);
        }
        for Manager { deployment, namespace, .. } in [CLOUD_NATIVE_PG, RABBITMQ] {
            world.kubectl(&["rollout", "status", deployment, "-n", namespace, START_LIMIT]).await?;
        }
        Ok(Self(installed))
    }

    /// Takes both away, with their definitions: nothing of their kinds may be left.
    pub(super) async fn remove(self, world: &World) -> Result<()> {
        for manifests in self.0 {
            let delete = ["delete", "--ignore-not-found", "--timeout=120s", "-f", "-"];
            let printed = world.kubectl_any(&delete, Some(&manifests)).await?;
            anyhow::ensure!(printed.success, "an engine's operator cannot be removed: {}", printed.err);
        }
        Ok(())
    }
}
