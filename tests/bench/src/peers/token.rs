//! Tokens of the peers: an HMAC over the user's name, about as costly to check as any they would check in production.

use ring::hmac;

/// Key of every run; nothing here is secret, the servers live on loopback for a minute.
pub(super) const KEY: &str = "bench";

/// `name.hex(HMAC-SHA256(KEY, name))`.
pub(super) fn sign(name: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes()), name.as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name}.{digits}")
}
