//! What both tests of the real cluster share.

pub(crate) mod footprint;

use localkube::{Cluster, ClusterConfig};

/// A cluster for the time of one test; taken down at its end, also when the test fails.
pub(crate) struct Temporary(pub(crate) Cluster);

impl Temporary {
    pub(crate) fn new(name: &str, index: u8) -> Self {
        let cluster = Cluster::new(ClusterConfig { name: name.to_owned(), index }).unwrap();
        cluster.down().expect("leftovers of an earlier run can be removed");
        Self(cluster)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(status) = self.0.status()
        {
            eprintln!("the cluster when the test failed: {status:#?}");
        }
        if let Err(error) = self.0.down() {
            eprintln!("failed to take the cluster down: {error}");
        }
    }
}
