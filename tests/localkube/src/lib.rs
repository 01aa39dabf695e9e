//! A real single-node Kubernetes 1.34 on a bare machine: no container engine, no image registry.
//!
//! Its programs are built from Go modules that lie beside this crate, and run as ordinary processes of this machine in a
//! network and mount namespace of their own. [`Cluster::up`] does everything from a machine with Go and root rights to a
//! cluster with Services, DNS, volumes, logs and exec; [`Cluster::down`] leaves nothing behind but the built programs.
//! This crate knows nothing about what runs on the cluster.

mod addons;
mod argocd_health;
mod binaries;
mod cache;
mod certificates;
mod cgroup;
mod cluster;
mod command;
mod component;
mod config;
mod files;
mod gateway_api;
mod judge;
mod keda;
mod kstatus;
mod layout;
mod managers;
mod module;
mod namespace;
mod prerequisites;
mod process;
mod settings;
mod state;

pub use argocd_health::{ArgoCdHealth, Health};
pub use binaries::{Binaries, BinariesError, crdify, promtool};
pub use cache::cache_dir;
pub use certificates::CertificateError;
pub use cgroup::CgroupError;
pub use cluster::{Cluster, ClusterError, ClusterState, ComponentStatus, Status};
pub use command::CommandError;
pub use component::{Component, Extent};
pub use config::{ClusterConfig, ConfigError};
pub use files::FileError;
pub use gateway_api::gateway_api;
pub use judge::JudgeError;
pub use keda::Keda;
pub use kstatus::{Judgement, Kstatus};
pub use managers::{BuiltManager, Manager};
pub use module::ModuleError;
pub use namespace::NamespaceError;
pub use prerequisites::{PrerequisiteError, Prerequisites};
