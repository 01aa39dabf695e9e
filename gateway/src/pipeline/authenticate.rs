//! Stage 3: the token that `hello` brought must still hold.

use jiff::Timestamp;

use crate::{
    auth::TokenError,
    connection::session::Session,
    protocol::{CloseCode, WireError},
};

/// Refuses and closes when the token has ended since `hello`.
pub(super) fn check(session: &Session) -> Result<(), WireError> {
    if session.expires_at() > Timestamp::now().as_second() {
        return Ok(());
    }
    session.close(CloseCode::Expired);
    Err(TokenError::Expired.into())
}
