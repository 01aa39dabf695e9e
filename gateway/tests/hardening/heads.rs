//! Requests whose heads are too much.

use crate::{
    place::Place,
    raw::{Answer, exchange},
};

async fn with_head(place: &Place, path: &str, headers: &str) -> Answer {
    exchange(&place.at, format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", place.at).as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_headers_too_large_ones_and_huge_addresses_are_refused() {
    let place = Place::open().await;
    let many: String = (0..200).map(|n| format!("x-{n}: a\r\n")).collect();
    let large = format!("x-large: {}\r\n", "a".repeat(20 * 1024));
    let several: String = (0..50).map(|n| format!("x-{n}: {}\r\n", "a".repeat(1_024))).collect();
    for (what, headers) in [("many", &many), ("one large", &large), ("several large", &several)] {
        for path in ["/", "/v1/config", "/v1/ws", "/connection/websocket"] {
            assert_eq!(with_head(&place, path, headers).await.status, 431, "{what}, {path}");
        }
    }
    // Over what the parser has room for a head is a head that is too large, whichever part of it is.
    for length in [20 * 1024, 100 * 1024] {
        let status = with_head(&place, &format!("/{}", "a".repeat(length)), "").await.status;
        assert!(matches!(status, 414 | 431), "an address of {length} bytes: {status}");
    }
    let endless = [b"GET / HTTP/1.1\r\nx-endless: ".to_vec(), vec![b'a'; 8 * 1024 * 1024]].concat();
    assert_eq!(exchange(&place.at, &endless).await.status, 431, "a head without an end");
    for good in ["/", "/v1/config"] {
        assert_eq!(with_head(&place, good, "connection: close\r\n").await.status, 200);
    }
    place.serves().await;
}

/// Two lengths, or a length and chunks, are how one request is smuggled inside another past a proxy.
#[tokio::test(flavor = "multi_thread")]
async fn requests_of_two_lengths_are_one_request_or_none() {
    let place = Place::open().await;
    let smuggled = "GET /v1/config HTTP/1.1\r\nhost: a\r\n\r\n";
    for lengths in [
        format!("content-length: 0\r\ncontent-length: {}\r\n", smuggled.len()),
        format!("content-length: 0, {}\r\n", smuggled.len()),
        "content-length: +5\r\n".to_owned(),
        "content-length: 5\r\ntransfer-encoding: xchunked\r\n".to_owned(),
        "transfer-encoding: chunked, identity\r\n".to_owned(),
    ] {
        let request = format!("POST /v1/sign-out HTTP/1.1\r\nhost: a\r\n{lengths}\r\n{smuggled}");
        let answer = exchange(&place.at, request.as_bytes()).await;
        assert_eq!(answer.status, 400, "{lengths}");
        assert!(!answer.text().contains("HTTP/1.1 200"), "{lengths}: {}", answer.text());
    }
    place.serves().await;
}
