//! Commands become requests.

use tokio_tungstenite::tungstenite::Bytes;
use uuid::Uuid;

use super::{
    channel, framing,
    messages::{Command, HistoryRequest, PublishRequest, RpcRequest, SendRequest, StreamPosition, SubscribeRequest},
};
use crate::{
    codec::{Form, Read, Tag, Unreadable},
    protocol::{
        ErrorCode, Request, WireError, limits, read_request,
        request::{Recover, Subscribe},
        value::{Map, Value},
    },
    store::{Page, View},
};

/// Reads a text frame.
///
/// # Errors
/// [`Unreadable`] when it is no sequence of commands.
pub(crate) fn read_json(text: &str) -> Result<Vec<Read>, Unreadable> {
    read(framing::json_commands(text)?)
}

/// Reads a binary frame.
///
/// # Errors
/// [`Unreadable`] when it is no sequence of commands.
pub(crate) fn read_protobuf(bytes: Bytes) -> Result<Vec<Read>, Unreadable> {
    read(framing::protobuf_commands(bytes)?)
}

fn read(commands: Vec<Command>) -> Result<Vec<Read>, Unreadable> {
    let mut reads = Vec::with_capacity(commands.len());
    for command in commands {
        reads.extend(one(command)?);
    }
    Ok(reads)
}

/// `None` for what asks for nothing: a pong, or a `send` that cannot be carried out, which is never answered.
fn one(command: Command) -> Result<Option<Read>, Unreadable> {
    let id = u64::from(command.id);
    if let Some(SendRequest { data }) = command.send {
        return Ok(send(&data).ok().map(|request| Read::Request { tag: None, request }));
    }
    if command == Command::default() {
        return Ok(None);
    }
    if id == 0 {
        return Err(Unreadable);
    }
    let (form, request) = request(command);
    let tag = Some(Tag { id, form });
    Ok(Some(match request {
        Ok(request) => Read::Request { tag, request },
        Err(error) => Read::Refused { tag, error },
    }))
}

/// What a command asks, and what its answer looks like. Of several requests in one command the first counts.
fn request(command: Command) -> (Form, Result<Request, WireError>) {
    if let Some(connect) = command.connect {
        return (Form::Connect, Ok(Request::Hello { token: connect.token, resume: Vec::new() }));
    }
    if let Some(wanted) = command.subscribe {
        return (Form::Subscribe, subscribe(wanted));
    }
    if let Some(wanted) = command.unsubscribe {
        return (Form::Unsubscribe, channel::room(&wanted.channel).map(|room| Request::Unsubscribe { room }));
    }
    if let Some(wanted) = command.publish {
        return (Form::Publish, publish(&wanted));
    }
    if let Some(wanted) = command.presence {
        return (Form::Presence, channel::room(&wanted.channel).map(|room| Request::RoomPresence { room }));
    }
    if let Some(wanted) = command.presence_stats {
        return (Form::PresenceStats, channel::room(&wanted.channel).map(|room| Request::RoomPresence { room }));
    }
    if let Some(wanted) = command.history {
        let form = Form::History { reverse: wanted.reverse, position_only: wanted.limit == 0 };
        return (form, history(&wanted));
    }
    if let Some(wanted) = command.rpc {
        return (Form::Rpc, rpc(&wanted));
    }
    if let Some(wanted) = command.refresh {
        return (Form::Refresh, Ok(Request::Refresh { token: wanted.token }));
    }
    let error = match command.sub_refresh {
        Some(_) => "subscriptions do not expire here",
        None => "no such command; see the Centrifuge page",
    };
    (Form::Plain, Err(WireError::new(ErrorCode::UnknownType, error)))
}

fn subscribe(wanted: SubscribeRequest) -> Result<Request, WireError> {
    let room = channel::room(&wanted.channel)?;
    let strict = wanted.flag & SubscribeRequest::REJECT_UNRECOVERED != 0;
    let position = StreamPosition { offset: wanted.offset, epoch: wanted.epoch };
    let recover = match (wanted.recover, channel::seq(&position)) {
        (false, _) => Recover::No,
        (true, Some(seq)) => Recover::From(seq),
        (true, None) => Recover::Elsewhere,
    };
    Ok(Request::Subscribe(Subscribe { room, recover, strict }))
}

/// The data is what `send` of `chat.v1` takes, its room being the channel's. Without a `message_id` a repeat is another message.
fn publish(wanted: &PublishRequest) -> Result<Request, WireError> {
    let room = channel::room(&wanted.channel)?;
    let mut fields = object(&wanted.data)?;
    fields.insert("room".into(), Value::Id(room.0));
    if fields.get("message_id").is_none_or(Value::is_null) {
        fields.insert("message_id".into(), Value::Id(Uuid::now_v7()));
    }
    read_request("send", fields)
}

fn history(wanted: &HistoryRequest) -> Result<Request, WireError> {
    let room = channel::room(&wanted.channel)?;
    let since = match &wanted.since {
        None => None,
        Some(position) => Some(channel::seq(position).ok_or_else(|| {
            WireError::field("epoch", "the position is of another history; take the epoch that subscribing returned")
        })?),
    };
    let page = match (wanted.reverse, since) {
        (false, since) => Page::After(since.unwrap_or(0)),
        (true, None) => Page::Newest,
        (true, Some(0)) => return Err(WireError::field("offset", "there is nothing before offset 0")),
        (true, Some(seq)) => Page::Before(seq),
    };
    // None at all (0) still needs a read for the position; all (-1) is as many as a page has.
    let limit = u32::try_from(wanted.limit).map_or(limits::HISTORY_MAX, |limit| limit.clamp(1, limits::HISTORY_MAX));
    Ok(Request::History { room, page, view: View::Log, limit })
}

fn rpc(wanted: &RpcRequest) -> Result<Request, WireError> {
    let empty = wanted.data.is_empty() || wanted.data == b"null";
    let fields = if empty { Map::new() } else { object(&wanted.data)? };
    read_request(&wanted.method, fields)
}

/// The data is a request of `chat.v1` with its `type`.
fn send(data: &[u8]) -> Result<Request, WireError> {
    let fields = object(data)?;
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    read_request(&kind, fields)
}

fn object(data: &[u8]) -> Result<Map, WireError> {
    match serde_json::from_slice(data) {
        Ok(Value::Map(map)) => Ok(map),
        _ => Err(WireError::field("data", "data must be a JSON object, which names each field once")),
    }
}
