//! What all requests with a body have in common: how large it may be, and that it comes as it is.

use axum::http::{HeaderMap, StatusCode, header};

use super::{ApiError, BODY_LIMIT};
use crate::protocol::ErrorCode;

/// Refuses a body by what its headers say, before a byte of it is read, whether the path takes one or not. One that does not say its length is cut
/// while it is read.
pub(super) fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    let encoded = |coding: &str| !coding.trim().eq_ignore_ascii_case("identity");
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    if codings.flat_map(|value| value.to_str().unwrap_or("?").split(',')).any(encoded) {
        let message = "bodies are taken uncompressed; leave Content-Encoding out";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::BadRequest, message));
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(ApiError::too_large());
    }
    Ok(())
}
