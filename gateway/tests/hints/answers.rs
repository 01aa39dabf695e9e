//! What one gateway answers.

use chat_gateway_config::{
    Bucket,
    hints::{Peer, Peers},
};
use serde_json::Value;

use crate::{
    MINUTE,
    gateway::Gateway,
    raw::{Answer, call, upgrade},
    support::eventually,
};

fn addresses(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let Value::Object(said) = answer.json() else { panic!("{}", answer.text()) };
    assert_eq!(said.keys().collect::<Vec<_>>(), ["addresses", "good_for_seconds"], "addresses, and nothing else");
    assert!((1..=10).contains(&said["good_for_seconds"].as_u64().unwrap()), "{said:?}");
    serde_json::from_value(said["addresses"].clone()).unwrap()
}

fn peer(name: &str, connections: u32) -> Peer {
    let address = format!("wss://{name}.chat.example.com");
    Peer { gateway: name.to_owned(), address, connections, limit: 100, ready_seconds: 600 }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_operator_the_front_is_all_there_is() {
    let gateway = Gateway::start("a", |_| {}).await;
    assert_eq!(addresses(&gateway.connect(&[]).await), [format!("ws://{}", gateway.at)]);
    let front = async |headers: &[(&str, &str)]| addresses(&gateway.connect(headers).await);
    assert_eq!(front(&[("host", "chat.example.com")]).await, ["ws://chat.example.com"]);
    let tls = [("host", "chat.example.com:8443"), ("x-forwarded-proto", "https")];
    assert_eq!(front(&tls).await, ["wss://chat.example.com:8443"]);
    for host in ["chat.example.com/x", "ann@chat.example.com", "chat.example.com\r\nhost: b.example.com", ""] {
        let refused = gateway.connect(&[("host", host)]).await;
        assert_eq!(refused.refusal(), (400, "bad_request".to_owned()), "{host:?}");
    }
    let cached = gateway.connect(&[]).await.header("cache-control");
    assert_eq!(cached.as_deref(), Some("no-store"), "the Host header of one client is no answer to another");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_have_room_are_named_before_the_front() {
    let gateway = Gateway::start("a", |_| {}).await;
    let operator = &gateway.operated;
    let unknown = call(&gateway.at, "PUT", "/peers", &[], b"{}").await;
    assert_eq!(unknown.status, 405, "that is no matter of clients: only files of the page have such paths");
    let admin = operator.admin().to_string();
    for headers in [&[][..], &[("authorization", "Bearer x")]] {
        assert_eq!(call(&admin, "PUT", "/peers", headers, br#"{"gateways":[]}"#).await.status, 401);
    }
    assert_eq!(operator.order("PUT", "/peers", b"them").await.status, 400);

    let front = [("host", "chat.example.com")];
    operator.learn(&Peers { gateways: vec![peer("a", 50), peer("b", 10), peer("c", 100), peer("d", 90)] }).await;
    let named = addresses(&gateway.connect(&front).await);
    let of = |name: &str| format!("wss://{name}.chat.example.com");
    assert_eq!(named[3], "wss://chat.example.com", "as single gateways are reached, so is their front");
    let mut gateways = named[..3].to_vec();
    gateways.sort();
    assert_eq!(gateways, [of("a"), of("b"), of("d")], "c is full");

    // Its own cordon is no news of the operator's to itself.
    assert_eq!(operator.order("PUT", "/cordon", b"").await.status, 204);
    for _ in 0..10 {
        let named = addresses(&gateway.connect(&front).await);
        assert!(!named.contains(&of("a")) && named.len() == 3, "{named:?}");
    }
    assert_eq!(operator.order("DELETE", "/cordon", b"").await.status, 204);
    assert!(addresses(&gateway.connect(&front).await).contains(&of("a")));

    // Who came by the address of a gateway hears of it once.
    operator.learn(&Peers { gateways: vec![peer("b", 10)] }).await;
    let own = [("host", "b.chat.example.com")];
    assert_eq!(addresses(&gateway.connect(&own).await), [of("b")]);

    let asked = "chat_gateway_connect_hints_total{answer=\"named\"}";
    let metrics = operator.order("GET", "/metrics", b"").await.text();
    assert!(metrics.contains(asked), "{metrics}");
    eventually("what was said ten seconds ago is forgotten", MINUTE, async || {
        addresses(&gateway.connect(&front).await) == ["ws://chat.example.com"]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_good_for_both_doors_and_asking_is_limited_like_knocking() {
    let few = Bucket { per_minute: 1, burst: 3 };
    let change = move |config: &mut chat_gateway_config::GatewayConfig| config.http.rates.handshake_per_address = few;
    let gateway = Gateway::start("a", change).await;
    gateway.operated.learn(&Peers { gateways: vec![gateway.operated.peer().await.unwrap()] }).await;
    let named = addresses(&gateway.connect(&[("host", "chat.example.com")]).await);
    assert_eq!(named, [gateway.operated.address.clone(), "ws://chat.example.com".to_owned()]);
    let at = named[0].strip_prefix("ws://").unwrap();
    for door in ["/v1/ws", "/connection/websocket"] {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
        stream.write_all(upgrade(at, door, &[]).as_bytes()).await.unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 101", "{door}");
    }
    // Three at once, of which one is gone; handshakes are counted apart.
    for _ in 0..2 {
        assert_eq!(gateway.connect(&[]).await.status, 200);
    }
    let refused = gateway.connect(&[]).await;
    assert_eq!(refused.refusal(), (429, "rate_limited".to_owned()));
    assert!(refused.header("retry-after").is_some());
}
