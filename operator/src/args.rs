//! Command line and environment of the operator. Nothing is read from the cluster or opened here.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use clap::Parser;

/// Makes and keeps chat backends from ChatCluster objects.
#[derive(Clone, Debug, Parser)]
#[command(name = "chat-operator", version)]
pub struct Args {
    /// Namespace to work in. Empty means all namespaces, which needs a ClusterRole.
    #[arg(long, env = "WATCH_NAMESPACE", default_value = "")]
    pub watch_namespace: String,

    /// Namespaces to leave alone when all others are worked in, parted by commas: those with an operator of their own.
    #[arg(long, env = "EXCLUDE_NAMESPACES", value_delimiter = ',')]
    pub exclude_namespaces: Vec<String>,

    /// Namespace of the operator itself; its Lease and its own Events live there.
    #[arg(long, env = "POD_NAMESPACE", default_value = "chat-system")]
    pub pod_namespace: String,

    /// Name of this replica, the holder of the Lease. In a pod: the pod's name.
    #[arg(long, env = "POD_NAME", default_value = "chat-operator")]
    pub pod_name: String,

    /// Name of the Lease that decides which replica works.
    #[arg(long, env = "LEASE_NAME", default_value = "chat-operator")]
    pub lease_name: String,

    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// Address of the metrics APIs for autoscalers, which the Kubernetes API server asks. Not served if absent.
    #[arg(long, env = "METRICS_API_LISTEN")]
    pub metrics_api_listen: Option<SocketAddr>,

    /// Folder with `tls.crt` and `tls.key` of the metrics APIs; a new certificate is taken up within a minute.
    #[arg(long, env = "METRICS_API_CERTIFICATES", default_value = "/etc/chat-operator/metrics-api")]
    pub metrics_api_certificates: PathBuf,

    /// ChatClusters that are reconciled at the same time (1 to 64).
    #[arg(long, env = "CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,

    /// Log filter, such as `info` or `chat_operator=debug,kube=warn`.
    #[arg(long, env = "LOG", default_value = "info,kube_runtime=warn")]
    pub log: String,

    /// Labels of the namespace whose pods may read the gateways' metrics, as `key=value`, parted by commas. Nobody but the operator may if absent.
    #[arg(long, env = "MONITORING_NAMESPACE_LABELS", default_value = "", value_parser = labels)]
    pub monitoring_namespace_labels: Labels,

    /// Images of what the operator starts.
    #[command(flatten)]
    pub images: Images,
}

/// Labels and their values.
pub type Labels = BTreeMap<String, String>;

/// Reads `key=value,key=value`. A comma at the end says nothing.
fn labels(text: &str) -> Result<Labels, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let read = |pair: &str| match pair.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{pair} is no label; write key=value, such as kubernetes.io/metadata.name=monitoring")),
    };
    pairs.map(read).collect()
}

/// Images of what the operator starts, where a ChatCluster does not name its own.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Images {
    /// Image of the gateways and of the migration.
    #[arg(long = "gateway-image", env = "GATEWAY_IMAGE", default_value = "chatcluster.dev/chat-gateway:0.1.0")]
    pub gateway: String,

    /// Image of managed PostgreSQL shards.
    #[arg(long = "postgresql-image", env = "POSTGRESQL_IMAGE", default_value = "chatcluster.dev/postgresql:17")]
    pub postgresql: String,

    /// Image of managed RabbitMQ.
    #[arg(long = "rabbitmq-image", env = "RABBITMQ_IMAGE", default_value = "chatcluster.dev/rabbitmq:4")]
    pub rabbitmq: String,

    /// Image of managed Redis.
    #[arg(long = "redis-image", env = "REDIS_IMAGE", default_value = "chatcluster.dev/redis:8")]
    pub redis: String,

    /// Image of the tier of HAProxy in front of gateways.
    #[arg(long = "haproxy-image", env = "HAPROXY_IMAGE", default_value = "chatcluster.dev/haproxy:3")]
    pub haproxy: String,
}

/// Where the operator works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In this namespace.
    One(String),
    /// In all namespaces but these.
    AllBut(Vec<String>),
}

impl Args {
    /// Where to work.
    #[must_use]
    pub fn scope(&self) -> Scope {
        if !self.watch_namespace.is_empty() {
            return Scope::One(self.watch_namespace.clone());
        }
        // An empty variable is one empty name.
        Scope::AllBut(self.exclude_namespaces.iter().filter(|name| !name.is_empty()).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_namespace_means_all() {
        let args = Args::parse_from(["chat-operator", "--watch-namespace", ""]);
        assert_eq!(args.scope(), Scope::AllBut(Vec::new()));
        let args = Args::parse_from(["chat-operator", "--watch-namespace", "team-a"]);
        assert_eq!(args.scope(), Scope::One("team-a".to_owned()));
    }

    #[test]
    fn some_namespaces_can_be_left_to_others() {
        let excluded = |names: &str| Args::parse_from(["chat-operator", "--exclude-namespaces", names]).scope();
        assert_eq!(excluded(""), Scope::AllBut(Vec::new()));
        assert_eq!(excluded("a,b"), Scope::AllBut(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn refuses_unbounded_concurrency() {
        assert!(Args::try_parse_from(["chat-operator", "--concurrency", "0"]).is_err());
        assert!(Args::try_parse_from(["chat-operator", "--concurrency", "65"]).is_err());
    }
}
