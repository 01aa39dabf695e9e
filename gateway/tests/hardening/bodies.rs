//! Bodies that are too large, and bodies that become large.

use serde_json::json;

use crate::{
    place::Place,
    raw::{call, exchange},
};

/// All paths of the client port, with the method each one takes.
const PATHS: &[(&str, &str)] = &[
    ("POST", "/v1/sign-up"),
    ("POST", "/v1/sign-in"),
    ("POST", "/v1/sign-in/oidc"),
    ("POST", "/v1/password"),
    ("POST", "/v1/refresh"),
    ("POST", "/v1/sign-out"),
    ("POST", "/v1/sign-out-everywhere"),
    ("GET", "/v1/sessions"),
    ("DELETE", "/v1/sessions/0197a000-0000-7000-8000-000000000001"),
    ("GET", "/v1/config"),
    ("GET", "/v1/ws"),
    ("GET", "/connection/websocket"),
    ("GET", "/"),
    ("GET", "/main.js"),
    ("PATCH", "/nowhere/at/all"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_body_is_refused_on_every_path() {
    let place = Place::open().await;
    let ann = place.sign_up("ann").await;
    let bearer = format!("Bearer {}", ann.token);
    for (method, path) in PATHS {
        // By its length alone: not a byte of it is waited for.
        for length in ["16385", "100000000", "9999999999999999999"] {
            let headers = [("content-length", length), ("authorization", bearer.as_str())];
            let answer = call(&place.at, method, path, &headers, b"").await;
            assert!(matches!(answer.status, 400 | 413), "{method} {path} of {length}: {}", answer.status);
            if length != "9999999999999999999" {
                assert_eq!(answer.refusal(), (413, "too_large".to_owned()), "{method} {path} of {length}");
            }
        }
    }
    // Without a length, where a body is read.
    for path in ["/v1/sign-up", "/v1/sign-in", "/v1/sign-in/oidc", "/v1/password", "/v1/refresh", "/v1/sign-out"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: {bearer}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
            place.at
        );
        let chunk = [b"4000\r\n".as_slice(), &[b' '; 0x4000], b"\r\n"].concat();
        let answer = exchange(&place.at, &[head.as_bytes(), &chunk.repeat(64)].concat()).await;
        assert_eq!(answer.refusal(), (413, "too_large".to_owned()), "{path}");
    }
    assert_eq!(place.get("/v1/sessions", &[("authorization", &bearer)]).await.status, 200, "nothing ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_bodies_are_refused_on_every_path() {
    let place = Place::open().await;
    for (method, path) in PATHS {
        for coding in ["gzip", "GZIP", "br", "identity, gzip", "x-unknown"] {
            let answer = call(&place.at, method, path, &[("content-encoding", coding)], b"").await;
            assert_eq!(answer.refusal(), (415, "bad_request".to_owned()), "{method} {path} {coding}");
        }
    }
    let plain = [("content-encoding", "identity")];
    let answer = place.post("/v1/sign-up", &plain, &json!({ "name": "ann", "password": "a good password" })).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"]
    {
        // What a form on any page can send without asking does not get in.
        let answer = place
            .post("/v1/sign-in", &[("content-type", kind)], &json!({ "name": "ann", "password": "a good password" }))
            .await;
        assert_eq!(answer.status, 415, "{kind}");
    }
}
