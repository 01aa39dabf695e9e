//! Who a client is: access tokens, refresh tokens, and passwords.

use async_trait::async_trait;
use axum::http::{HeaderMap, header};

use crate::model::{SessionId, User};

mod authenticator;
mod keyring;
pub mod names;
pub mod oidc;
mod passwords;
mod refresh;
mod tokens;

pub use authenticator::{Accounts, Authenticator};
pub use keyring::Keyring;
pub use passwords::{PasswordError, PasswordPool};
pub use refresh::{Presented, RefreshTokens};
pub use tokens::Ed25519Tokens;

/// The token that a request brings, `Authorization: Bearer`; `None` where there is none, or no text.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// What a valid token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user: id and sign-in name from the token; the display name too.
    pub user: User,
    /// The session it belongs to, which can be ended; none when it was signed elsewhere.
    pub session: Option<SessionId>,
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
    /// Its session was ended by its user, or because its refresh token was stolen.
    #[error("the session was ended; sign in again")]
    Ended,
    /// It cannot be checked now.
    #[error("the token cannot be checked at this moment; try again")]
    Unavailable,
}

/// Makes and checks access tokens. Whether a session was ended is not looked at: that is the store's to say.
#[async_trait]
pub trait Tokens: Send + Sync + 'static {
    /// Signs a token for a session of a user who was just authenticated; returns it and its life in seconds.
    fn issue(&self, user: &User, session: SessionId) -> (String, u32);

    /// Checks signature, algorithm, issuer and expiry.
    ///
    /// # Errors
    /// [`TokenError`].
    async fn verify(&self, token: &str) -> Result<Claims, TokenError>;
}
