//! The requests that read page by page, and times.

use jiff::Timestamp;

use super::{
    Request,
    error::WireError,
    fields::{Fields, seq_of, text_of, uuid_of},
    limits,
    request::room,
};
use crate::{
    model::RoomId,
    store::{Page, View},
};

/// How many items a page has at most, and when the client does not say.
struct PageSize {
    most: u32,
    default: u32,
}

pub(super) fn rooms(fields: &mut Fields) -> Result<Request, WireError> {
    let after = fields.take("after").map(|value| uuid_of("after", &value)).transpose()?.map(RoomId);
    let limit = limit(fields, &PageSize { most: limits::ROOMS_MAX, default: limits::ROOMS_MAX })?;
    Ok(Request::Rooms { after, limit })
}

pub(super) fn members(fields: &mut Fields) -> Result<Request, WireError> {
    let room = room(fields)?;
    let after = fields.take("after").map_or(Ok(0), |value| seq_of("after", &value))?;
    let limit = limit(fields, &PageSize { most: limits::MEMBERS_MAX, default: limits::MEMBERS_DEFAULT })?;
    Ok(Request::Members { room, after, limit })
}

pub(super) fn history(fields: &mut Fields) -> Result<Request, WireError> {
    let room = room(fields)?;
    let before = fields.take("before").map(|value| seq_of("before", &value)).transpose()?;
    let after = fields.take("after").map(|value| seq_of("after", &value)).transpose()?;
    let page = match (before, after) {
        (None, None) => Page::Newest,
        (Some(seq), None) => Page::Before(seq),
        (None, Some(seq)) => Page::After(seq),
        (Some(_), Some(_)) => return Err(WireError::field("after", "before and after exclude each other")),
    };
    let view = match fields.take("view").map(|value| text_of("view", value)).transpose()?.as_deref() {
        None | Some("texts") => View::Texts,
        Some("log") => View::Log,
        Some(_) => return Err(WireError::field("view", "view must be texts or log")),
    };
    let limit = limit(fields, &PageSize { most: limits::HISTORY_MAX, default: limits::HISTORY_DEFAULT })?;
    Ok(Request::History { room, page, view, limit })
}

/// Until when a room is muted; absent means for ever.
pub(super) fn until(fields: &mut Fields) -> Result<Timestamp, WireError> {
    match fields.time("until")?.unwrap_or(limits::FOR_EVER) {
        until if until <= limits::FOR_EVER => Ok(until),
        _ => Err(WireError::field("until", "until must be a time before the year 9999")),
    }
}

fn limit(fields: &mut Fields, size: &PageSize) -> Result<u32, WireError> {
    let Some(value) = fields.take("limit") else { return Ok(size.default) };
    value
        .as_u64()
        .and_then(|limit| u32::try_from(limit).ok())
        .filter(|limit| (1..=size.most).contains(limit))
        .ok_or_else(|| WireError::field("limit", format!("limit must be an integer from 1 to {}", size.most)))
}
