//! How large one unit of each tier is.

use serde::Serialize;

/// What one unit has. All numbers are at least 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizes {
    /// Processors of a gateway.
    pub gateway_cpus: u64,
    /// Memory of a gateway, MiB, that of the kernel for its sockets included.
    pub gateway_memory_mib: u64,
    /// Connections that one gateway may take: a process has at most some 19,000 files on many systems.
    pub gateway_connections: u64,
    /// Processors of a node of the broker. A Redis uses one of them.
    pub broker_cpus: u64,
    /// Memory of a node of the broker, MiB, and of the Redis for limits and presence.
    pub broker_memory_mib: u64,
    /// Processors of a shard.
    pub shard_cpus: u64,
    /// Disk of a shard, GiB.
    pub shard_disk_gib: u64,
    /// Network of each unit, Mbit/s.
    pub network_mbit: u64,
    /// Slots, where the ChatCluster exists and has them already; the plan chooses otherwise.
    pub slots: Option<u64>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            gateway_cpus: 2,
            gateway_memory_mib: 1_024,
            gateway_connections: 19_000,
            broker_cpus: 8,
            broker_memory_mib: 32_768,
            shard_cpus: 8,
            shard_disk_gib: 2_048,
            network_mbit: 10_000,
            slots: None,
        }
    }
}

impl Sizes {
    /// Bytes a second of one unit's network.
    pub(crate) fn network(&self) -> f64 {
        self.network_mbit as f64 * 1e6 / 8.0
    }
}
