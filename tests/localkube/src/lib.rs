//! A real single-node Kubernetes built from Go modules
