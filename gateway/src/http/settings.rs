//! What the page needs to know before anyone signs in.

use axum::{Json, extract::State};
use chat_gateway_config::Passwords;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::Http;
use crate::{auth::oidc::LoginPage, protocol::answer::LimitsView};

/// The ways in, and what a client must keep to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Config")]
pub(crate) struct PublicSettings {
    /// Whether names and passwords are accepted.
    #[schemars(schema_with = "passwords")]
    passwords: Passwords,
    /// Issuers at which people can sign in on the page.
    oidc: Vec<LoginPage>,
    /// As `welcome` has them.
    limits: LimitsView,
}

fn passwords(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": [Passwords::Enabled, Passwords::Disabled] })
}

pub(super) async fn config(State(http): State<Http>) -> Json<PublicSettings> {
    let config = http.services.config.get();
    Json(PublicSettings {
        passwords: config.auth.passwords,
        oidc: http.services.issuers.login_pages(),
        limits: config.limits.into(),
    })
}
