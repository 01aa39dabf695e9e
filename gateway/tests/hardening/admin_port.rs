//! What the operator may tell a gateway, and nobody else.

use serde_json::json;

use crate::{
    place::Place,
    raw::{Answer, call},
};

struct Operator<'a> {
    place: &'a Place,
    bearer: String,
}

impl Operator<'_> {
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
    let token = std::fs::read_to_string(&place.config.admin_token_file).unwrap();
    let operator = Operator { place: &place, bearer: format!("Bearer {}", token.trim()) };
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
