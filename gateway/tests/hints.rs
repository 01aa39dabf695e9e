//! `GET /v1/connect`: which gateways are named to a client that asks where to connect, and that crowds who follow are spread by the gateways' size.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

#[path = "hints/answers.rs"]
mod answers;
#[path = "hints/burst.rs"]
mod burst;
#[path = "hints/gateway.rs"]
mod gateway;
#[path = "hints/people.rs"]
mod people;
#[path = "hardening/raw.rs"]
#[allow(dead_code, reason = "no frames are sent here")]
mod raw;
#[path = "hints/simulation.rs"]
mod simulation;

/// Time for what takes a moment on an idle machine.
const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

/// Every count is within 5 % of its share of all.
fn assert_proportional(what: &str, counts: &[u32], shares: &[u32]) {
    let (all, whole): (u32, u32) = (counts.iter().sum(), shares.iter().sum());
    for (count, share) in counts.iter().zip(shares) {
        let fair = f64::from(all) * f64::from(*share) / f64::from(whole);
        let off = (f64::from(*count) - fair).abs() / fair;
        assert!(off <= 0.05, "{what}: {counts:?} for shares {shares:?}");
    }
}
