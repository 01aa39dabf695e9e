//! The requests that put an entry into a room's log.

use super::{
    error::WireError,
    fields::{Fields, seq_of, uuid_of},
    limits,
    value::Value,
};
use crate::model::{Content, Seq, UserId};

/// Reads what `send`, `edit`, `delete`, `react` or `unreact` says.
pub(super) fn content(kind: &str, fields: &mut Fields) -> Result<Content, WireError> {
    Ok(match kind {
        "edit" => Content::Edit { target: target(fields)?, body: fields.text("body")? },
        "delete" => Content::Delete { target: target(fields)? },
        "react" => Content::React { target: target(fields)?, emoji: emoji(fields)? },
        "unreact" => Content::Unreact { target: target(fields)?, emoji: emoji(fields)? },
        _ => Content::Text {
            body: fields.text("body")?,
            reply_to: fields.take("reply_to").map(|value| place("reply_to", &value)).transpose()?,
            mentions: mentions(fields)?,
        },
    })
}

fn target(fields: &mut Fields) -> Result<Seq, WireError> {
    place("target", &fields.need("target")?)
}

/// The seq of a message that is there.
fn place(field: &'static str, value: &Value) -> Result<Seq, WireError> {
    match seq_of(field, value)? {
        0 => Err(WireError::field(field, format!("{field} must be the seq of a message, from 1"))),
        seq => Ok(seq),
    }
}

fn mentions(fields: &mut Fields) -> Result<Vec<UserId>, WireError> {
    let mentions = fields.optional_list("mentions", limits::MENTIONS)?;
    mentions.iter().map(|value| uuid_of("mentions", value).map(UserId)).collect()
}

/// A reaction: an emoji, with all its modifiers, or a short name like `:tada:`.
fn emoji(fields: &mut Fields) -> Result<String, WireError> {
    let emoji = fields.text("emoji")?;
    if emoji.is_empty()
        || emoji.len() > limits::EMOJI_BYTES
        || emoji.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        let allowed = format!("emoji has 1 to {} bytes and no spaces", limits::EMOJI_BYTES);
        return Err(WireError::field("emoji", allowed));
    }
    Ok(emoji)
}
