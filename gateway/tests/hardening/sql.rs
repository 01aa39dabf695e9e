//! SQL through every field that a network can fill: it is kept as the text it is, or refused, and the tables stay as they are.

use chat_gateway_config::{Broker, Database, GatewayConfig, InProcess, Shard};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    issuer::{AUDIENCE, Issuer, Key, p256},
    place::{PASSWORD, Place},
    raw::Raw,
    sql_centrifuge::Door,
    sql_issuer,
    support::postgres::Postgres,
};

const PAYLOADS: &[&str] = &[
    "'; drop table chat.messages; drop table messages; --",
    "' or '1'='1",
    "\"; delete from users; --",
    "a'); select pg_sleep(600); --",
    "\\'; select pg_sleep(600); --",
    "$$; truncate chat.rooms cascade; $$",
    "$1",
    "?1 :a @a $a %s {0}",
    "'||(select version())||'",
    "1; attach database '/tmp/x' as y; --",
    "1 union select null,null,null--",
    "%27%20or%201%3d1--",
    "/**/'/**/;/*",
    "{\"$ne\":null}",
    "*)(uid=*))(|(uid=*",
    "'\\x27\\u0027",
];

/// Every request of the protocol with the payload in one of its fields, where a text is no good: the code that refuses it.
fn refused(payload: &str, room: &str) -> Vec<(Value, &'static [&'static str])> {
    let (id, bad): (_, &[&str]) = (Uuid::now_v7(), &["bad_request"]);
    let nobody: &[&str] = &["not_found", "bad_request"];
    // Who is nobody is no member any more: that is what was asked for.
    let removed: &[&str] = &["", "bad_request"];
    vec![
        (json!({ "type": payload }), &["unknown_type"]),
        (json!({ "type": "create_room", "kind": payload, "members": [] }), bad),
        (json!({ "type": "create_room", "kind": "group", "members": [payload] }), nobody),
        (json!({ "type": "create_room", "kind": "direct", "members": [payload] }), nobody),
        (json!({ "type": "create_room", "kind": "group", "members": [], "room_key": payload }), bad),
        (json!({ "type": "add_member", "room": payload, "member": "bob" }), bad),
        (json!({ "type": "add_member", "room": room, "member": payload }), nobody),
        (json!({ "type": "remove_member", "room": room, "member": payload }), removed),
        (json!({ "type": "set_role", "room": room, "member": payload, "role": "admin" }), nobody),
        (json!({ "type": "set_role", "room": room, "member": "bob", "role": payload }), bad),
        (json!({ "type": "mute", "room": room, "until": payload }), bad),
        (json!({ "type": "mute", "room": room, "request_id": payload }), bad),
        (json!({ "type": "unmute", "room": payload }), bad),
        (json!({ "type": "rooms", "after": payload }), bad),
        (json!({ "type": "rooms", "limit": payload }), bad),
        (json!({ "type": "members", "room": payload }), bad),
        (json!({ "type": "members", "room": room, "after": payload }), bad),
        (json!({ "type": "send", "room": payload, "message_id": id, "body": "x" }), bad),
        (json!({ "type": "send", "room": room, "message_id": payload, "body": "x" }), bad),
        (json!({ "type": "send", "room": room, "message_id": id, "body": "x", "reply_to": payload }), bad),
        (json!({ "type": "send", "room": room, "message_id": id, "body": "x", "mentions": [payload] }), bad),
        (json!({ "type": "edit", "room": room, "message_id": id, "target": payload, "body": "x" }), bad),
        (json!({ "type": "delete", "room": room, "message_id": id, "target": payload }), bad),
        (json!({ "type": "react", "room": room, "message_id": id, "target": payload, "emoji": "x" }), bad),
        (json!({ "type": "unreact", "room": room, "message_id": id, "target": 1, "emoji": payload }), nobody),
        (json!({ "type": "history", "room": room, "before": payload }), bad),
        (json!({ "type": "history", "room": room, "after": payload }), bad),
        (json!({ "type": "history", "room": room, "view": payload }), bad),
        (json!({ "type": "history", "room": room, "limit": payload }), bad),
        (json!({ "type": "typing_start", "room": payload }), bad),
        (json!({ "type": "typing_stop", "room": payload }), bad),
        (json!({ "type": "delivered", "room": room, "seq": payload }), bad),
        (json!({ "type": "read", "room": room, "seq": payload }), bad),
        (json!({ "type": "presence", "users": [payload] }), bad),
    ]
}

/// The payload in every field of the WebSocket.
async fn over_the_socket(ann: &mut Raw, payload: &str) {
    let room = ann.group(&["bob"], payload).await;
    for (request, codes) in refused(payload, &room) {
        let answer = ann.ask(request.clone()).await;
        let code = answer["code"].as_str().unwrap_or_default();
        assert!(codes.contains(&code), "{request}: {answer}");
    }
    let text = ann.say(&room, payload).await;
    let edited = json!({
        "type": "edit", "room": room, "message_id": Uuid::now_v7(), "target": text, "body": format!("{payload}{payload}"),
    });
    assert_eq!(ann.ask(edited).await["type"], "sent");
    ann.say(&room, payload).await;
    let emoji: String = payload.split_whitespace().collect();
    let react = json!({ "type": "react", "room": room, "message_id": Uuid::now_v7(), "target": text, "emoji": emoji });
    assert_eq!(ann.ask(react).await["type"], "sent", "{emoji}");
    let page = ann.ask(json!({ "type": "history", "room": room })).await;
    assert_eq!(page["messages"][0]["body"], format!("{payload}{payload}"), "{page}");
    assert_eq!(page["messages"][0]["reactions"][0]["emoji"], emoji, "{page}");
    assert_eq!(page["messages"][1]["body"], payload, "{page}");
    let rooms = ann.ask(json!({ "type": "rooms", "limit": 1 })).await;
    assert_eq!((&rooms["rooms"][0]["title"], &rooms["rooms"][0]["newest"]["body"]), (&json!(payload), &json!(payload)));
}

/// The payload in every field, header and path over HTTP.
async fn over_http(place: &Place, nth: usize, payload: &str) {
    let name = format!("person{nth}");
    let password = format!("{payload} and more");
    for (path, status) in [("/v1/sign-up", 400), ("/v1/sign-in", 401)] {
        let answer = place.post(path, &[], &json!({ "name": payload, "password": PASSWORD })).await;
        assert_eq!(answer.status, status, "{path}: {payload}");
    }
    let headers = [("user-agent", payload), ("x-forwarded-for", payload), ("forwarded", payload)];
    let body = json!({ "name": name, "password": password, "display_name": payload });
    let made = place.post("/v1/sign-up", &headers, &body).await;
    assert_eq!(made.status, 201, "{payload}: {}", made.text());
    let made = made.json();
    assert_eq!(made["user"]["display_name"], payload);
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let sessions = place.get("/v1/sessions", &[("authorization", &bearer)]).await.json();
    assert_eq!(sessions["sessions"][0]["user_agent"], payload, "{sessions}");
    let wrong = place.post("/v1/sign-in", &[], &json!({ "name": name, "password": payload })).await;
    assert_eq!(wrong.status, 401, "a part of the password");
    let changed = format!("{payload} {password}");
    let change = async |old: &str| {
        let passwords = json!({ "old_password": old, "new_password": changed });
        place.post("/v1/password", &[("authorization", &bearer)], &passwords).await
    };
    assert_eq!(change(payload).await.refusal(), (403, "forbidden".to_owned()), "{payload}");
    assert_eq!(change(&password).await.status, 204, "{payload}");
    assert_eq!(place.post("/v1/sign-in", &[], &json!({ "name": name, "password": changed })).await.status, 200);
    let refresh = place.post("/v1/refresh", &[], &json!({ "refresh_token": payload })).await;
    assert_eq!(refresh.status, 401, "{payload}");
    let oidc = json!({
        "issuer": payload, "code": payload, "code_verifier": payload, "redirect_uri": payload, "nonce": payload,
    });
    assert_eq!(place.post("/v1/sign-in/oidc", &[], &oidc).await.status, 401, "{payload}");
    let path = format!("/v1/sessions/{}", utf8_percent_encode(payload, NON_ALPHANUMERIC));
    let ended = crate::raw::call(&place.at, "DELETE", &path, &[("authorization", &bearer)], b"").await;
    assert_eq!(ended.refusal(), (400, "bad_request".to_owned()), "{payload}");
    for path in [format!("/{}", utf8_percent_encode(payload, NON_ALPHANUMERIC)), "/v1/config?a='--".to_owned()] {
        assert!(matches!(place.get(&path, &[]).await.status, 200 | 404), "{path}");
    }
    let token = place.get("/v1/sessions", &[("authorization", &format!("Bearer {payload}"))]).await;
    assert_eq!(token.status, 401, "{payload}");
}

/// All payloads through all fields, then a look at what was there before.
async fn withstands(place: &Place, issuer: (&Issuer, &Key), tables: impl Fn() -> String) {
    place.sign_up("bob").await;
    let person = place.sign_up("ann").await;
    let mut ann = place.connect(&person).await;
    let mut door = Door::open(place, &person.token).await;
    let room = ann.group(&["bob"], "before").await;
    ann.say(&room, "what was there before").await;
    let before = tables();
    assert!(before.contains("messages"), "{before}");
    for (nth, payload) in PAYLOADS.iter().enumerate() {
        over_the_socket(&mut ann, payload).await;
        over_http(place, nth, payload).await;
        door.withstands(place, payload, &room).await;
        sql_issuer::withstands(place, issuer, &mut ann, payload).await;
        let mut stranger = place.socket().await;
        let hello = json!({ "type": "hello", "token": payload, "resume": [{ "room": payload, "seq": payload }] });
        assert_eq!(stranger.ask(hello).await["type"], "error");
    }
    assert_eq!(tables(), before);
    let page = ann.ask(json!({ "type": "history", "room": room })).await;
    assert_eq!(page["messages"][0]["body"], "what was there before");
    let members = ann.ask(json!({ "type": "members", "room": room })).await;
    assert_eq!(members["members"].as_array().unwrap().len(), 2, "{members}");
    assert!(!place.log().contains("\"level\":\"ERROR\""), "{}", place.log());
}

/// Nobody is slowed down, and an issuer's tokens are good.
fn open_to(config: &mut GatewayConfig, issuer: &Issuer) {
    config.limits.messages_per_second = 1_000;
    config.limits.message_burst = 1_000;
    config.http.rates.sign_in_per_address.per_minute = 0;
    let oidc = json!({ "issuer": issuer.url, "audience": AUDIENCE });
    config.auth.oidc = vec![serde_json::from_value(oidc).unwrap()];
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_in_any_field_is_text_on_sqlite() {
    let key = p256("a");
    let issuer = Issuer::start(&[&key]).await;
    let place = Place::open_with(|config| open_to(config, &issuer)).await;
    let file = place.config.database.embedded.clone().unwrap().file;
    let tables = || {
        let database =
            rusqlite::Connection::open_with_flags(&file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let sql = "select group_concat(type || ' ' || name) from (select * from sqlite_master order by name)";
        database.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap()
    };
    withstands(&place, (&issuer, &key), tables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_in_any_field_is_text_on_postgresql() {
    let postgres = Postgres::start().await;
    let folder = tempfile::tempdir().unwrap();
    let shard = |name: &str| {
        postgres.create_database(name);
        let file = |kind: &str, uri: String| {
            let path = folder.path().join(format!("{name}-{kind}"));
            std::fs::write(&path, uri).unwrap();
            path
        };
        Shard {
            name: name.into(),
            uri_file: file("uri", postgres.uri("chat_gateway", "gateway-password", name)),
            migration_uri_file: Some(file("migration-uri", postgres.uri("postgres", "x", name))),
        }
    };
    let shards = vec![shard("shard_a"), shard("shard_b")];
    let key = p256("a");
    let issuer = Issuer::start(&[&key]).await;
    let place = Place::open_with(|config| {
        open_to(config, &issuer);
        config.broker = Broker::InProcess(InProcess {});
        config.database = Database { slots: 64, shards, embedded: None };
    })
    .await;
    let tables = || {
        let sql = "select string_agg(s, ' ' order by s) from (select schemaname || '.' || tablename as s from pg_tables
                   where schemaname not in ('pg_catalog', 'information_schema')
                   union select 'function ' || proname from pg_proc join pg_namespace n on n.oid = pronamespace
                   where nspname not in ('pg_catalog', 'information_schema')
                   union select 'role ' || rolname from pg_roles) as t";
        ["shard_a", "shard_b"].map(|name| postgres.query(name, sql)).join("\n")
    };
    withstands(&place, (&issuer, &key), tables).await;
}
