//! A cluster's name and number, and all names and addresses that follow from them.

use std::{net::Ipv4Addr, path::PathBuf};

use crate::cache;

/// Longest name: the network device `lk-NAME` may have 15 characters.
const MAX_NAME: usize = 8;
/// Numbers run from 0 to this one: each takes one of the second octets 64-127 and one of 128-191.
const MAX_INDEX: u8 = 63;
/// Second octet of the cables between this machine and the nodes.
const CABLES: u8 = 63;
/// First second octet of the service ranges.
const SERVICES_BASE: u8 = 64;
/// First second octet of the pod ranges.
const PODS_BASE: u8 = 128;

/// Which cluster. Two clusters that differ in both fields run side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// 1 to 8 characters of `a-z` and `0-9`.
    pub name: String,
    /// 0 to 63; picks the address ranges.
    pub index: u8,
}

/// A name or number that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Wrong name.
    #[error("the cluster name {0:?} must have 1 to 8 characters of a-z and 0-9")]
    Name(String),
    /// Wrong number.
    #[error("the cluster index {0} must be at most 63")]
    Index(u8),
    /// The cluster's processes see folders of their own in the place of this one.
    #[error("the cache folder {} must not be under /run, /var/lib or /var/log; set CHATCLUSTER_CACHE", .0.display())]
    Hidden(PathBuf),
}

impl ClusterConfig {
    /// Checks the fields and the place of the cache folder.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let usual = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        if self.name.is_empty() || self.name.len() > MAX_NAME || !self.name.bytes().all(usual) {
            return Err(ConfigError::Name(self.name.clone()));
        }
        if self.index > MAX_INDEX {
            return Err(ConfigError::Index(self.index));
        }
        let folder = cache::cache_dir();
        let hidden = ["/run", "/var/run", "/var/lib", "/var/log"];
        if hidden.iter().any(|root| folder.starts_with(root)) {
            return Err(ConfigError::Hidden(folder));
        }
        Ok(())
    }

    /// Folder of everything that belongs to the running cluster.
    pub(crate) fn folder(&self) -> PathBuf {
        cache::cache_dir().join(cache::CLUSTERS).join(&self.name)
    }

    /// Name of the node object.
    pub(crate) fn node(&self) -> String {
        format!("localkube-{}", self.name)
    }

    /// Name of the cgroup that holds every process of the cluster.
    pub(crate) fn cgroup(&self) -> String {
        format!("localkube-{}", self.name)
    }

    /// Name of this machine's end of the cable to the node.
    pub(crate) fn device(&self) -> String {
        format!("lk-{}", self.name)
    }

    /// This machine's address on the cable to the node.
    pub(crate) fn host_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, CABLES, self.index, 1)
    }

    /// The node's address; the API server listens on its port 6443.
    pub(crate) fn node_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, CABLES, self.index, 2)
    }

    /// Addresses of pods.
    pub(crate) fn pods(&self) -> String {
        format!("10.{}.0.0/16", PODS_BASE + self.index)
    }

    /// Addresses of Services.
    pub(crate) fn services(&self) -> String {
        format!("10.{}.0.0/16", SERVICES_BASE + self.index)
    }

    /// The address of the API server's own Service: always the first of the range.
    pub(crate) fn api_service(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, SERVICES_BASE + self.index, 0, 1)
    }

    /// The address of the name server's Service.
    pub(crate) fn dns_service(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, SERVICES_BASE + self.index, 0, 10)
    }

    /// The API server's address for clients.
    pub(crate) fn api_url(&self) -> String {
        format!("https://{}:6443", self.node_address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str, index: u8) -> ClusterConfig {
        ClusterConfig { name: name.to_owned(), index }
    }

    #[test]
    fn refuses_names_that_do_not_fit_a_device_name() {
        for name in ["", "toolongname", "a-b", "Demo", "ä"] {
            assert!(matches!(config(name, 0).check(), Err(ConfigError::Name(_))), "{name}");
        }
        assert!(config("demo", 0).check().is_ok());
    }

    #[test]
    fn refuses_indexes_whose_ranges_would_overlap() {
        assert!(config("demo", 63).check().is_ok());
        assert!(matches!(config("demo", 64).check(), Err(ConfigError::Index(64))));
    }

    #[test]
    fn two_clusters_share_no_range() {
        let (a, b) = (config("a", 0), config("b", 1));
        assert_ne!(a.pods(), b.pods());
        assert_ne!(a.services(), b.services());
        assert_ne!(a.node_address(), b.node_address());
        assert_eq!(config("z", 63).services(), "10.127.0.0/16");
        assert_eq!(a.pods(), "10.128.0.0/16");
    }
}
