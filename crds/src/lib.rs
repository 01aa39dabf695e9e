//! The ChatCluster API types
