//! The API identity of a ChatCluster.

/// `apiVersion` of a ChatCluster.
pub const API_VERSION: &str = "chatcluster.dev/v1alpha1";
/// `kind` of a ChatCluster.
pub const KIND: &str = "ChatCluster";
