//! JSON that parsers disagree about.

use serde_json::json;
use uuid::Uuid;

use crate::{
    place::Place,
    raw::{Answer, Raw, call},
};

/// Sends a text and returns type, code and field of what it is answered with.
async fn told(socket: &mut Raw, text: &str) -> (String, String, String) {
    socket.text(text).await;
    let answer = loop {
        let frame = socket.json().await;
        if frame["type"] == "error" || frame.get("re").is_some() {
            break frame;
        }
    };
    let part = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    (part("type"), part("code"), part("field"))
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_parsers_disagree_about_are_read_in_one_way() {
    let place = Place::open().await;
    let mut ann = place.connect(&place.sign_up("ann").await).await;
    let room = ann.group(&[], "").await;
    let id = Uuid::now_v7();
    let deep = |open: &str, close: &str| {
        format!(r#"{{"type":"ping","id":1,"x":{}1{}}}"#, open.repeat(10_000), close.repeat(10_000))
    };
    let send = |body: &str| format!(r#"{{"type":"send","id":1,"room":"{room}","message_id":"{id}","body":{body}}}"#);
    let history = |limit: &str| format!(r#"{{"type":"history","id":1,"room":"{room}","limit":{limit}}}"#);
    let number = |number: &str| format!(r#"{{"type":"ping","id":{number}}}"#);
    let no_json = ("error", "bad_json", "");
    let bad = |field| ("error", "bad_request", field);
    let table = [
        ("arrays in arrays", deep("[", "]"), no_json),
        ("objects in objects", deep(r#"{"x":"#, "}"), no_json),
        ("a number beyond all", number("1e999"), no_json),
        ("a request id beyond all", number("123456789012345678901234567890"), bad("id")),
        ("a request id that JavaScript cannot hold", number("9007199254740993"), bad("id")),
        ("a negative request id", number("-1"), bad("id")),
        ("a request id with a fraction", number("1.0"), bad("id")),
        ("a page beyond all", history("99999999999999999999"), bad("limit")),
        ("a page with an exponent", history("1e1"), bad("limit")),
        ("no number", number("NaN"), no_json),
        ("a leading zero", number("01"), no_json),
        ("hexadecimal", number("0x1"), no_json),
        ("half a character", send(r#""\ud800""#), no_json),
        ("the halves of a character the wrong way round", send(r#""\udc00\ud800""#), no_json),
        ("a NUL", send(r#""a\u0000b""#), bad("body")),
        ("a control character as it is", send("\"a\u{1}b\""), no_json),
        ("single quotes", send("'a'"), no_json),
        ("a comment", r#"{"type":"ping","id":1/**/}"#.to_owned(), no_json),
        ("a comma at the end", r#"{"type":"ping","id":1,}"#.to_owned(), no_json),
        ("two values", r#"{"type":"ping"}{"type":"ping"}"#.to_owned(), no_json),
        ("a mark of byte order", "\u{feff}{\"type\":\"ping\"}".to_owned(), no_json),
        ("a name that comes twice", r#"{"id":1,"type":"rooms","type":"ping","id":2}"#.to_owned(), no_json),
        ("nothing", String::new(), no_json),
        ("a list", "[]".to_owned(), no_json),
        ("a type in capitals", r#"{"type":"Ping","id":1}"#.to_owned(), ("error", "unknown_type", "")),
        ("a name in capitals", r#"{"Type":"ping","id":1}"#.to_owned(), bad("type")),
        ("a body that is a list", send(r#"["a"]"#), bad("body")),
        ("a body that is true", send("true"), bad("body")),
        (
            "the keys of prototypes",
            r#"{"type":"ping","id":1,"__proto__":{"a":1},"constructor":1}"#.to_owned(),
            ("pong", "", ""),
        ),
        ("a pair of halves", send(r#""\ud83d\ude00""#), ("sent", "", "")),
    ];
    for (what, text, (kind, code, field)) in table {
        let expected = (kind.to_owned(), code.to_owned(), field.to_owned());
        assert_eq!(told(&mut ann, &text).await, expected, "{what}");
        // Three in a row that are no JSON would close the connection.
        assert!(ann.is_served().await, "{what}");
    }
    let page = ann.ask(json!({ "type": "history", "room": room })).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!(page["messages"][0]["body"], "\u{1f600}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_parsers_disagree_about_are_refused() {
    let place = Place::open().await;
    let post = async |body: &[u8]| -> Answer { call(&place.at, "POST", "/v1/sign-up", &[], body).await };
    let deep = |field: &str, open: &str, close: &str| {
        let (open, close) = (open.repeat(2_000), close.repeat(2_000));
        format!(r#"{{"password":"a good password","{field}":{open}1{close}}}"#)
    };
    let (arrays, objects, unknown) = (
        deep("name", "[", "]"),
        deep("name", r#"{"a":"#, "}"),
        deep("x", "[", "]").replace("{\"p", "{\"name\":\"a/\",\"p"),
    );
    for (what, body, status) in [
        ("two names", br#"{"name":"ann","password":"a good password","name":"bob"}"#.as_slice(), 422),
        ("two passwords", br#"{"name":"ann","password":"a good password","password":"another one"}"#, 422),
        ("arrays in arrays", arrays.as_bytes(), 422),
        ("objects in objects", objects.as_bytes(), 422),
        ("arrays in a field that nobody knows, and a bad name", unknown.as_bytes(), 400),
        ("half a character", br#"{"name":"ann","password":"a good password","display_name":"\ud800"}"#, 400),
        ("a NUL", br#"{"name":"ann","password":"a good password","display_name":"a\u0000b"}"#, 400),
        ("a NUL in the name", br#"{"name":"ann\u0000","password":"a good password"}"#, 400),
        ("no UTF-8", b"{\"name\":\"ann\",\"password\":\"a good password\",\"display_name\":\"\xff\"}", 400),
        ("a number for a text", br#"{"name":1,"password":"a good password"}"#, 422),
        ("a number beyond all", br#"{"name":1e999,"password":"a good password"}"#, 400),
        ("a list", b"[]", 422),
        ("two values", br#"{"name":"ann","password":"a good password"}{}"#, 400),
        ("nothing", b" ", 400),
    ] {
        let answer = post(body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert!(["bad_json", "bad_request"].contains(&answer.refusal().1.as_str()), "{what}: {}", answer.text());
    }
    // None of these made an account. A password is any text, a NUL in it too: only its hash is stored.
    let odd = br#"{"name":"ann","password":"a good\u0000 \ud83d\ude00 password"}"#;
    assert_eq!(post(odd).await.status, 201);
    assert_eq!(call(&place.at, "POST", "/v1/sign-in", &[], odd).await.status, 200);
}
