//! Labels and annotations that are part of the API: people, and programs of theirs, may rely on them.

/// Labels.
pub mod label {
    /// Role of an object in its ChatCluster.
    pub const COMPONENT: &str = "app.kubernetes.io/component";
    /// The value of [`COMPONENT`] on what belongs to the gateways.
    pub const GATEWAY: &str = "gateway";
    /// The ChatCluster that an object belongs to.
    pub const CLUSTER: &str = "chatcluster.dev/cluster";
    /// Revision of a gateway, on its Deployment and its pods.
    pub const REVISION: &str = "chatcluster.dev/revision";
}

/// Annotations.
pub mod annotation {
    /// On a gateway's pod that somebody wants emptied and replaced: since when. Whoever wants it writes it, and takes it back.
    pub const DRAIN_REQUESTED: &str = "chatcluster.dev/drain-requested";
    /// On a gateway's pod that the operator is emptying: since when.
    pub const DRAINING: &str = "chatcluster.dev/draining-since";
}
