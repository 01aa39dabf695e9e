//! What the operator may tell a gateway, and nobody else.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    place::Place,
    raw::{Answer, call},
    support::lone::local,
};

struct Operator<'a> {
    place: &'a Place,
    bearer: String,
}

impl<'a> Operator<'a> {
    fn of(place: &'a Place) -> Self {
        let token = std::fs::read_to_string(&place.config.admin_token_file).unwrap();
        Self { place, bearer: format!("Bearer {}", token.trim()) }
    }

    async fn call(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        call(&self.place.admin, method, path, &[("authorization", &self.bearer)], body).await
    }

    async fn stat(&self, name: &str) -> serde_json::Value {
        self.call("GET", "/stats", b"").await.json()[name].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_need_the_token_and_are_carried_out() {
    let place = Place::open().await;
    let operator = Operator::of(&place);
    let ann = place.sign_up("ann").await;
    let mut device = place.connect(&ann).await;

    let orders = [("PUT", "/cordon"), ("DELETE", "/cordon"), ("POST", "/moves")];
    for (method, path) in orders {
        for headers in [&[][..], &[("authorization", "Bearer x")]] {
            let refused = call(&place.admin, method, path, headers, br#"{"count":9,"withinMs":0}"#).await;
            assert_eq!(refused.status, 401, "{method} {path}");
        }
    }
    assert_eq!(operator.stat("cordoned").await, false);
    assert!(device.is_served().await, "nobody was asked to go");

    assert_eq!(operator.call("PUT", "/cordon", b"").await.status, 204);
    assert_eq!(operator.call("PUT", "/cordon", b"").await.status, 204, "twice is once");
    assert_eq!(operator.stat("cordoned").await, true);
    let ready = operator.call("GET", "/readyz", b"").await;
    assert_eq!((ready.status, ready.text()), (503, "cordoned\n".to_owned()));
    assert_eq!(operator.call("GET", "/healthz", b"").await.status, 200, "balancers look at this port, too");
    assert_eq!(place.get("/v1/ws", &[]).await.status, 503);
    assert!(device.is_served().await, "who is connected stays");

    for wrong in [&b"move them"[..], br#"{"count":-1,"withinMs":0}"#, br#"{"count":1}"#, br#"{"count":1,"within":0}"#] {
        let refused = operator.call("POST", "/moves", wrong).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
    }
    let asked = operator.call("POST", "/moves", br#"{"count":9,"withinMs":100}"#).await.json();
    assert_eq!(asked, json!({ "asked": 1 }));
    assert!(device.event("reconnect").await["after_ms"].as_u64().unwrap() <= 100);
    drop(device);

    assert_eq!(operator.call("DELETE", "/cordon", b"").await.status, 204);
    assert_eq!(operator.call("GET", "/readyz", b"").await.status, 200);
    assert!(place.connect(&ann).await.is_served().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_told_to_the_operator_only() {
    let place = Place::open().await;
    let operator = Operator::of(&place);
    for headers in [&[][..], &[("authorization", "Bearer x")]] {
        assert_eq!(call(&place.admin, "GET", "/slots?since=x", headers, b"").await.status, 401);
    }
    for wrong in ["since=x", "sizes=1", "since=99999999999999999999", "size=true"] {
        assert_eq!(operator.call("GET", &format!("/slots?{wrong}"), b"").await.status, 400, "{wrong}");
    }
    let all = json!({ "slots": 1024, "shards": [{ "name": "embedded", "owned": [{ "first": 0, "last": 1023, "epoch": 1 }] }] });
    for query in ["", "?sizes=true&since=0", "?since=-9223372036854775808", "?since=9223372036854775807"] {
        assert_eq!(operator.call("GET", &format!("/slots{query}"), b"").await.json(), all, "{query}");
    }
}

/// The room in which something is said comes first, though more people are in the other one.
#[tokio::test(flavor = "multi_thread")]
async fn the_busiest_rooms_are_told_to_who_has_the_token_only() {
    let place = Place::open().await;
    let operator = Operator::of(&place);
    let (ann, ben) = (place.sign_up("ann").await, place.sign_up("ben").await);
    let (mut device, _other) = (place.connect(&ann).await, place.connect(&ben).await);
    let crowded = device.group(&[&ben.id], "crowded").await;
    let busy = device.group(&[], "busy").await;
    for headers in [&[][..], &[("authorization", "Bearer x")]] {
        assert_eq!(call(&place.admin, "GET", "/rooms", headers, b"").await.status, 401);
    }
    for wrong in ["limit=0", "limit=1001", "limit=x", "most=1"] {
        let refused = operator.call("GET", &format!("/rooms?{wrong}"), b"").await;
        assert_eq!(refused.status, 400, "{wrong}: {}", refused.text());
    }

    let mut said = 0;
    let told = {
        let mut answer = std::pin::pin!(operator.call("GET", "/rooms", b""));
        loop {
            tokio::select! {
                told = &mut answer => break told,
                seq = device.say(&busy, "a secret") => said = seq,
            }
            // Below the limit of messages.
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        }
    };
    assert!(said > 0 && !told.text().contains("secret"), "{}", told.text());
    let told = told.json();
    let [first, second] = told["rooms"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!((&told["followed"], &first["room"], &second["room"]), (&json!(2), &json!(busy), &json!(crowded)));
    assert_eq!((&first["connections"], &second["connections"]), (&json!(1), &json!(2)));
    assert!(first["messagesPerSecond"].as_f64().unwrap() > 0.0 && first["lastSeq"].as_i64().unwrap() > 0, "{told}");
    assert_eq!((&second["messagesPerSecond"], &second["lastSeq"]), (&json!(0.0), &json!(0)));
    assert_eq!(operator.call("GET", "/rooms?limit=1", b"").await.json()["rooms"].as_array().unwrap().len(), 1);
}

/// Who has just come from another connection is not sent on for the sake of evenness, but goes with a gateway that ends.
#[tokio::test(flavor = "multi_thread")]
async fn evenness_lets_those_alone_who_have_just_moved() {
    let place = Place::open().await;
    let operator = Operator::of(&place);
    let ann = place.sign_up("ann").await;
    let mut settled = place.connect(&ann).await;
    let room = settled.group(&[], "").await;
    let mut moved = place.socket().await;
    let resume = json!([{ "room": room, "seq": 0 }]);
    let welcome = moved.ask(json!({ "type": "hello", "token": ann.token, "resume": resume })).await;
    assert_eq!(welcome["resumed"][0]["room"], room.as_str(), "{welcome}");

    let asked = async |body: &[u8]| operator.call("POST", "/moves", body).await.json();
    let evenly = br#"{"count":9,"withinMs":100,"settled":true}"#;
    assert_eq!(asked(evenly).await, json!({ "asked": 1 }));
    settled.event("reconnect").await;
    assert_eq!(asked(evenly).await, json!({ "asked": 0 }));
    assert_eq!(asked(br#"{"count":9,"withinMs":100}"#).await, json!({ "asked": 1 }));
    moved.event("reconnect").await;
}

/// A proxy that ends would cut its clients off: those who came through it are asked to come through another one.
#[tokio::test(flavor = "multi_thread")]
async fn who_came_through_a_proxy_is_asked_when_that_ends() {
    let place = Place::open().await;
    let operator = Operator::of(&place);
    let ann = place.sign_up("ann").await;
    let mut device = place.connect(&ann).await;
    let asked = async |body: &[u8]| operator.call("POST", "/moves", body).await.json();
    let elsewhere = br#"{"count":9,"withinMs":100,"through":["10.0.0.7","::1"]}"#;
    assert_eq!(asked(elsewhere).await, json!({ "asked": 0 }));
    let here = br#"{"count":9,"withinMs":100,"through":["10.0.0.7","127.0.0.1"]}"#;
    assert_eq!(asked(here).await, json!({ "asked": 1 }));
    device.event("reconnect").await;
    let both = br#"{"count":9,"withinMs":100,"through":["127.0.0.1"],"settled":true}"#;
    assert_eq!(operator.call("POST", "/moves", both).await.status, 400);
}

/// A load balancer asks on a port of its own, without a token, and gets nothing there but its own line.
#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_is_told_how_much_more_a_gateway_takes() {
    let agent = local();
    let place = Place::open_with(|config| (config.agent_listen, config.max_connections) = (Some(agent), 4)).await;
    let ask = async |question: &[u8]| {
        let mut stream = TcpStream::connect(agent).await.unwrap();
        stream.write_all(question).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    // It has been ready for less than six seconds, so its share is a tenth.
    assert_eq!(ask(b"4\n").await, "ready up 10% maxconn:4\n");
    let ann = place.sign_up("ann").await;
    let mut devices = Vec::new();
    for _ in 0..4 {
        devices.push(place.connect(&ann).await);
    }
    let answer = ask(b"4\n").await;
    assert_eq!(answer, "ready up 1% maxconn:4\n", "a full gateway");
    assert_eq!(ask(b"GET /stats HTTP/1.1\r\n\r\n\r\n\r\n\r\n\r\n").await, "ready up 1% maxconn:4\n");

    let token = std::fs::read_to_string(&place.config.admin_token_file).unwrap();
    let operator = Operator { place: &place, bearer: format!("Bearer {}", token.trim()) };
    assert_eq!(operator.call("PUT", "/cordon", b"").await.status, 204);
    assert_eq!(ask(b"4\n").await, "drain\n");
    assert!(devices[0].is_served().await, "who is connected stays");
    assert_eq!(operator.call("DELETE", "/cordon", b"").await.status, 204);
    assert_eq!(ask(b"4\n").await, "ready up 1% maxconn:4\n");
}
