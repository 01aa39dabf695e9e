//! WebSocket frames that are bombs or floods.

use serde_json::json;

use crate::{
    place::Place,
    raw::{GOES_ON, PING, PONG, Raw, TEXT, TEXT_BEGINS, frame},
};

/// Resident memory of a process, in KiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_add_up_to_one_frame_and_no_more() {
    let place = Place::open().await;
    let ann = place.sign_up("ann").await;
    let before = resident(place.process.id());
    // Without an end, each part well below the limit.
    let mut bomb = place.connect(&ann).await;
    assert!(bomb.write(&frame(TEXT_BEGINS, b"{")).await);
    let part = frame(GOES_ON, &[b' '; 1_000]);
    for _ in 0..64_000 {
        if !bomb.write(&part).await {
            break;
        }
    }
    assert_eq!(bomb.closed().await, 1009);
    // A frame that only says how large it will be.
    for length in [1_u64 << 20, 1 << 40, u64::MAX >> 1] {
        let mut liar = place.connect(&ann).await;
        assert!(liar.write(&[&[TEXT, 0xff], length.to_be_bytes().as_slice(), &[0; 4]].concat()).await);
        assert!(matches!(liar.closed().await, 1009 | 1006), "{length}");
    }
    let grown = resident(place.process.id()).saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more than before");
    // Empty parts weigh nothing, and one connection that sends them takes nothing from the others.
    let mut empty = place.connect(&ann).await;
    assert!(empty.write(&frame(TEXT_BEGINS, b"")).await);
    let nothing = frame(GOES_ON, b"").repeat(1_000);
    for _ in 0..200 {
        assert!(empty.write(&nothing).await);
    }
    place.serves().await;
    // It may still say something in the end: 200,000 parts are bad manners, and a message.
    assert!(empty.write(&frame(0x80, br#"{"type":"ping","id":7}"#)).await);
    assert_eq!(empty.answer(7).await["type"], "pong");
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_and_pongs_in_masses_close_the_connection() {
    let place = Place::open().await;
    let ann = place.sign_up("ann").await;
    for kind in [PING, PONG] {
        let mut flood = place.connect(&ann).await;
        let many = frame(kind, b"0123456789").repeat(100);
        for _ in 0..1_000 {
            if !flood.write(&many).await {
                break;
            }
        }
        assert!(matches!(flood.closed().await, 4429 | 1006), "{kind:#x}");
        // Before `hello` too.
        let mut stranger = place.socket().await;
        let _ = stranger.write(&many.repeat(10)).await;
        assert!(matches!(stranger.closed().await, 4429 | 1006), "{kind:#x} of a stranger");
    }
    // A few are answered, with what they carried.
    let mut polite = place.connect(&ann).await;
    for n in 0..20_u8 {
        assert!(polite.write(&frame(PING, &[n])).await);
        assert_eq!(polite.frame().await, Some((PONG, vec![n])));
    }
    assert!(polite.is_served().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_is_not_agreed_on_and_compressed_frames_are_refused() {
    let place = Place::open().await;
    let ann = place.sign_up("ann").await;
    let offers = [("sec-websocket-extensions", "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame")];
    for path in ["/v1/ws", "/connection/websocket"] {
        let (answer, _stream) = Raw::knock(&place.at, path, &offers).await;
        assert_eq!((answer.status, answer.header("sec-websocket-extensions")), (101, None), "{path}");
    }
    // RSV1 says compressed, RSV2 and RSV3 say nothing that anybody knows; 0x3 and 0xb are no kinds of frames.
    for first in [TEXT | 0x40, TEXT | 0x20, TEXT | 0x10, 0x83, 0x8b] {
        let mut bomb = place.connect(&ann).await;
        assert!(bomb.write(&frame(first, &[0x2a; 64])).await);
        assert!(matches!(bomb.closed().await, 1002 | 1006), "{first:#x}");
    }
    // Frames of clients without a mask are none.
    let mut bare = place.connect(&ann).await;
    assert!(bare.write(&[TEXT, 2, b'{', b'}']).await);
    assert!(matches!(bare.closed().await, 1002 | 1006));
    // Nor are control frames that are fragmented or long, and texts that are no UTF-8.
    for bytes in [frame(0x09, b"a"), frame(PING, &[0; 126]), frame(TEXT, b"{\"type\":\"\xff\"}")] {
        let mut wrong = place.connect(&ann).await;
        assert!(wrong.write(&bytes).await);
        assert!(matches!(wrong.closed().await, 1002 | 1006 | 1007), "{bytes:?}");
    }
    place.serves().await;
}

/// Requests that cost no token are done one after another, so a flood of them waits in the flooder's own socket.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_questions_takes_nothing_from_others() {
    let place = Place::open().await;
    let ann = place.sign_up("ann").await;
    let mut flood = place.connect(&ann).await;
    let room = flood.group(&[], "").await;
    let asked = frame(TEXT, json!({ "type": "history", "room": room, "id": 1 }).to_string().as_bytes()).repeat(50);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let flooding = async {
        while !stop.load(std::sync::atomic::Ordering::Relaxed) && flood.write(&asked).await {
            // It does not read the answers, so it is closed as too slow in the end, or just held.
            tokio::task::yield_now().await;
        }
    };
    let others = async {
        for _ in 0..5 {
            place.serves().await;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    tokio::join!(others, async { drop(tokio::time::timeout(crate::MINUTE, flooding).await) });
}
