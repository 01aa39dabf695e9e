//! The part of external issuers in [`crate::sql`]: claims become accounts, and nobody here can say what an issuer lets people call themselves.

use serde_json::{Value, json};

use crate::{
    issuer::{Issuer, Key},
    place::{Person, Place},
    raw::Raw,
};

/// The payload as subject and as names: an account of its own that shows them as they are. `ann` looks at it from her room.
pub(crate) async fn withstands(place: &Place, (issuer, key): (&Issuer, &Key), ann: &mut Raw, payload: &str) {
    let token = issuer.token(key, |_, claims| {
        for claim in ["sub", "name", "preferred_username", "nonce", "azp", "jti", "scope"] {
            claims[claim] = json!(payload);
        }
    });
    let mut socket = place.socket().await;
    let welcome = socket.ask(json!({ "type": "hello", "token": token })).await;
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    // Before an `@` is who it is at the host of the issuer.
    let name = format!("{}@127.0.0.1", payload.split('@').next().unwrap());
    let shown = |user: &Value| (user["name"].clone(), user["display_name"].clone());
    let expected = (json!(name), json!(payload));
    assert_eq!(shown(&welcome["user"]), expected, "{welcome}");
    let id = welcome["user"]["id"].as_str().unwrap().to_owned();
    let room = ann.group(&[&id], "").await;
    let members = ann.ask(json!({ "type": "members", "room": room })).await;
    assert_eq!(shown(&members["members"][1]), expected, "{members}");
    socket.say(&room, payload).await;
    let page = ann.ask(json!({ "type": "history", "room": room })).await;
    assert_eq!(page["messages"][0]["body"], payload, "{page}");
    refuses(place, (issuer, key), payload, &Person { id, token }).await;
}

/// The payload where it makes a token or a sign-in worth nothing.
async fn refuses(place: &Place, (issuer, key): (&Issuer, &Key), payload: &str, person: &Person) {
    let bearer = |token: &str| format!("Bearer {token}");
    let named = issuer.token(key, |header, _| header.kid = Some(payload.to_owned()));
    let mut tokens = vec![named, format!("{}{payload}", person.token)];
    tokens.extend(["iss", "aud", "exp"].map(|claim| issuer.token(key, |_, claims| claims[claim] = json!(payload))));
    for token in tokens {
        let answer = place.get("/v1/sessions", &[("authorization", &bearer(&token))]).await;
        assert_eq!(answer.refusal(), (401, "unauthenticated".to_owned()), "{payload}");
    }
    // No password opens such an account, and none can be set.
    let passwords = json!({ "old_password": payload, "new_password": format!("{payload} and more") });
    let changed = place.post("/v1/password", &[("authorization", &bearer(&person.token))], &passwords).await;
    assert_eq!(changed.refusal(), (403, "forbidden".to_owned()), "{payload}");
}
