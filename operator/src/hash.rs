//! Short hashes that name a content. Not for passwords: the inputs that are secret are long and random.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Hashes a sequence of texts; the boundaries between them count.
#[derive(Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Nothing hashed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(text.as_bytes());
        self
    }

    /// The hash as 40 hexadecimal digits.
    #[must_use]
    pub fn finish(self) -> String {
        self.0.finalize().iter().take(20).fold(String::with_capacity(40), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_count() {
        let (joined, apart) =
            (Hasher::new().text("ab").text("c").finish(), Hasher::new().text("a").text("bc").finish());
        assert_ne!(joined, apart);
        assert_eq!(joined.len(), 40);
    }
}
