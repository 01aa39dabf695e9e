//! The wire protocol of `docs/reference/protocol.md` as types: requests in, answers and events out, codes and limits. No I/O.
//!
//! A frame that a network can send never panics here: [`parse`] and [`parse_cbor`] answer every frame with a [`Request`] or a [`Refusal`].

pub mod answer;
mod changes;
pub mod close;
mod contents;
mod encoding;
pub mod error;
pub mod event;
mod fields;
pub mod limits;
mod pages;
pub mod request;
pub mod rooms;
pub(crate) mod schema;
pub(crate) mod time;
pub(crate) mod value;

pub use answer::{Answer, encode_answer, encode_answer_cbor};
pub use close::CloseCode;
pub use error::{ErrorCode, WireError};
pub use event::{ClientEvent, encode_event, encode_event_cbor};
pub(crate) use request::read_request;
pub use request::{Incoming, Refusal, Request, parse, parse_cbor};
