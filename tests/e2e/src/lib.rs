//! The harness of the end-to-end tests: a running Kubernetes with the operator installed, namespaces under Pod Security
//! `restricted`, ChatClusters in them, people who chat, and ways to break things.
//!
//! Tests find the cluster by `CHATCLUSTER_KUBECONFIG` (or `KUBECONFIG`), `kubectl` and `helm` by `CHATCLUSTER_KUBECTL` and
//! `CHATCLUSTER_HELM` (or the search path). `cargo xtask test` sets all of it.

pub mod breaking;
pub mod chat_cluster;
pub mod children;
pub mod crowd;
pub mod inventory;
pub mod manifest;
pub mod metrics_apis;
pub mod namespace;
pub mod operator;
pub mod pods;
pub mod tools;
pub mod wait;
pub mod world;

pub use chat_cluster::ChatCluster;
pub use crowd::Crowd;
pub use namespace::Namespace;
pub use world::World;
