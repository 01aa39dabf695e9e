//! The ChatCluster WebSocket gateway, as a library: the program in `main.rs` only parses arguments and calls it.

pub mod admin;
pub mod args;
pub mod auth;
pub mod broker;
pub mod http;
pub mod limiter;
pub mod metrics;
pub mod model;
pub mod presence;
pub mod redis_link;
pub mod services;
pub mod settings;
pub mod store;
pub mod telemetry;
