//! Attacks on a real gateway, a process of its own on loopback: what each does to the one who makes it, and that nobody else notices.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod support;

#[path = "hardening/admin_port.rs"]
mod admin_port;
#[path = "hardening/audit.rs"]
mod audit;
#[path = "hardening/bodies.rs"]
mod bodies;
#[path = "hardening/crowd.rs"]
mod crowd;
#[path = "hardening/descriptors.rs"]
mod descriptors;
#[path = "hardening/frames.rs"]
mod frames;
#[path = "hardening/heads.rs"]
mod heads;
#[path = "oidc_tokens/issuer.rs"]
#[allow(dead_code, reason = "only good issuers, and their tokens, are wanted here")]
mod issuer;
#[path = "hardening/json.rs"]
mod json;
#[path = "hardening/origins.rs"]
mod origins;
#[path = "hardening/page.rs"]
mod page;
#[path = "hardening/place.rs"]
mod place;
#[path = "hardening/probe.rs"]
mod probe;
#[path = "hardening/raw.rs"]
mod raw;
#[path = "hardening/silence.rs"]
mod silence;
#[path = "hardening/slow.rs"]
mod slow;
#[path = "hardening/sql.rs"]
mod sql;
#[path = "hardening/sql_centrifuge.rs"]
mod sql_centrifuge;
#[path = "hardening/sql_issuer.rs"]
mod sql_issuer;
#[path = "hardening/tokens.rs"]
mod tokens;
#[path = "hardening/unicode.rs"]
mod unicode;

/// Time for what takes a moment on an idle machine.
const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
