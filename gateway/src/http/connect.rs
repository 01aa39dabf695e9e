//! Tells a client where to connect.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode},
};
use chat_gateway_config::hints::FRESH;
use schemars::JsonSchema;
use serde::Serialize;

use super::{ApiError, ClientAddress, Http, limits::Limits, origin};
use crate::protocol::ErrorCode;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Where to connect.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Addresses")]
pub(crate) struct Addresses {
    /// In the order in which they are to be tried. Each is `ws://` or `wss://` with a host, and maybe a port and a path; the path of a door follows. Where this
    /// request came in is the last one, unless it is named before.
    #[schemars(length(min = 1))]
    addresses: Vec<String>,
    /// Seconds after which the answer is too old to begin with, at least 1.
    #[schemars(range(min = 1, max = 10))]
    good_for_seconds: u64,
}

/// Names the gateways that have room, the best first, and where the request came in.
pub(super) async fn connect(
    State(http): State<Http>,
    address: ClientAddress,
    headers: HeaderMap,
) -> Result<Json<Addresses>, ApiError> {
    Limits(&http).connect(address).await?;
    let host = origin::host(&headers).ok_or_else(|| {
        ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, "the header Host must name one host")
            .field("host")
    })?;
    let services = &http.services;
    let closed = services.entrance.turns_away().then_some(services.gateway.as_str());
    let named = services.hints.choose(closed, &mut rand::rng());
    services.counters.hints.add(if named.is_some() { "named" } else { "front" });
    let (mut addresses, good_for) = named.map_or((Vec::new(), FRESH), |named| (named.addresses, named.good_for));
    let front = format!("{}://{host}", scheme(&headers, addresses.first()));
    if !addresses.contains(&front) {
        addresses.push(front);
    }
    Ok(Json(Addresses { addresses, good_for_seconds: good_for.as_secs().max(1) }))
}

/// Whether the request came by TLS, which was taken off before: as a proxy says, or else as single gateways are reached. A client that lies gets its own lie
/// back, and nobody else gets it: answers are in no cache.
fn scheme(headers: &HeaderMap, named: Option<&String>) -> &'static str {
    let said = headers.get(X_FORWARDED_PROTO).and_then(|value| value.to_str().ok());
    match said.map(|said| said.trim().to_ascii_lowercase()).as_deref() {
        Some("https" | "wss") => "wss",
        Some("http" | "ws") => "ws",
        _ if named.is_some_and(|address| address.starts_with("wss://")) => "wss",
        _ => "ws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_before_the_gateway_is_told_by_a_proxy_or_by_how_the_others_are_reached() {
        let of = |said: Option<&'static str>, named: Option<&str>| {
            let headers = said.map(|said| (X_FORWARDED_PROTO, said.parse().unwrap())).into_iter().collect();
            scheme(&headers, named.map(str::to_owned).as_ref())
        };
        assert_eq!((of(None, None), of(Some("nonsense"), None)), ("ws", "ws"));
        assert_eq!((of(Some("HTTPS"), None), of(Some("https"), Some("ws://a"))), ("wss", "wss"));
        assert_eq!((of(None, Some("wss://a")), of(Some("http"), Some("wss://a"))), ("wss", "ws"));
    }
}
