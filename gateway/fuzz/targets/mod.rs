//! What reads bytes from a network, as functions that any bytes may be given to. They fail by panicking.
//!
//! A new one is a line in [`ALL`]: `cargo xtask fuzz` finds it there, and so does the test that replays `corpus/<name>`.

mod broker;
mod config;
mod frames;
mod http;
mod issuers;
mod tokens;
mod websocket;

use chat_gateway::codec::Codec;

/// A name, and the function that any bytes may be given to.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// Each of them.
pub(crate) const ALL: &[Target] = &[
    ("chat_json", |data| frames::text(Codec::Chat, data)),
    ("chat_cbor", |data| frames::binary(Codec::ChatCbor, data)),
    ("centrifuge_json", |data| frames::text(Codec::CentrifugeJson, data)),
    ("centrifuge_protobuf", |data| frames::binary(Codec::CentrifugeProtobuf, data)),
    ("websocket", websocket::frames),
    ("tokens", tokens::access),
    ("refresh_tokens", tokens::refresh),
    ("broker", broker::body),
    ("http", http::request),
    ("issuers", issuers::documents),
    ("config", config::file),
    ("headers", config::headers),
];
