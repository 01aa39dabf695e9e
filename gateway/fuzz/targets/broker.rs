//! What the broker brings: a routing key, and the body under it.

use chat_gateway::{
    broker::Key,
    codec::Codec,
    hub::event::{Envelope, Event},
    protocol::ClientEvent,
};

use super::tokens::split;

/// A key in the first line, a body in the rest; RabbitMQ, Kafka and Redis bring nothing else.
pub(super) fn body(data: &[u8]) {
    let (key, body) = split(data);
    if let Some(key) = std::str::from_utf8(key).ok().and_then(Key::parse) {
        assert_eq!(Key::parse(&key.to_string()), Some(key));
    }
    let Ok(envelope) = Envelope::decode(body) else { return };
    assert_eq!(Envelope::decode(&envelope.encode()).expect("its own words"), envelope);
    for event in envelope.events {
        // What clients are told of it can be written in every language.
        if let Event::Message { message, .. } = event {
            let event = ClientEvent::Message { message: message.into() };
            for codec in [Codec::Chat, Codec::ChatCbor, Codec::CentrifugeJson, Codec::CentrifugeProtobuf] {
                assert!(!codec.event(&event).is_empty());
            }
        }
    }
}
