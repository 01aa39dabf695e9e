//! `GET /rooms`: the busiest rooms, for a person who looks for what makes the load.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chat_gateway_config::rooms::{RoomLoad, RoomsAnswer};
use serde::Deserialize;

use super::{Admin, asker::Holder};

/// Rooms that are told of if nothing else is asked for.
const ROOMS: usize = 20;
/// Rooms that are told of at most.
const MAX_ROOMS: usize = 1_000;
/// Between two looks.
const APART: Duration = Duration::from_secs(1);

/// The query.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Wanted {
    /// How many rooms to tell of.
    limit: Option<usize>,
}

/// Whoever asks is a person, and no sign that the operator lives.
pub(super) async fn answer(
    State(admin): State<Arc<Admin>>,
    _: Holder,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let limit = match wanted {
        Ok(Query(Wanted { limit })) => limit.unwrap_or(ROOMS),
        Err(refused) => return refused.into_response(),
    };
    if !(1..=MAX_ROOMS).contains(&limit) {
        return (StatusCode::BAD_REQUEST, format!("limit is {limit}; give 1 to {MAX_ROOMS}\n")).into_response();
    }
    let (followed, busiest) = admin.hub.busiest(APART, limit).await;
    let rooms = busiest.into_iter().map(|busy| RoomLoad {
        room: busy.room.to_string(),
        slot: admin.services.books.slot(busy.room),
        connections: busy.connections as u64,
        last_seq: u64::try_from(busy.last_seq).unwrap_or_default(),
        messages_per_second: busy.rate,
    });
    Json(RoomsAnswer { followed: followed as u64, rooms: rooms.collect() }).into_response()
}
