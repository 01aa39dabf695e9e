//! Whether a running cluster is usable.

use std::time::Duration;

use super::Cluster;
use crate::{binaries::Binaries, command, component::Extent};

impl Cluster {
    /// Whether the API server says that it is ready. That is more than its text: before it answers with 200, the roles of
    /// the other components do not exist yet.
    pub(super) fn api_answers(&self, binaries: &Binaries) -> bool {
        command::succeeds(self.own_kubectl(binaries).args(["get", "--raw", "/readyz", "--request-timeout=2s"]))
    }

    /// Whether the API server, and where there is a node that and the name server are ready, or become so within the given time.
    pub(super) fn is_healthy(&self, binaries: &Binaries, within: Duration) -> bool {
        let timeout = format!("--timeout={}s", within.as_secs());
        let node = format!("node/{}", self.config.node());
        let ready = |resource: &str, condition: &str| {
            let mut kubectl = self.own_kubectl(binaries);
            kubectl.args(["--namespace=kube-system", "--request-timeout=5s", "wait", &timeout]);
            command::succeeds(kubectl.arg(format!("--for=condition={condition}")).arg(resource))
        };
        if self.extent == Extent::ControlPlane {
            return self.api_answers(binaries);
        }
        self.api_answers(binaries) && ready(&node, "Ready") && ready("deployment/coredns", "Available")
    }
}
