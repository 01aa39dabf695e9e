//! What a migration that gives up, or a move of slots that has ended, tells whoever looks at its pod: Kubernetes keeps the text in the status of the
//! container.

use serde::{Deserialize, Serialize};

/// Why a migration ended without success, or how a move of slots ended, as JSON in the container's termination message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Farewell {
    /// One CamelCase word, of the reasons in `docs/reference/gateway.md`.
    pub reason: String,
    /// A sentence without credentials.
    pub message: String,
}

impl Farewell {
    /// The file that Kubernetes reads the message from; outside a pod it does not exist.
    pub const FILE: &str = "/dev/termination-log";
    /// Bytes of a message; Kubernetes keeps 4 KiB.
    pub const MAX_MESSAGE: usize = 1_000;

    /// Cuts a message that is too long, between characters.
    #[must_use]
    pub fn new(reason: &str, message: &str) -> Self {
        let mut message = message.to_owned();
        message.truncate(message.floor_char_boundary(Self::MAX_MESSAGE));
        Self { reason: reason.to_owned(), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let told = Farewell::new("Timeout", &"é".repeat(501));
        assert_eq!(told.message.len(), 1_000);
        let told = Farewell::new("Timeout", &format!("a{}", "é".repeat(500)));
        assert_eq!(told.message.len(), 999);
    }
}
