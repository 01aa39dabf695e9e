//! The ChatCluster WebSocket gateway, as a library: the program in `main.rs` only parses arguments and calls it.

pub mod admin;
pub mod args;
pub mod auth;
pub mod broker;
mod centrifuge;
pub mod codec;
pub mod connection;
pub mod embedded;
pub mod http;
pub mod hub;
pub mod limiter;
pub mod metrics;
pub mod migrate;
pub mod model;
pub mod pipeline;
pub mod presence;
pub mod protocol;
pub mod redis_link;
pub mod relay;
pub mod serve;
pub mod services;
pub mod settings;
pub mod shutdown;
pub mod store;
pub mod tally;
pub mod telemetry;
pub mod transport;
