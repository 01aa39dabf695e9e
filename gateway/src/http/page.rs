//! The page: files compiled into the program, each with a tag so that a browser asks for a changed one only.

use axum::{
    extract::{Path, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use xxhash_rust::xxh3::xxh3_64;

use super::ApiError;
use crate::protocol::ErrorCode;

struct Asset {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($folder:literal / $name:literal: $media_type:expr),+ $(,)?) => {
        &[$(Asset {
            name: $name,
            media_type: $media_type,
            bytes: include_bytes!(concat!("../../web/", $folder, "/", $name)),
        }),+]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Every file of `gateway/web/static` (as written) and `gateway/web/dist` (compiled); a test compares.
const ASSETS: &[Asset] = assets! {
    "static" / "index.html": HTML,
    "static" / "style.css": "text/css; charset=utf-8",
    "static" / "icon.svg": "image/svg+xml",
    "dist" / "account-dialog.js": SCRIPT,
    "dist" / "accounts.js": SCRIPT,
    "dist" / "actions.js": SCRIPT,
    "dist" / "announcer.js": SCRIPT,
    "dist" / "cbor.js": SCRIPT,
    "dist" / "client.js": SCRIPT,
    "dist" / "completion.js": SCRIPT,
    "dist" / "composer.js": SCRIPT,
    "dist" / "conversation.js": SCRIPT,
    "dist" / "devices.js": SCRIPT,
    "dist" / "dialogs.js": SCRIPT,
    "dist" / "dom.js": SCRIPT,
    "dist" / "follow.js": SCRIPT,
    "dist" / "frames.js": SCRIPT,
    "dist" / "heartbeat.js": SCRIPT,
    "dist" / "index.js": SCRIPT,
    "dist" / "keyed.js": SCRIPT,
    "dist" / "main.js": SCRIPT,
    "dist" / "members-dialog.js": SCRIPT,
    "dist" / "mentions.js": SCRIPT,
    "dist" / "menu.js": SCRIPT,
    "dist" / "message.js": SCRIPT,
    "dist" / "oidc.js": SCRIPT,
    "dist" / "protocol.js": SCRIPT,
    "dist" / "requests.js": SCRIPT,
    "dist" / "room-list.js": SCRIPT,
    "dist" / "route.js": SCRIPT,
    "dist" / "sign-in.js": SCRIPT,
    "dist" / "state.js": SCRIPT,
    "dist" / "texts.js": SCRIPT,
    "dist" / "unread.js": SCRIPT,
    "dist" / "uuid.js": SCRIPT,
};

pub(super) async fn index(headers: HeaderMap) -> Response {
    serve("index.html", &headers)
}

pub(super) async fn file(path: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Result<Response, ApiError> {
    let Path(name) = path?;
    Ok(serve(&name, &headers))
}

fn serve(name: &str, asked: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return ApiError::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, "no such file").into_response();
    };
    let tag = format!("\"{:016x}\"", xxh3_64(asset.bytes));
    let fresh = asked.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if fresh { StatusCode::NOT_MODIFIED.into_response() } else { asset.bytes.into_response() };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    // Asked for again at each load: a page from before a rollout must not speak to gateways from after it.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serves_every_file_of_the_built_page() {
        let mut built: Vec<String> = ["static", "dist"]
            .iter()
            .flat_map(|folder| std::fs::read_dir(format!("{}/web/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        built.sort();
        let mut served: Vec<String> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        served.sort();
        assert_eq!(built, served);
    }

    #[test]
    fn an_unchanged_file_is_not_sent_again() {
        let first = serve("main.js", &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let mut asked = HeaderMap::new();
        asked.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(serve("main.js", &asked).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(serve("../Cargo.toml", &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
    }
}
