//! Sign-in names, display names and the user ids derived from them.

use chat_gateway_config::probe;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::model::UserId;

/// Characters of a password, at least. In bytes two emoji would do.
pub const PASSWORD_CHARS: usize = 8;

/// Bytes of a password, at most: keeps the hash's cost independent of the input.
pub const PASSWORD_BYTES: usize = 256;

/// What is wrong with a field of a sign-up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidField {
    /// The field.
    pub field: &'static str,
    /// What would be right.
    pub message: &'static str,
}

/// Folds a sign-in name to its one spelling: trimmed, lower case.
///
/// # Errors
/// Names that are not 2 to 32 of `a-z 0-9 . _ -`, or start with something else than a letter or digit.
pub fn fold_name(name: &str) -> Result<String, InvalidField> {
    let folded = name.trim().to_ascii_lowercase();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    let starts_well = folded.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if (2..=32).contains(&folded.len()) && starts_well && folded.chars().all(allowed) {
        return Ok(folded);
    }
    Err(InvalidField {
        field: "name",
        message: "a name has 2 to 32 characters out of a-z, 0-9, dot, underscore and hyphen, and starts with a letter or digit",
    })
}

/// Whether a character shows nothing, breaks the line or turns the direction of what follows: a name with it looks like another name. The joiners
/// (U+200C, U+200D) and the selectors of variants are none of them, since scripts and emoji need them.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character is seen when it stands alone.
fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !is_deceptive(c) && !matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// Checks a display name; absent or empty means the sign-in name.
///
/// # Errors
/// More than 64 characters, [deceptive](is_deceptive) ones, or none that is seen.
pub fn display_name(given: Option<&str>, name: &str) -> Result<String, InvalidField> {
    let shown = given.map(str::trim).filter(|s| !s.is_empty()).unwrap_or(name);
    if shown.chars().count() > 64 || shown.chars().any(is_deceptive) || !shown.chars().any(is_visible) {
        return Err(InvalidField {
            field: "display_name",
            message: "a display name has at most 64 characters, at least one that is seen, and none that is invisible or turns the direction of writing",
        });
    }
    Ok(shown.to_owned())
}

/// Checks a new password.
///
/// # Errors
/// Fewer than [`PASSWORD_CHARS`] or more than [`PASSWORD_BYTES`].
pub fn check_password(password: &str) -> Result<(), InvalidField> {
    if password.chars().count() >= PASSWORD_CHARS && password.len() <= PASSWORD_BYTES {
        return Ok(());
    }
    Err(InvalidField { field: "password", message: "a password has at least 8 characters and at most 256 bytes" })
}

/// The id of a user who signs in with a password: a UUIDv8 (RFC 9562) out of SHA-256, so that the name alone leads to the id and its slot.
#[must_use]
pub fn user_id(folded_name: &str) -> UserId {
    let digest = Sha256::new().chain_update(b"password:").chain_update(folded_name.as_bytes()).finalize();
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    UserId(Builder::from_custom_bytes(bytes).into_uuid())
}

/// Whether it is the operator's probe, whom nobody can invite and whose name nobody can take.
#[must_use]
pub fn is_probe(user: UserId) -> bool {
    user == PROBE
}

/// Id of [`probe::NAME`].
const PROBE: UserId = UserId(match Uuid::try_parse(probe::USER) {
    Ok(id) => id,
    Err(_) => Uuid::nil(),
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_has_a_name_that_nobody_can_take_and_its_id() {
        assert_eq!(user_id(probe::NAME), PROBE);
        assert!(is_probe(PROBE) && !is_probe(user_id("probe")));
        assert!(fold_name(probe::NAME).is_err());
        let keys: std::collections::BTreeSet<_> = (0..probe::ROOMS).map(probe::room_key).collect();
        assert_eq!(keys.len(), usize::from(probe::ROOMS));
        assert!(keys.iter().all(|key| Uuid::try_parse(key).is_ok()));
    }

    #[test]
    fn folds_a_name_and_refuses_what_is_none() {
        assert_eq!(fold_name("  Alice.B-2 ").unwrap(), "alice.b-2");
        for bad in ["", "a", ".ab", "ab c", "äb", "a/b", &"x".repeat(33)] {
            assert_eq!(fold_name(bad).unwrap_err().field, "name", "{bad:?}");
        }
    }

    #[test]
    fn derives_the_same_version_8_id_for_ever() {
        let id = user_id("alice");
        assert_eq!(id, user_id("alice"));
        assert_ne!(id, user_id("alicf"));
        assert_eq!(id.0.get_version_num(), 8);
        assert_eq!(id.to_string(), "07b56c00-9f46-8be4-a7c6-997e7727f8fc");
    }

    #[test]
    fn a_display_name_defaults_to_the_name() {
        assert_eq!(display_name(Some("  "), "bob").unwrap(), "bob");
        assert_eq!(display_name(Some("Bob Ω"), "bob").unwrap(), "Bob Ω");
        for shown in ["Zoë", "李小龙", "علی‌رضا", "👩‍💻 Ann", "❤\u{fe0f}"] {
            assert_eq!(display_name(Some(shown), "bob").unwrap(), shown);
        }
        for bad in [
            "a\u{7}b",
            "ann\u{202e}bob",
            "a\u{200b}nn",
            "a\u{2067}b",
            "a\u{2028}b",
            "\u{feff}ann",
            "\u{200d}",
            "\u{3164}",
        ] {
            assert_eq!(display_name(Some(bad), "bob").unwrap_err().field, "display_name", "{bad:?}");
        }
    }
}
