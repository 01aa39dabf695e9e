//! Times on the wire: milliseconds, whatever precision the store keeps. For people RFC 3339 in UTC, otherwise an integer since the Unix epoch.

use jiff::{Timestamp, Unit};
use serde::{Serialize, Serializer};

/// `serialize_with` for times.
pub(crate) fn milliseconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let at = at.round(Unit::Millisecond).unwrap_or(*at);
    if serializer.is_human_readable() {
        format!("{at:.3}").serialize(serializer)
    } else {
        serializer.serialize_i64(at.as_millisecond())
    }
}

/// The same for times that may be absent.
pub(super) fn optional<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => milliseconds(at, serializer),
        None => serializer.serialize_none(),
    }
}
