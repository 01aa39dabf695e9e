//! Answers become replies.

use serde_json::json;

use super::{
    channel, codes,
    messages::{
        ClientInfo, ConnectResult, Done, HistoryResult, Payload, PresenceResult, PresenceStatsResult, RefreshResult,
        Reply, SubscribeResult,
    },
    push::publication,
};
use crate::{
    codec::{Form, Tag},
    model::User,
    protocol::{
        Answer,
        answer::{MessageView, Welcome},
        encode_answer,
    },
};

/// Seconds before its token ends that a client is told to bring a new one, so that a slow one still finds its connection open.
const REFRESH_LEAD: i64 = 30;

/// The reply under a tag. An answer that is no result of the tag's form is given as the `rpc` it must have been.
pub(crate) fn reply(tag: Option<Tag>, answer: &Answer) -> Reply {
    let Some(Tag { id, form }) = tag else { return Reply::default() };
    // Numbers come from 32-bit commands.
    let reply = Reply { id: u32::try_from(id).unwrap_or(0), ..Reply::default() };
    match (form, answer) {
        (_, Answer::Error(error)) => Reply { error: Some(codes::error(error)), ..reply },
        (Form::Connect, Answer::Welcome(welcome)) => Reply { connect: Some(connect(welcome)), ..reply },
        (Form::Subscribe, Answer::Subscribed { position, recovered }) => Reply {
            subscribe: Some(SubscribeResult {
                recoverable: true,
                positioned: true,
                epoch: channel::EPOCH.to_owned(),
                offset: channel::offset(*position),
                was_recovering: recovered.is_some(),
                recovered: recovered.unwrap_or(false),
            }),
            ..reply
        },
        (Form::Unsubscribe, _) => Reply { unsubscribe: Some(Done {}), ..reply },
        (Form::Publish, _) => Reply { publish: Some(Done {}), ..reply },
        (Form::History { reverse, position_only }, Answer::History { messages, last_seq, .. }) => {
            let mut publications: Vec<_> = match position_only {
                true => Vec::new(),
                false => messages.iter().map(|message: &MessageView| publication(message)).collect(),
            };
            if reverse {
                publications.reverse();
            }
            let epoch = channel::EPOCH.to_owned();
            let history = HistoryResult { publications, epoch, offset: channel::offset(*last_seq) };
            Reply { history: Some(history), ..reply }
        }
        (Form::Presence, Answer::RoomPresence { online }) => {
            let presence = online.iter().map(|user| (user.id.to_string(), client(user))).collect();
            Reply { presence: Some(PresenceResult { presence }), ..reply }
        }
        (Form::PresenceStats, Answer::RoomPresence { online }) => {
            let users = u32::try_from(online.len()).unwrap_or(u32::MAX);
            Reply { presence_stats: Some(PresenceStatsResult { num_clients: users, num_users: users }), ..reply }
        }
        (Form::Refresh, Answer::Refreshed { expires_in }) => {
            Reply { refresh: Some(RefreshResult { expires: true, ttl: ttl(*expires_in) }), ..reply }
        }
        (_, other) => Reply { rpc: Some(Payload { data: encode_answer(None, other).as_bytes().to_vec() }), ..reply },
    }
}

fn connect(welcome: &Welcome) -> ConnectResult {
    let data = json!({ "user": welcome.user, "gateway": welcome.gateway, "limits": welcome.limits });
    ConnectResult {
        client: welcome.session.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        expires: true,
        ttl: ttl(welcome.expires_in),
        data: data.to_string().into_bytes(),
        ping: welcome.ping_seconds,
        pong: true,
    }
}

/// Presence is known by user and not by connection, so a user stands for all of theirs.
fn client(user: &User) -> ClientInfo {
    let info = json!({ "name": user.name, "display_name": user.display_name });
    ClientInfo { user: user.id.to_string(), client: user.id.to_string(), conn_info: info.to_string().into_bytes() }
}

/// When to bring a new token: in good time before this one ends, and never at once.
fn ttl(expires_in: i64) -> u32 {
    let lead = REFRESH_LEAD.min(expires_in / 2);
    u32::try_from((expires_in - lead).max(1)).unwrap_or(u32::MAX)
}
