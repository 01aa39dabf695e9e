//! The ChatCluster WebSocket gateway, as a library: the program in `main.rs` only parses arguments and calls it.

pub mod auth;
pub mod broker;
pub mod http;
pub mod limiter;
pub mod model;
pub mod presence;
pub mod services;
pub mod store;
