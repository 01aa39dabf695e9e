use std::{future::poll_fn, iter};

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{Role, WebSocketContext},
};

use super::*;

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        medium @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn text(text: &str) -> Heard {
    Heard::Message(Frame::Text(text.into()))
}

/// Everything in these bytes, read in pieces of `piece` bytes, to the end or the first fault.
fn hear(bytes: &[u8], piece: usize) -> (Vec<Heard>, Lost) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut near, mut far) = tokio::io::duplex(piece);
        let write = async {
            // Nobody reads on after a fault.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut far, bytes).await;
            drop(far);
        };
        let read = async {
            let mut incoming = Incoming::new(Vec::new(), 70_000);
            let mut heard = Vec::new();
            loop {
                match poll_fn(|context| incoming.poll(&mut near, context)).await {
                    Ok(one) => heard.push(one),
                    Err(lost) => {
                        drop(near);
                        return (heard, lost);
                    }
                }
            }
        };
        tokio::join!(read, write).0
    })
}

fn fault(bytes: &[u8]) -> Fault {
    match hear(bytes, 1 << 20).1 {
        Lost::Fault(fault) => fault,
        Lost::Gone => panic!("no fault"),
    }
}

#[test]
fn messages_of_every_length_arrive_in_pieces_of_any_size() {
    let bodies: Vec<String> =
        [0, 1, 125, 126, 127, 4_090, 65_535, 65_536, 3].map(|length| "ü".repeat(length / 2)).into();
    let bytes: Vec<u8> = bodies.iter().flat_map(|body| frame(0x81, body.as_bytes())).collect();
    let expected: Vec<Heard> = bodies.iter().map(|body| text(body)).collect();
    for piece in [1, 7, 4_096, 1 << 20] {
        assert_eq!(hear(&bytes, piece), (expected.clone(), Lost::Gone), "pieces of {piece}");
    }
}

#[test]
fn fragments_become_one_message_and_controls_come_between_them() {
    let parts =
        [frame(0x01, b"a\xe2"), frame(0x89, b"?"), frame(0x00, b"\x82"), frame(0x8a, b""), frame(0x80, b"\xac!")];
    let heard = vec![Heard::Ping("?".into()), Heard::Pong, text("a€!")];
    assert_eq!(hear(&parts.concat(), 3), (heard, Lost::Gone));
    let close = frame(0x88, &[&4000_u16.to_be_bytes()[..], b"bye"].concat());
    assert_eq!(hear(&close, 1).0, [Heard::Close(Some(4000))]);
    assert_eq!(hear(&frame(0x88, b""), 1).0, [Heard::Close(None)]);
}

#[test]
fn what_no_client_may_send_is_refused() {
    let unmasked = [0x81, 0x01, b'a'];
    let protocol: [Vec<u8>; 13] = [
        unmasked.to_vec(),
        frame(0xc1, b"compressed"),
        frame(0x83, b"an unknown kind"),
        frame(0x8b, b""),
        frame(0x80, b"continues nothing"),
        [frame(0x01, b"a"), frame(0x81, b"begins another")].concat(),
        frame(0x09, b"half a ping"),
        frame(0x89, &[0; 126]),
        frame(0x88, b"1"),
        frame(0x88, &999_u16.to_be_bytes()),
        frame(0x88, &1005_u16.to_be_bytes()),
        frame(0x88, &1015_u16.to_be_bytes()),
        frame(0x88, &5000_u16.to_be_bytes()),
    ];
    for bytes in protocol {
        assert_eq!(fault(&bytes), Fault::Protocol, "{bytes:?}");
    }
    assert_eq!(fault(&frame(0x81, b"\xff")), Fault::NotUtf8);
    assert_eq!(fault(&frame(0x81, b"cut \xe2\x82")), Fault::NotUtf8);
    assert_eq!(fault(&frame(0x01, b"before the end \xff")), Fault::NotUtf8);
    assert_eq!(fault(&frame(0x88, b"\x03\xe8\xff")), Fault::NotUtf8);
    // Refused by its head, before the rest has come.
    assert_eq!(fault(&frame(0x82, &[0; 70_001])[..20]), Fault::TooLarge);
    assert_eq!(fault(&[frame(0x02, &[0; 50_000]), frame(0x80, &[0; 20_001])].concat()), Fault::TooLarge);
    assert_eq!(fault(&[0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), Fault::TooLarge);
}

#[test]
fn nothing_is_kept_between_messages() {
    let one = frame(0x81, b"whole");
    let mut incoming = Incoming::new(Vec::new(), 70_000);
    let mut next = |mut bytes: &[u8]| {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let heard = incoming.poll(&mut bytes, &mut context);
        (heard, incoming.rest.capacity(), incoming.message.is_none())
    };
    assert_eq!(next(&one), (Poll::Ready(Ok(text("whole"))), 0, true));
    // The end of a frame that was begun, and the beginning of another one.
    assert_eq!(next(&one[..4]), (Poll::Ready(Err(Lost::Gone)), 8, true));
    let (heard, kept, _) = next(&[&one[4..], &one[..2]].concat());
    assert_eq!(heard, Poll::Ready(Ok(text("whole"))));
    assert!(kept > 0);
    assert_eq!(next(&one[2..]), (Poll::Ready(Ok(text("whole"))), 0, true));
}

proptest! {
    /// Any bytes come to what the library makes of them, up to the first fault.
    #[test]
    fn agrees_with_another_implementation(
        frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..200)), 1..6),
        plain in any::<bool>(),
    ) {
        let kinds = [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a];
        let frames = frames.iter().map(|(first, payload)| {
            let first = if plain { kinds[usize::from(*first) % kinds.len()] } else { *first };
            // Letters half of the time, so that texts get through.
            let payload: Vec<u8> = if plain { payload.iter().map(|byte| b'a' + byte % 26).collect() } else { payload.clone() };
            frame(first, &payload)
        });
        let bytes: Vec<u8> = frames.flatten().collect();
        let (ours, _) = hear(&bytes, 1 << 20);
        let mut context = WebSocketContext::from_partially_read(bytes, Role::Server, None);
        let mut stream = std::io::Cursor::new(Vec::new());
        let theirs: Vec<Heard> = iter::from_fn(|| match context.read(&mut stream).ok()? {
            Message::Text(text) => Some(Heard::Message(Frame::Text(text))),
            Message::Binary(bytes) => Some(Heard::Message(Frame::Binary(bytes))),
            Message::Ping(bytes) => Some(Heard::Ping(bytes)),
            Message::Pong(_) => Some(Heard::Pong),
            Message::Close(close) => Some(Heard::Close(close.map(|close| close.code.into()))),
            Message::Frame(_) => None,
        }).collect();
        // After a close frame the library reads no more.
        let until = ours.iter().position(|heard| matches!(heard, Heard::Close(_))).map_or(ours.len(), |at| at + 1);
        prop_assert_eq!(&ours[..until], &theirs[..]);
    }
}
