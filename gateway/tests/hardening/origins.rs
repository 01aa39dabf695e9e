//! Pages on other hosts: WebSockets that they open in a visitor's browser, and answers that they would like to read.

use std::process::Command;

use serde_json::json;

use crate::{
    place::{Place, write_config},
    raw::{Raw, call},
    support::stage::PROGRAM,
};

const APP: &str = "https://app.example.org";

/// Status of a handshake from a page of this origin, at both doors.
async fn knocked(place: &Place, headers: &[(&str, &str)]) -> [u16; 2] {
    let mut statuses = [0; 2];
    for (status, path) in statuses.iter_mut().zip(["/v1/ws", "/connection/websocket"]) {
        let (answer, _stream) = Raw::knock(&place.at, path, headers).await;
        *status = answer.status;
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_are_for_pages_of_this_host_and_of_listed_origins() {
    let place = Place::open_with(|config| config.http.allowed_origins = vec![APP.parse().unwrap()]).await;
    let own = format!("http://{}", place.at);
    let (shouted, secure) = (own.to_uppercase(), format!("https://{}", place.at));
    // A page over TLS is of this host, too: a proxy may have taken the TLS off.
    for good in [own.as_str(), &shouted, &secure, APP, "https://app.example.org:443", "https://APP.example.org"] {
        assert_eq!(knocked(&place, &[("origin", good)]).await, [101; 2], "{good}");
    }
    assert_eq!(knocked(&place, &[]).await, [101; 2], "what is no browser names no origin");
    let (prefix, suffix) = (format!("{own}.evil.example"), format!("http://evil.example/{}", place.at));
    let port = format!("http://127.0.0.1:{}", place.config.listen.port() + 1);
    for bad in [
        "https://evil.example",
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://app.example.org.evil.example",
        "https://evil.example#https://app.example.org",
        "https://app.example.org@evil.example",
        "null",
        "file://",
        "*",
        "x",
        &prefix,
        &suffix,
        &port,
    ] {
        assert_eq!(knocked(&place, &[("origin", bad)]).await, [403; 2], "{bad}");
    }
    assert_eq!(knocked(&place, &[("origin", &own), ("origin", "https://evil.example")]).await, [403; 2], "two origins");
    // The refusal says who can change it; the status is counted.
    let answer = place.get("/v1/ws", &[("origin", "https://evil.example")]).await;
    assert_eq!(answer.refusal(), (403, "forbidden".to_owned()));
    assert!(answer.text().contains("allowedOrigins"));
    let metrics = call(&place.admin, "GET", "/metrics", &[], b"").await.text();
    assert!(metrics.contains("chat_gateway_http_responses_total{status=\"403\"}"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_origin_is_admitted_where_that_is_wanted() {
    let place = Place::open_with(|config| config.http.allowed_origins = vec!["*".parse().unwrap()]).await;
    for origin in ["https://evil.example", "null", "capacitor://localhost"] {
        assert_eq!(knocked(&place, &[("origin", origin)]).await, [101; 2], "{origin}");
        let answer = place.get("/v1/config", &[("origin", origin)]).await;
        assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(origin));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_shared_with_listed_origins_and_with_no_others() {
    let place = Place::open_with(|config| config.http.allowed_origins = vec![APP.parse().unwrap()]).await;
    let ask =
        [("access-control-request-method", "POST"), ("access-control-request-headers", "content-type,authorization")];
    let preflight = async |origin: &'static str, path: &'static str| {
        call(&place.at, "OPTIONS", path, &[&[("origin", origin)], ask.as_slice()].concat(), b"").await
    };
    for path in ["/v1/sign-in", "/v1/sessions", "/v1/sessions/0197a000-0000-7000-8000-000000000001", "/v1/refresh"] {
        let answer = preflight(APP, path).await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin").as_deref()),
            (204, Some(APP)),
            "{path}"
        );
        assert_eq!(answer.header("access-control-allow-methods").as_deref(), Some("GET, POST, DELETE"));
        assert_eq!(answer.header("access-control-allow-headers").as_deref(), Some("authorization, content-type"));
        assert_eq!(answer.header("access-control-allow-credentials"), None, "there are no cookies to let through");
        let foreign = preflight("https://evil.example", path).await;
        assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (405, None), "{path}");
    }
    // A whole sign-in of a listed page, and what a foreign one gets: an answer that its browser keeps from it.
    let body = json!({ "name": "ann", "password": "a good password" });
    let (listed, foreign) = (
        place.post("/v1/sign-up", &[("origin", APP)], &body).await,
        place.post("/v1/sign-in", &[("origin", "https://evil.example")], &body).await,
    );
    assert_eq!((listed.status, listed.header("access-control-allow-origin").as_deref()), (201, Some(APP)));
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    for answer in [&listed, &foreign, &place.get("/v1/config", &[]).await] {
        assert_eq!(answer.header("vary").as_deref(), Some("origin"), "a cache must not mix them up");
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    }
    let refused = place.post("/v1/sign-in", &[("origin", APP)], &json!({})).await;
    assert_eq!(refused.header("access-control-allow-origin").as_deref(), Some(APP), "errors can be read, too");
}

#[test]
fn a_configuration_with_an_origin_that_is_none_is_refused_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let local = "127.0.0.1:0".parse().unwrap();
    let config = chat_gateway::embedded::prepare(folder.path(), local, local).unwrap();
    let file = folder.path().join("config.json");
    for bad in ["app.example.org", "https://app.example.org/", "https://*.example.org", "null", ""] {
        let mut json = serde_json::to_value(&config).unwrap();
        json["http"] = json!({ "allowedOrigins": [bad] });
        std::fs::write(&file, json.to_string()).unwrap();
        let ended = Command::new(PROGRAM).arg("serve").arg("--config").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{bad}: {said}");
        assert!(said.contains("is no origin") && said.contains("https://chat.example.org"), "{bad}: {said}");
    }
    let mut many = config;
    many.http.allowed_origins = vec![APP.parse().unwrap(); 65];
    write_config(&file, &many);
    let ended = Command::new(PROGRAM).arg("serve").arg("--config").arg(&file).output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ended.stdout).contains("http.allowedOrigins"));
}
