//! The tokens of a gateway's admin port: each opens it, the first is the one that the operator shows. Both read the file alike.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::secret_lines::{SecretLines, SecretLinesError};

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

/// The tokens of one file, in its order; at least one. It shows itself by ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminTokens(SecretLines);

impl AdminTokens {
    /// Tokens that one file may have.
    pub const MAX: usize = SecretLines::MAX;

    /// Reads the text of a file: a token a line. Empty lines are passed over.
    ///
    /// # Errors
    /// [`AdminTokensError`].
    pub fn parse(text: &str) -> Result<Self, AdminTokensError> {
        SecretLines::parse(text).map(Self).map_err(|error| match error {
            SecretLinesError::Empty => AdminTokensError::Empty,
            SecretLinesError::Many => AdminTokensError::Many,
        })
    }

    /// The one that the operator shows.
    #[must_use]
    pub fn first(&self) -> &str {
        self.0.first()
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter()
    }

    /// Whether one of them is this. Digests are compared, so that the time tells nothing of the tokens.
    #[must_use]
    pub fn accept(&self, given: &str) -> bool {
        let given = Sha256::digest(given.as_bytes());
        self.iter().fold(false, |fits, token| fits | (Sha256::digest(token.as_bytes()) == given))
    }

    /// Their ids, by which a gateway tells what it accepts without telling the tokens.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.0.ids()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_token() {
        let both = AdminTokens::parse("new\n\nold\r\n").unwrap();
        assert_eq!(both.ids(), [SecretLines::id("new"), SecretLines::id("old")]);
        assert!(both.accept("new") && both.accept("old"));
        for other in ["", "ne", "new\nold", "older", " new"] {
            assert!(!both.accept(other), "{other:?}");
        }
        assert!(!format!("{both:?}").contains("new"));
    }

    #[test]
    fn what_is_no_token_is_told_with_the_way_out() {
        assert_eq!(AdminTokens::parse("\n\n"), Err(AdminTokensError::Empty));
        let refused = AdminTokens::parse("1\n2\n3\n4\n5").unwrap_err();
        assert!(refused.to_string().contains("remove the oldest"), "{refused}");
    }
}
