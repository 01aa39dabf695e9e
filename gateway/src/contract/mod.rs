//! The protocol as documents for machines: AsyncAPI 3 of the WebSocket and OpenAPI 3.1 of the HTTP part, made of the gateway's own types
//! and lists. `cargo xtask codegen` writes them to `docs/reference/`. Nothing of this runs in a gateway.

mod asyncapi;
mod openapi;
mod requests;
mod schemas;

pub use self::{asyncapi::asyncapi, openapi::openapi};

use serde_json::Value;

/// The documents, by the name of their file.
#[must_use]
pub fn documents() -> [(&'static str, Value); 2] {
    [("asyncapi.yaml", asyncapi()), ("openapi.yaml", openapi())]
}
