//! Clients that hold a place by being slow.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::{
    MINUTE,
    place::{Place, impatient},
    raw::{Answer, MOMENT, Raw, TEXT, drain, frame, upgrade},
};

/// Sends byte after byte, slowly, until the other side has had enough; what it said, and after which time.
async fn trickle(at: &str, begin: &[u8], rest: &[u8]) -> (Answer, Duration) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(begin).await.unwrap();
    let started = Instant::now();
    let (mut from, mut to) = stream.into_split();
    let mut answer = Vec::new();
    let mut rest = rest.iter().cycle();
    let talking = async {
        loop {
            let byte = *rest.next().unwrap();
            // A closed connection is seen by the reader.
            drop(to.write_all(&[byte]).await);
            tokio::time::sleep(MOMENT).await;
        }
    };
    let hearing = async { while matches!(from.read_buf(&mut answer).await, Ok(read) if read > 0) {} };
    tokio::select! {
        () = talking => {}
        () = hearing => {}
        () = tokio::time::sleep(MINUTE) => panic!("nobody ends a connection that trickles"),
    }
    (Answer::read(&answer), started.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn trickled_heads_bodies_upgrades_and_frames_are_cut_off() {
    let place = Place::open_with(|config| config.http.timeouts = impatient()).await;
    let at = &place.at;
    let body = format!(
        "POST /v1/sign-up HTTP/1.1\r\nhost: {at}\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{{"
    );
    let knock = upgrade(at, "/v1/ws", &[]);
    let half = &knock.as_bytes()[..knock.len() - 4];
    let hello = frame(TEXT, br#"{"type":"hello"}"#);
    let framed = async {
        let mut socket = Raw::open(at).await;
        for byte in &hello[..hello.len() - 1] {
            if !socket.write(&[*byte]).await {
                break;
            }
            tokio::time::sleep(MOMENT).await;
        }
        socket.closed().await
    };
    let (head, body, upgraded, framed, ()) = tokio::join!(
        trickle(at, b"GET / HTTP/1.1\r\nx-endless: ", b"x"),
        trickle(at, body.as_bytes(), b" "),
        trickle(at, half, b"x"),
        framed,
        place.serves(),
    );
    // A head that does not come is ended without a word, since nothing was asked.
    assert!(matches!(head.0.status, 0 | 408), "{:?}", head.0);
    assert!(matches!(upgraded.0.status, 0 | 408), "{:?}", upgraded.0);
    assert_eq!(body.0.refusal(), (408, "bad_request".to_owned()));
    assert_eq!(framed, 4408, "a hello that does not come to its end");
    let times = place.config.http.timeouts;
    for (took, seconds) in
        [(head.1, times.head_seconds), (upgraded.1, times.head_seconds), (body.1, times.request_seconds)]
    {
        assert!(took >= Duration::from_secs(seconds.into()).mul_f32(0.8), "{took:?}: before its time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_take_the_answers_is_cut_off() {
    let place = Place::open_with(|config| config.http.timeouts = impatient()).await;
    let request = format!("GET /style.css HTTP/1.1\r\nhost: {}\r\n\r\n", place.at);
    let whole = place.get("/style.css", &[]).await.body.len();
    // More than the system buffers between the two.
    let asked = 64 * 1024 * 1024 / whole;
    let socket = TcpSocket::new_v4().unwrap();
    // Before the connection stands, or the system gives it megabytes.
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(place.config.listen).await.unwrap();
    let requests = request.repeat(asked);
    let (mut from, mut to) = stream.split();
    let asking = async {
        // It does not get rid of all of them.
        drop(to.write_all(requests.as_bytes()).await);
    };
    let times = place.config.http.timeouts;
    let patience = Duration::from_secs((times.connection_seconds + times.request_seconds + 1).into());
    // Nothing is taken all that time, which is what the gateway must not wait for any longer.
    drop(tokio::time::timeout(patience, asking).await);
    tokio::time::sleep(patience).await;
    let mut first = [0; 12];
    from.read_exact(&mut first).await.unwrap();
    let rest = drain(&mut stream).await;
    assert!(rest.len() < asked * whole / 2, "{} of {} bytes came", rest.len(), asked * whole);
    place.serves().await;
}
