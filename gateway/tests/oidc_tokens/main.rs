//! Access tokens of an external issuer, and every way in which one may be no good. The issuer here is a small server with keys made by the
//! test; `oidc_provider.rs` has a genuine one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod claims;
mod issuer;
mod keys;
mod place;
mod signatures;

use issuer::AUDIENCE;
