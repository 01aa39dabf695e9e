//! Who a client is: tokens signed by the cluster's key, and passwords.

use crate::model::User;

pub mod names;
mod passwords;
mod tokens;

pub use passwords::{PasswordError, PasswordPool};
pub use tokens::{Ed25519Tokens, KeyError};

/// What a valid token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user: id and sign-in name from the token; the display name too.
    pub user: User,
    /// When the token ends, seconds since the Unix epoch.
    pub expires_at: i64,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of this cluster, or altered.
    #[error("the token is not valid here")]
    Invalid,
    /// It was valid once.
    #[error("the token has expired")]
    Expired,
}

/// Makes and checks tokens. No I/O: the key is loaded at start.
pub trait Tokens: Send + Sync + 'static {
    /// Signs a token for a user that was just authenticated; returns it and its life in seconds.
    fn issue(&self, user: &User) -> (String, u32);

    /// Checks signature, algorithm (EdDSA only), issuer and expiry (30 s leeway for clocks).
    ///
    /// # Errors
    /// [`TokenError`].
    fn verify(&self, token: &str) -> Result<Claims, TokenError>;
}
