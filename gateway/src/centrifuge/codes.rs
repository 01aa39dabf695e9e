//! Numbers of the Centrifuge protocol for errors and goodbyes. Clients act on the number: whether to try again, and how.

use super::messages::Error;
use crate::{
    codec::Goodbye,
    protocol::{CloseCode, ErrorCode, WireError},
};

/// The subscription ended because the user is no member any more; below 2500, so that the client does not subscribe again.
pub(super) const NO_MEMBER: u32 = 2000;

/// The error of a refused command. Its message begins with the code of `chat.v1`, which tells more apart.
pub(super) fn error(error: &WireError) -> Error {
    let (code, temporary) = number(error);
    let place = error.field.map(|field| format!(" ({field})")).unwrap_or_default();
    Error { code, message: format!("{}{place}: {}", error.code.name(), error.message), temporary }
}

fn number(error: &WireError) -> (u32, bool) {
    match (error.code, error.field) {
        (ErrorCode::Internal | ErrorCode::Unavailable | ErrorCode::Busy, _) => (100, true),
        (ErrorCode::Unauthenticated, _) => (101, false),
        (ErrorCode::BadRequest, Some("channel")) => (102, false),
        (ErrorCode::Forbidden, _) | (ErrorCode::NotFound, Some("room")) => (103, false),
        (ErrorCode::UnknownType, _) => (104, false),
        (ErrorCode::Conflict, Some("channel")) => (105, false),
        (ErrorCode::Limit | ErrorCode::TooLarge, _) => (106, false),
        (ErrorCode::BadRequest, Some("epoch")) => (112, false),
        (ErrorCode::BadJson | ErrorCode::BadRequest, _) => (107, false),
        (ErrorCode::TokenExpired, _) => (109, false),
        (ErrorCode::RateLimited, _) => (111, true),
        // From 400 on the numbers are the application's.
        (ErrorCode::NotFound, _) => (404, false),
        (ErrorCode::Conflict, _) => (409, false),
    }
}

/// The close frame: 3000 to 3499 let a client connect again, 3500 to 3999 do not.
pub(crate) fn goodbye(code: CloseCode) -> Goodbye {
    let (code, name, reason) = match code {
        CloseCode::Normal => (3000, "3000", "connection closed"),
        CloseCode::Stopping => (3001, "3001", "shutdown"),
        CloseCode::Expired => (3005, "3005", "connection expired"),
        CloseCode::TooSlow => (3008, "3008", "slow"),
        CloseCode::Silent => (3012, "3012", "no pong"),
        CloseCode::Flooding => (3013, "3013", "too many requests"),
        CloseCode::Unauthenticated => (3500, "3500", "invalid token"),
        CloseCode::FrameKind | CloseCode::NotJson => (3501, "3501", "bad request"),
        CloseCode::SessionEnded => (3503, "3503", "force disconnect"),
        // What clients of this protocol expect of a WebSocket, and no number of the protocol itself.
        CloseCode::TooLarge => (1009, "1009", "a frame has at most 64 KiB"),
    };
    Goodbye { code, name, reason }
}
