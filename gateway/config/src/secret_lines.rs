//! Secrets of one kind in one file, a line each: the first is in use, the others are to come or on their way out. Operator and gateways read them alike.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Bytes of SHA-256 that name a line.
const ID_BYTES: usize = 8;

/// Why a file of secrets cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretLinesError {
    /// It has none.
    Empty,
    /// It has more than [`SecretLines::MAX`].
    Many,
}

impl fmt::Display for SecretLinesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty; write one into it"),
            Self::Many => write!(f, "has more than {} lines; remove the oldest", SecretLines::MAX),
        }
    }
}

impl std::error::Error for SecretLinesError {}

/// The secrets of one file, in its order; at least one. It shows itself by ids.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretLines(Vec<String>);

impl fmt::Debug for SecretLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretLines").field(&self.ids()).finish()
    }
}

impl SecretLines {
    /// Secrets that one file may have.
    pub const MAX: usize = 4;

    /// Reads the text of a file: a secret a line. Empty lines are passed over.
    ///
    /// # Errors
    /// [`SecretLinesError`].
    pub fn parse(text: &str) -> Result<Self, SecretLinesError> {
        let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        match lines.len() {
            0 => Err(SecretLinesError::Empty),
            1..=Self::MAX => Ok(Self(lines)),
            _ => Err(SecretLinesError::Many),
        }
    }

    /// The one that is in use.
    #[must_use]
    pub fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Their ids, by which a gateway tells what it has without telling the secrets.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.iter().map(Self::id).collect()
    }

    /// Names one secret: the first 8 bytes of SHA-256 over it. Secrets are long and random, so nobody comes back from there.
    #[must_use]
    pub fn id(line: &str) -> String {
        Sha256::digest(line.as_bytes())[..ID_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_secret() {
        let both = SecretLines::parse("new\n\nold\r\n").unwrap();
        assert_eq!((both.first(), both.iter().count()), ("new", 2));
        assert_eq!(both.ids(), [SecretLines::id("new"), SecretLines::id("old")]);
        assert_eq!(SecretLines::parse("one").unwrap(), SecretLines::parse("one\n").unwrap());
        assert!(!format!("{both:?}").contains("new"));
    }

    #[test]
    fn what_is_no_secret_is_told_with_the_way_out() {
        for empty in ["", "\n\n", "  \n"] {
            assert_eq!(SecretLines::parse(empty), Err(SecretLinesError::Empty));
        }
        let refused = SecretLines::parse("1\n2\n3\n4\n5").unwrap_err();
        assert!(refused.to_string().contains("remove the oldest"), "{refused}");
    }
}
