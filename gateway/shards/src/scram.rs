//! SCRAM-SHA-256 verifiers (RFC 5803), so that a password never travels in a statement that a server may log.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{digest, hmac, pbkdf2, rand::SecureRandom};

/// PostgreSQL's own number of rounds.
const ROUNDS: u32 = 4096;

/// What `alter role … password` stores for `password`. Passwords that are not printable ASCII would need SASLprep and are
/// returned as they are; the server then makes the verifier. `None` when the system has no randomness.
pub(crate) fn verifier(password: &str) -> Option<String> {
    if !password.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Some(password.to_owned());
    }
    let mut salt = [0u8; 16];
    ring::rand::SystemRandom::new().fill(&mut salt).ok()?;
    Some(with_salt(password, &salt))
}

fn with_salt(password: &str, salt: &[u8]) -> String {
    let mut salted = [0u8; 32];
    let rounds = std::num::NonZeroU32::new(ROUNDS).unwrap_or(std::num::NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let stored = digest::digest(&digest::SHA256, hmac::sign(&key, b"Client Key").as_ref());
    let server = hmac::sign(&key, b"Server Key");
    let (salt, stored, server) = (STANDARD.encode(salt), STANDARD.encode(stored), STANDARD.encode(server));
    format!("SCRAM-SHA-256${ROUNDS}:{salt}${stored}:{server}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_form_that_the_server_recognises() {
        let made = verifier("s3cret").unwrap();
        assert!(made.starts_with("SCRAM-SHA-256$4096:"), "{made}");
        assert_eq!(made.split(['$', ':']).count(), 5);
        assert!(!made.contains("s3cret"));
    }
}
