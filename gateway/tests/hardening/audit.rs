//! Each privileged act leaves one line that says who did it and what came of it, and no line says what people wrote or how they prove who they are.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    place::{PASSWORD, Place},
    raw::{Raw, call},
};

const SECRET: &str = "text-that-nobody-shall-read";
const GUESS: &str = "a-wrong-password";
const NEW_PASSWORD: &str = "another-good-password";

/// The lines of the audit log, without those before `seen`.
fn records(place: &Place, seen: &mut usize) -> Vec<Value> {
    let log = place.log();
    let all: Vec<Value> = log
        .lines()
        .filter(|line| line.contains(r#""target":"audit""#))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let new = all[*seen..].to_vec();
    *seen = all.len();
    new
}

/// Exactly one line since the last, with these fields; returns it.
#[track_caller]
fn one(place: &Place, seen: &mut usize, expected: &Value) -> Value {
    let records = records(place, seen);
    let [record] = records.as_slice() else { panic!("{expected}: {records:?}") };
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(record.get(field).unwrap_or(&Value::Null), value, "{field} of {record}");
    }
    for field in ["timestamp", "level", "target"] {
        assert!(record[field].is_string(), "{record}");
    }
    record.clone()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_order_at_the_admin_port_is_told_once() {
    let (place, mut seen) = (Place::open().await, 0);
    let token = std::fs::read_to_string(&place.config.admin_token_file).unwrap();
    let operator = bearer(token.trim());
    let order = async |method: &str, path: &str, body: &[u8]| {
        call(&place.admin, method, path, &[("authorization", &operator)], body).await.status
    };
    let ann = place.sign_up("ann").await;
    let mut device = place.connect(&ann).await;
    assert_eq!(records(&place, &mut seen), Vec::<Value>::new(), "an ordinary sign-in is nothing privileged");

    for (method, path, body) in [("PUT", "/cordon", &b""[..]), ("GET", "/stats", b""), ("POST", "/moves", b"{}")] {
        let refused = call(&place.admin, method, path, &[("authorization", "Bearer wrong-token")], body).await;
        assert_eq!(refused.status, 401);
        let denied = json!({
            "act": "admin-request", "outcome": "denied", "reason": "unauthenticated", "by": "unknown", "actor": null,
            "from": "127.0.0.1", "method": method, "path": path,
        });
        one(&place, &mut seen, &denied);
    }

    let done = |act: &str| json!({ "act": act, "outcome": "done", "by": "admin-token", "from": "127.0.0.1" });
    assert_eq!(order("PUT", "/cordon", b"").await, 204);
    assert_eq!(order("PUT", "/cordon", b"").await, 204);
    one(&place, &mut seen, &done("cordon"));
    assert_eq!(order("DELETE", "/cordon", b"").await, 204);
    one(&place, &mut seen, &done("uncordon"));
    assert_eq!(order("GET", "/stats", b"").await, 200);
    assert_eq!(order("POST", "/moves", b"{}").await, 400);
    let failed = json!({ "act": "move-clients", "outcome": "failed", "reason": "bad_request", "by": "admin-token" });
    one(&place, &mut seen, &failed);
    assert_eq!(order("POST", "/moves", br#"{"count":9,"withinMs":100}"#).await, 200);
    let moved = one(&place, &mut seen, &done("move-clients"));
    assert_eq!(moved["asked"], 1);
    device.event("reconnect").await;
    drop(device);
    assert!(!place.log().contains("wrong-token") && !place.log().contains(token.trim()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sign_in_that_is_denied_and_each_session_that_is_ended_is_told_once() {
    let (place, mut seen) = (Place::open().await, 0);
    let ann = place.sign_up("ann").await;
    let sign_in = async |name: &str, password: &str| {
        place.post("/v1/sign-in", &[], &json!({ "name": name, "password": password })).await
    };
    let tokens = sign_in("ann", PASSWORD).await.json();
    assert_eq!(records(&place, &mut seen), Vec::<Value>::new());

    let denied = |act: &str, user: Value, reason: &str| json!({ "act": act, "outcome": "denied", "reason": reason, "by": "unknown", "from": "127.0.0.1", "user": user });
    assert_eq!(sign_in("ann", GUESS).await.status, 401);
    one(&place, &mut seen, &denied("sign-in", json!(ann.id), "unauthenticated"));
    assert_eq!(sign_in(&GUESS[..8], GUESS).await.status, 401);
    one(&place, &mut seen, &denied("sign-in", Value::Null, "unauthenticated"));
    let login = json!({
        "issuer": "https://evil.example.org", "code": "forged-code", "nonce": "n", "redirect_uri": "https://chat.example.org",
        "code_verifier": "forged-verifier",
    });
    assert_eq!(place.post("/v1/sign-in/oidc", &[], &login).await.status, 401);
    one(&place, &mut seen, &denied("sign-in", Value::Null, "unauthenticated"));
    let mut stranger = place.socket().await;
    stranger.text(&json!({ "type": "hello", "id": 1, "token": "forged-token" }).to_string()).await;
    assert_eq!(stranger.closed().await, 4401);
    one(&place, &mut seen, &denied("token", Value::Null, "unauthenticated"));
    assert_eq!(place.get("/v1/sessions", &[("authorization", "Bearer forged-token")]).await.status, 401);
    one(&place, &mut seen, &denied("token", Value::Null, "unauthenticated"));
    let refresh = async |token: &Value| place.post("/v1/refresh", &[], &json!({ "refresh_token": token })).await;
    assert_eq!(refresh(&json!("forged-refresh")).await.status, 401);
    one(&place, &mut seen, &denied("token", Value::Null, "unauthenticated"));

    // A thief's: two exchanges ago.
    let second = refresh(&tokens["refresh_token"]).await.json();
    assert_eq!(refresh(&second["refresh_token"]).await.status, 200);
    assert_eq!(records(&place, &mut seen), Vec::<Value>::new());
    assert_eq!(refresh(&tokens["refresh_token"]).await.status, 401);
    let reuse = json!({ "act": "token-reuse", "outcome": "done", "by": "unknown", "user": ann.id, "session": tokens["session"] });
    one(&place, &mut seen, &reuse);
    assert_eq!(refresh(&tokens["refresh_token"]).await.status, 401);
    one(&place, &mut seen, &denied("token", json!(ann.id), "unauthenticated"));

    let by_ann = |act: &str, outcome: &str, reason: Value| json!({ "act": act, "outcome": outcome, "reason": reason, "by": "user", "actor": ann.id });
    let auth = bearer(&ann.token);
    let change = async |old: &str| {
        let body = json!({ "old_password": old, "new_password": NEW_PASSWORD });
        place.post("/v1/password", &[("authorization", &auth)], &body).await.status
    };
    assert_eq!(change(GUESS).await, 403);
    one(&place, &mut seen, &by_ann("change-password", "denied", json!("forbidden")));
    assert_eq!(change(PASSWORD).await, 204);
    one(&place, &mut seen, &by_ann("change-password", "done", Value::Null));

    let other = sign_in("ann", NEW_PASSWORD).await.json();
    let path = format!("/v1/sessions/{}", other["session"].as_str().unwrap());
    for (status, outcome) in [(204, "done"), (404, "unchanged")] {
        assert_eq!(call(&place.at, "DELETE", &path, &[("authorization", &auth)], b"").await.status, status);
        let record = one(&place, &mut seen, &by_ann("end-session", outcome, Value::Null));
        assert_eq!(record["session"], other["session"]);
    }
    let one_more = sign_in("ann", NEW_PASSWORD).await.json();
    let of_it = bearer(one_more["token"].as_str().unwrap());
    let signed_out = place.post("/v1/sign-out", &[("authorization", &of_it)], &json!({})).await;
    assert_eq!(signed_out.status, 400, "{}", signed_out.text());
    let signed_out = call(&place.at, "POST", "/v1/sign-out", &[("authorization", &of_it)], b"").await;
    assert_eq!(signed_out.status, 204, "{}", signed_out.text());
    let record = one(&place, &mut seen, &by_ann("end-session", "done", Value::Null));
    assert_eq!(record["session"], one_more["session"]);
    let everywhere = place.post("/v1/sign-out-everywhere", &[("authorization", &auth)], &Value::Null).await;
    assert_eq!(everywhere.status, 204, "{}", everywhere.text());
    one(&place, &mut seen, &by_ann("end-sessions", "done", Value::Null));
    assert_eq!(place.get("/v1/sessions", &[("authorization", &auth)]).await.status, 401);
    one(&place, &mut seen, &denied("token", json!(ann.id), "unauthenticated"));

    let log = place.log();
    let tokens = [&tokens, &second, &other].map(|answer| [&answer["token"], &answer["refresh_token"]]);
    for secret in tokens.as_flattened().iter().map(|token| token.as_str().unwrap()) {
        assert!(!log.contains(secret));
    }
    for secret in [PASSWORD, GUESS, &GUESS[..8], NEW_PASSWORD, "forged", &ann.token] {
        assert!(!log.contains(secret), "{secret} is logged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moderators_do_to_others_is_told_once_and_what_people_do_to_themselves_is_not() {
    let (place, mut seen) = (Place::open().await, 0);
    let (ann, bob, eve) = (place.sign_up("ann").await, place.sign_up("bob").await, place.sign_up("eve").await);
    let (mut owner, mut member) = (place.connect(&ann).await, place.connect(&bob).await);
    let room = owner.group(&["bob", "eve"], &format!("title {SECRET}")).await;
    let (bobs, anns) = (member.say(&room, SECRET).await, owner.say(&room, SECRET).await);
    let own = member.say(&room, SECRET).await;
    assert_eq!(records(&place, &mut seen), Vec::<Value>::new());

    let expected = |act: &str, outcome: &str, actor: &str| json!({ "act": act, "outcome": outcome, "by": "user", "actor": actor, "from": "127.0.0.1", "room": room });
    let told = async |socket: &mut Raw, seen: &mut usize, request: Value, expected: Value| {
        let key = if request["type"] == "delete" { "message_id" } else { "request_id" };
        let id = Uuid::now_v7().to_string();
        let mut request = request;
        request[key] = json!(id);
        request["room"] = json!(room);
        let answer = socket.ask(request).await;
        let record = one(&place, seen, &expected);
        assert_eq!(record["request"], id.as_str(), "{answer}");
        (answer, record)
    };

    let request = json!({ "type": "set_role", "member": eve.id, "role": "admin" });
    let (refused, record) =
        told(&mut member, &mut seen, request.clone(), expected("set-role", "denied", &bob.id)).await;
    assert_eq!((&refused["code"], &record["reason"]), (&json!("forbidden"), &json!("forbidden")));
    let (_, record) = told(&mut owner, &mut seen, request, expected("set-role", "done", &ann.id)).await;
    assert_eq!((&record["user"], &record["role"]), (&json!(eve.id), &json!("admin")));
    let again = json!({
        "type": "set_role", "room": room, "member": eve.id, "role": "admin", "request_id": record["request"],
    });
    assert_eq!(owner.ask(again).await["type"], "ok");
    one(&place, &mut seen, &expected("set-role", "unchanged", &ann.id));

    let delete = |target: i64| json!({ "type": "delete", "target": target });
    let (_, record) = told(&mut member, &mut seen, delete(anns), expected("delete-message", "denied", &bob.id)).await;
    assert_eq!((&record["user"], &record["message_seq"]), (&json!(ann.id), &json!(anns)));
    let (_, record) = told(&mut owner, &mut seen, delete(bobs), expected("delete-message", "done", &ann.id)).await;
    assert_eq!((&record["user"], &record["message_seq"]), (&json!(bob.id), &json!(bobs)));
    let answer =
        member.ask(json!({ "type": "delete", "room": room, "message_id": Uuid::now_v7(), "target": own })).await;
    assert_eq!(answer["type"], "sent", "{answer}");
    assert_eq!(records(&place, &mut seen), Vec::<Value>::new(), "one's own text is one's own");

    let remove = json!({ "type": "remove_member", "member": eve.id });
    told(&mut member, &mut seen, remove.clone(), expected("remove-member", "denied", &bob.id)).await;
    let (_, record) = told(&mut owner, &mut seen, remove, expected("remove-member", "done", &ann.id)).await;
    assert_eq!(record["user"], eve.id.as_str());
    let leave = json!({ "type": "remove_member", "room": room, "member": bob.id, "request_id": Uuid::now_v7() });
    assert_eq!(member.ask(leave).await["type"], "ok");
    assert_eq!(records(&place, &mut seen), Vec::<Value>::new(), "who leaves needs nobody's leave");

    assert!(!place.log().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_forged_tokens_does_not_fill_the_log() {
    let mut place = Place::open_with(|config| {
        config.http.rates.refresh_per_address.per_minute = 0;
    })
    .await;
    for _ in 0..200 {
        assert_eq!(place.get("/v1/sessions", &[("authorization", "Bearer forged")]).await.status, 401);
    }
    let token = std::fs::read_to_string(&place.config.admin_token_file).unwrap();
    call(&place.admin, "PUT", "/cordon", &[("authorization", &bearer(token.trim()))], b"").await;
    call(&place.admin, "PUT", "/cordon", &[], b"").await;
    place.process.signal("TERM");
    place.process.wait();
    let records = records(&place, &mut 0);
    let count = |act: &str, outcome: &str| {
        records.iter().filter(|record| (&record["act"], &record["outcome"]) == (&json!(act), &json!(outcome))).count()
    };
    assert_eq!((count("cordon", "done"), count("admin-request", "denied")), (1, 1), "others have room of their own");
    let left_out: u64 = records.iter().filter_map(|record| record["left_out"].as_u64()).sum();
    let written = count("token", "denied");
    assert_eq!(written as u64 + left_out, 200, "{written} written, {left_out} left out");
    // A slow machine may need more than a minute for them.
    assert!((60..200).contains(&written) && count("token", "left-out") >= 1, "{written}");
}
