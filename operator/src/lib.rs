//! The ChatCluster operator
