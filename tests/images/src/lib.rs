//! OCI images without a Docker engine
