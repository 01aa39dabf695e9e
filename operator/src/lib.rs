//! The ChatCluster operator: makes chat backends from ChatCluster objects and keeps them.
//!
//! A pass over one object is in [`reconcile`]; what should exist is in [`build`]; everything else is around them.

pub mod admin;
pub mod admitted;
pub mod adoption;
pub mod api;
pub mod api_error;
pub mod args;
pub mod audit;
pub mod autoscale;
pub mod backoff;
pub mod build;
pub mod cache;
pub mod client;
pub mod context;
pub mod controller;
pub mod crd;
pub mod drain;
pub mod echoes;
pub mod engines;
pub mod events;
pub mod extension;
pub mod hash;
pub mod lease;
pub mod metrics;
pub mod missing;
pub mod names;
pub mod observe;
pub mod poll;
pub mod probe;
pub mod prometheus;
pub mod quantity;
pub mod rebalance;
pub mod reconcile;
pub mod recurrence;
pub mod rollout;
pub mod run;
pub mod sensitive;
pub mod telemetry;
