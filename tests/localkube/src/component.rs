//! The programs of a cluster and their command lines.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

use crate::{binaries::Binaries, config::ClusterConfig, layout::Layout};

/// Where the provisioner makes volumes, as the cluster's processes see it.
const VOLUMES: &str = "/var/lib/volumes";

/// Where the API server writes its audit log, as the cluster's processes see it.
const AUDIT_LOG: &str = "/var/log/audit.log";

/// Without nodes, pods are played by whoever asked for the cluster: nobody takes them for lost, their addresses may be of any kind, and so many
/// may come at once that the usual limit on requests would be what is measured.
const WITHOUT_NODES: &[&str] = &[
    "--controllers=*,-node-lifecycle-controller,-taint-eviction-controller,-pod-garbage-collector-controller,\
     -endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller",
    "--kube-api-qps=500",
    "--kube-api-burst=1000",
    "--concurrent-replicaset-syncs=20",
    "--concurrent-deployment-syncs=20",
];

/// How much of a cluster there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// All of it, with a node that runs pods.
    #[default]
    Whole,
    /// etcd, the API server and the controllers of Kubernetes: objects and what follows from them, and nobody who runs a pod.
    ControlPlane,
}

impl Extent {
    /// What is put before every command line. Who wants a control plane alone wants very many objects, for which the usual memory of a program
    /// does not do: it would do nothing but collect garbage.
    pub(crate) fn environment(self) -> &'static [&'static str] {
        match self {
            Self::Whole => &[],
            Self::ControlPlane => &["env", "GOMEMLIMIT=4GiB"],
        }
    }
}

/// One program of a running cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// The sleeping process that holds the network and mount namespaces open.
    Namespaces,
    /// Runs containers.
    Containerd,
    /// Keeps the API server's objects.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// The controllers of Kubernetes itself.
    KubeControllerManager,
    /// Gives pods to the node.
    KubeScheduler,
    /// Starts and watches the node's pods.
    Kubelet,
    /// Makes Service addresses work.
    KubeProxy,
    /// Makes volumes.
    Provisioner,
}

impl Component {
    /// Everything that runs inside the namespaces, in the order in which it is started.
    pub(crate) const INSIDE: [Self; 8] = [
        Self::Containerd,
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kubelet,
        Self::KubeProxy,
        Self::Provisioner,
    ];

    /// The usual name of the program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Containerd => "containerd",
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::Provisioner => "provisioner",
        }
    }

    /// What an extent has of them, in the order in which it is started.
    pub(crate) fn of(extent: Extent) -> impl Iterator<Item = Self> {
        let controls =
            |component: &Self| matches!(component, Self::Etcd | Self::KubeApiserver | Self::KubeControllerManager);
        Self::INSIDE.into_iter().filter(move |component| extent == Extent::Whole || controls(component))
    }

    /// Arguments that it has in an extent beside its usual ones.
    pub(crate) fn further(self, extent: Extent, layout: &Layout) -> Vec<String> {
        match (self, extent) {
            (Self::KubeControllerManager, Extent::ControlPlane) => {
                WITHOUT_NODES.iter().map(|&argument| argument.to_owned()).collect()
            }
            // Not without nodes: no service account has a pod there, and the API server's speed is measured.
            (Self::KubeApiserver, Extent::Whole) => audit(layout),
            _ => Vec::new(),
        }
    }

    /// Whether it needs an API server that answers, and ends or gives up without one.
    pub(crate) fn needs_api(self) -> bool {
        !matches!(self, Self::Namespaces | Self::Containerd | Self::Etcd | Self::KubeApiserver)
    }

    /// The command line inside the namespaces.
    pub(crate) fn command_line(self, config: &ClusterConfig, layout: &Layout, binaries: &Binaries) -> Vec<String> {
        let arguments = match self {
            Self::Namespaces => return vec![text(&binaries.pause)],
            Self::Containerd => {
                let settings = layout.settings_file("containerd.toml");
                return vec![self.name().to_owned(), "--config".to_owned(), settings];
            }
            Self::Etcd => etcd(config),
            Self::KubeApiserver => apiserver(config, layout),
            Self::KubeControllerManager => controller_manager(config, layout),
            Self::KubeScheduler => vec![
                format!("--kubeconfig={}", self.kubeconfig(layout)),
                format!("--authentication-kubeconfig={}", self.kubeconfig(layout)),
                format!("--authorization-kubeconfig={}", self.kubeconfig(layout)),
                "--leader-elect=false".to_owned(),
            ],
            Self::Kubelet => vec![
                format!("--config={}", layout.settings_file("kubelet.yaml")),
                format!("--kubeconfig={}", self.kubeconfig(layout)),
                format!("--hostname-override={}", config.node()),
                format!("--node-ip={}", config.node_address()),
            ],
            Self::KubeProxy => vec![
                format!("--config={}", layout.settings_file("kube-proxy.yaml")),
                format!("--hostname-override={}", config.node()),
            ],
            Self::Provisioner => vec![
                format!("--kubeconfig={}", self.kubeconfig(layout)),
                format!("--node={}", config.node()),
                format!("--root={}", VOLUMES),
            ],
        };
        let program = [text(&binaries.localkube), self.name().to_owned()];
        program.into_iter().chain(arguments).collect()
    }

    fn kubeconfig(self, layout: &Layout) -> String {
        text(&layout.kubeconfig(self.name()))
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn etcd(config: &ClusterConfig) -> Vec<String> {
    vec![
        format!("--name={}", config.node()),
        "--data-dir=/var/lib/etcd".to_owned(),
        "--listen-client-urls=http://127.0.0.1:2379".to_owned(),
        "--advertise-client-urls=http://127.0.0.1:2379".to_owned(),
        "--listen-peer-urls=http://127.0.0.1:2380".to_owned(),
        "--initial-advertise-peer-urls=http://127.0.0.1:2380".to_owned(),
        format!("--initial-cluster={}=http://127.0.0.1:2380", config.node()),
        // The cluster ends with the machine anyway, and a slow disk would slow down every test.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn apiserver(config: &ClusterConfig, layout: &Layout) -> Vec<String> {
    let key = |name: &str| layout.key_file(name);
    vec![
        format!("--advertise-address={}", config.node_address()),
        "--secure-port=6443".to_owned(),
        "--etcd-servers=http://127.0.0.1:2379".to_owned(),
        format!("--service-cluster-ip-range={}", config.services()),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged".to_owned(),
        format!("--client-ca-file={}", key("ca.crt")),
        format!("--tls-cert-file={}", key("apiserver.crt")),
        format!("--tls-private-key-file={}", key("apiserver.key")),
        format!("--kubelet-client-certificate={}", key("kubelet-client.crt")),
        format!("--kubelet-client-key={}", key("kubelet-client.key")),
        // Otherwise logs, exec and port-forward look for the node's name in a DNS that does not know it.
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={}", key("service-accounts.pub")),
        format!("--service-account-signing-key-file={}", key("service-accounts.key")),
        format!("--requestheader-client-ca-file={}", key("front-proxy-ca.crt")),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        format!("--proxy-client-cert-file={}", key("front-proxy-client.crt")),
        format!("--proxy-client-key-file={}", key("front-proxy-client.key")),
    ]
}

/// Who asked for what. Some hundred bytes a request; an hour of tests fills one or two of the files.
fn audit(layout: &Layout) -> Vec<String> {
    vec![
        format!("--audit-policy-file={}", layout.settings_file("audit-policy.yaml")),
        format!("--audit-log-path={AUDIT_LOG}"),
        // Megabytes.
        "--audit-log-maxsize=64".to_owned(),
        "--audit-log-maxbackup=6".to_owned(),
    ]
}

fn controller_manager(config: &ClusterConfig, layout: &Layout) -> Vec<String> {
    let kubeconfig = text(&layout.kubeconfig(Component::KubeControllerManager.name()));
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials".to_owned(),
        format!("--root-ca-file={}", layout.key_file("ca.crt")),
        format!("--service-account-private-key-file={}", layout.key_file("service-accounts.key")),
        format!("--cluster-signing-cert-file={}", layout.key_file("ca.crt")),
        format!("--cluster-signing-key-file={}", layout.key_file("ca.key")),
        format!("--cluster-cidr={}", config.pods()),
        format!("--service-cluster-ip-range={}", config.services()),
        // The usual place is in /usr, which belongs to the machine.
        "--flex-volume-plugin-dir=/var/lib/kubelet/volume-plugins".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_plane_has_no_node_and_nobody_who_misses_one() {
        let controls: Vec<Component> = Component::of(Extent::ControlPlane).collect();
        assert_eq!(controls, [Component::Etcd, Component::KubeApiserver, Component::KubeControllerManager]);
        assert_eq!(Component::of(Extent::Whole).count(), Component::INSIDE.len());
        let layout = Layout::new("/cache/clusters/demo".into());
        let further = Component::KubeControllerManager.further(Extent::ControlPlane, &layout).join(" ");
        assert!(further.contains(",-pod-garbage-collector-controller,-endpoints-controller,"), "{further}");
        assert!(Component::KubeControllerManager.further(Extent::Whole, &layout).is_empty());
        assert!(Component::KubeApiserver.further(Extent::ControlPlane, &layout).is_empty(), "its speed is measured");
        assert!(Component::KubeApiserver.further(Extent::Whole, &layout).join(" ").contains("--audit-log-path"));
    }
}
