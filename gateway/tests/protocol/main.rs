//! The parsers that a network reaches never panic and read back what was written, in both encodings; the types, the page and the schemas agree.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by failing")]

mod cbor;
mod contract;
mod json;
mod outgoing;
mod page;
mod requests;
#[path = "../schemas/mod.rs"]
mod schemas;
