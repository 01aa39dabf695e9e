//! OCI images without a Docker engine.
//!
//! Our two programs become scratch images around one static binary; PostgreSQL, RabbitMQ, Redis and HAProxy become Debian roots with a
//! small entry point of ours. Every image is one uncompressed layer in an OCI layout archive, which `ctr images import` and
//! `docker load` read. The same inputs give the same bytes: entries are sorted, times are zero, owners are fixed.
//! Results are cached by a hash of everything they are made of.

pub mod accounts;
pub mod backends;
pub mod build;
pub mod cache;
pub mod certificates;
pub mod debian;
pub mod elf;
mod error;
mod hashing;
pub mod layer;
pub mod oci;
pub mod programs;
pub mod servers;
pub mod unpack;

pub use build::{BuildOptions, build_all, build_backend, build_broken_gateways, build_program};
pub use cache::cache_dir;
pub use error::Error;
pub use oci::BuiltImage;
