//! `GET /slots`: what the shards themselves say of slots, for the operator that plans moves.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Admin, Operator};
use crate::store::SlotsQuestion;

/// The query.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Wanted {
    /// Whether to tell what each slot takes.
    sizes: bool,
    /// Since when moves that ended are told, in milliseconds of the Unix epoch.
    since: Option<i64>,
}

pub(super) async fn answer(
    State(admin): State<Arc<Admin>>,
    _: Operator,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    match wanted {
        Ok(Query(Wanted { sizes, since })) => {
            // Nothing ended before the epoch, nor will anything after the end of all time.
            let since = since.map(|ms| Timestamp::from_millisecond(ms.max(0)).unwrap_or(Timestamp::MAX));
            Json(admin.services.store.slots(SlotsQuestion { sizes, since }).await).into_response()
        }
        Err(refused) => refused.into_response(),
    }
}
