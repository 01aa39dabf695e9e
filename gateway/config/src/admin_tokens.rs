//! The tokens of a gateway's admin port: each opens it, the first is the one that the operator shows. Both read the file alike.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Bytes of SHA-256 that name a token.
const ID_BYTES: usize = 8;

/// Why a file of tokens cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminTokensError {
    /// There is none: anyone could guess that.
    Empty,
    /// There are more than [`AdminTokens::MAX`].
    Many,
}

impl fmt::Display for AdminTokensError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty; write a random token into it"),
            Self::Many => write!(f, "has more than {} tokens, one a line; remove the oldest", AdminTokens::MAX),
        }
    }
}

impl std::error::Error for AdminTokensError {}

/// The tokens of one file, in its order; at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminTokens(Vec<String>);

impl fmt::Debug for AdminTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AdminTokens").field(&self.ids()).finish()
    }
}

impl AdminTokens {
    /// Tokens that one file may have.
    pub const MAX: usize = 4;

    /// Reads the text of a file: a token a line. Empty lines are passed over.
    ///
    /// # Errors
    /// [`AdminTokensError`].
    pub fn parse(text: &str) -> Result<Self, AdminTokensError> {
        let tokens: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        match tokens.len() {
            0 => Err(AdminTokensError::Empty),
            1..=Self::MAX => Ok(Self(tokens)),
            _ => Err(AdminTokensError::Many),
        }
    }

    /// The one that the operator shows.
    #[must_use]
    pub fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether one of them is this. Digests are compared, so that the time tells nothing of the tokens.
    #[must_use]
    pub fn accept(&self, given: &str) -> bool {
        let given = Sha256::digest(given.as_bytes());
        self.0.iter().fold(false, |fits, token| fits | (Sha256::digest(token.as_bytes()) == given))
    }

    /// Their ids, by which a gateway tells what it accepts without telling the tokens.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.iter().map(Self::id).collect()
    }

    /// Names one token: the first 8 bytes of SHA-256 over it. Tokens are long and random, so nobody comes back from there.
    #[must_use]
    pub fn id(token: &str) -> String {
        Sha256::digest(token.as_bytes())[..ID_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_token() {
        let both = AdminTokens::parse("new\n\nold\r\n").unwrap();
        assert_eq!((both.first(), both.iter().count()), ("new", 2));
        assert_eq!(both.ids(), [AdminTokens::id("new"), AdminTokens::id("old")]);
        assert!(both.accept("new") && both.accept("old"));
        for other in ["", "ne", "new\nold", "older", " new"] {
            assert!(!both.accept(other), "{other:?}");
        }
        assert_eq!(AdminTokens::parse("one").unwrap(), AdminTokens::parse("one\n").unwrap());
        assert!(!format!("{both:?}").contains("new"));
    }

    #[test]
    fn what_is_no_token_is_told_with_the_way_out() {
        for empty in ["", "\n\n", "  \n"] {
            assert_eq!(AdminTokens::parse(empty), Err(AdminTokensError::Empty));
        }
        let refused = AdminTokens::parse("1\n2\n3\n4\n5").unwrap_err();
        assert!(refused.to_string().contains("remove the oldest"), "{refused}");
    }
}
