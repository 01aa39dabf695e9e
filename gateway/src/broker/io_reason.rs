//! Why a connection failed, in a word for conditions.

use std::io;

/// The word.
pub(super) fn io_reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "ConnectionRefused",
        io::ErrorKind::TimedOut => "Timeout",
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => "ConnectionLost",
        // A certificate that is not trusted, mostly.
        _ if error.get_ref().is_some_and(|cause| cause.is::<rustls::Error>()) => "TlsFailed",
        // The resolver has no kind of its own: getaddrinfo's errors come through as uncategorised ones with this text.
        _ if error.to_string().contains("lookup address") => "NameNotResolved",
        _ => "ConnectionLost",
    }
}
