//! What an issuer publishes, and tokens that claim to be its.

use chat_gateway::auth::oidc::check_offline;

/// Three lines: metadata, key set, token.
pub(super) fn documents(data: &[u8]) {
    let (metadata, rest) = super::tokens::split(data);
    let (keys, token) = super::tokens::split(rest);
    let token = String::from_utf8_lossy(token);
    let found = check_offline("https://id.example.org", metadata, keys, &token, "chat");
    assert!(found.is_err(), "nobody signed this");
}
