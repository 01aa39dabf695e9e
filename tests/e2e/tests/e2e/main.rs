//! The whole system on a real Kubernetes. `cargo xtask test` starts one, installs the operator and runs these tests, several at
//! a time, then those of [`few`], and those of [`alone`] one after the other; `cargo test` alone leaves them out. One ChatCluster, made from the
//! documented quickstart, serves all tests that do not have to destroy theirs.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "functions of tests")]

mod alone;
mod brokers;
mod browser;
mod docs;
mod embedded;
mod examples;
mod external_sign_in;
mod few;
mod gitops;
mod idle;
mod life;
mod network_policies;
mod outside;
mod quickstart;
mod repeats;
mod rule_b10_admission;
mod rule_b8_replicas;
mod rule_d1_refusals;
mod rules_a_definition;
mod rules_b_status;
mod rules_c_children;
mod rules_d_admission;
mod rules_e_footprint;
mod secrecy;
mod shared;
mod slots;
mod tenants;
mod under_load;
