//! Whom a good token stands for, and claims and kinds that are no good.

use chat_gateway::store::Store as _;
use chat_test_client::{accounts, wire::Body};
use jsonwebtoken::Header;
use serde_json::{Value, json};

use crate::{
    issuer::{AUDIENCE, Issuer, ed25519, now, p256},
    place::{Place, hello},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_is_a_user_of_its_own() {
    let (es, ed) = (p256("a"), ed25519("b"));
    let issuer = Issuer::start(&[&es, &ed]).await;
    let other = Issuer::start(&[&es]).await;
    let place = Place::open(&[&issuer.url, &other.url]).await;
    let token = issuer.token(&es, |_, _| {});
    let (Body::Welcome(welcome), _) = hello(&place, &token).await else { panic!("not welcome") };
    assert_eq!((welcome.user.name.as_str(), welcome.user.display_name.as_str()), ("ann@127.0.0.1", "Ann Example"));
    let user = async |token: String| match hello(&place, &token).await {
        (Body::Welcome(welcome), _) => welcome.user.id,
        (other, code) => panic!("{other:?} {code}"),
    };
    assert_eq!(user(issuer.token(&ed, |_, _| {})).await, welcome.user.id, "another key of the same issuer");
    let lists = |_: &mut Header, claims: &mut Value| claims["aud"] = json!(["else", AUDIENCE]);
    assert_eq!(user(issuer.token(&es, lists)).await, welcome.user.id);
    let renamed = |_: &mut Header, claims: &mut Value| claims["name"] = json!("Somebody Else");
    assert_eq!(user(issuer.token(&es, renamed)).await, welcome.user.id);
    let second = |_: &mut Header, claims: &mut Value| claims["sub"] = json!("subject-2");
    assert_ne!(user(issuer.token(&es, second)).await, welcome.user.id);
    assert_ne!(user(other.token(&es, |_, _| {})).await, welcome.user.id, "the same subject of another issuer");
    let plain = |header: &mut Header, _: &mut Value| (header.typ, header.kid) = (None, None);
    assert_eq!(user(issuer.token(&es, plain)).await, welcome.user.id, "no kid, and one key only for the algorithm");

    // Many at once make one account.
    let first = issuer.token(&es, |_, claims| claims["sub"] = json!("a crowd"));
    let asked = futures::future::join_all((0..30).map(|_| place.ask(&first))).await;
    assert!(asked.iter().all(|(status, _)| *status == 200), "{asked:?}");
    let id = chat_gateway::model::UserId(welcome.user.id);
    assert_eq!(place.store.users(&[id]).await.unwrap().len(), 1);
    // No password opens it, and none can be set.
    let password = json!({ "old_password": "", "new_password": "a new password" });
    let (status, _) = accounts::post(&place.at, "/v1/password", Some(&token), &password).await.unwrap();
    assert_eq!(status.as_u16(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_claims_are_refused() {
    let key = p256("a");
    let issuer = Issuer::start(&[&key]).await;
    let place = Place::open(&[&issuer.url]).await;
    place.accepts("a good token", &issuer.token(&key, |_, _| {})).await;
    let with = |claim: &'static str, value: Value| issuer.token(&key, |_, claims| claims[claim] = value);
    let invalid = "unauthenticated";
    place.refuses("another audience", &with("aud", json!("https://shop.example.org")), invalid).await;
    place.refuses("a list of other audiences", &with("aud", json!(["a", "b"])), invalid).await;
    place.refuses("no audience", &with("aud", Value::Null), invalid).await;
    place.refuses("an issuer that is not configured", &with("iss", json!("https://evil.example.org")), invalid).await;
    place.refuses("the cluster's own name as issuer", &with("iss", json!("local/chat")), invalid).await;
    place.refuses("two issuers", &with("iss", json!([issuer.url, "local/chat"])), invalid).await;
    place.refuses("no subject", &with("sub", Value::Null), invalid).await;
    place.refuses("an empty subject", &with("sub", json!("")), invalid).await;
    place.refuses("no expiry", &with("exp", Value::Null), invalid).await;
    place.refuses("an expiry that is no time", &with("exp", json!("tomorrow")), invalid).await;
    place.refuses("bound to a key", &with("cnf", json!({ "jkt": "x" })), invalid).await;
    // Clocks differ: a minute is forgiven, more is not.
    place.accepts("expired just now", &with("exp", json!(now() - 30))).await;
    place.refuses("expired", &with("exp", json!(now() - 120)), "token_expired").await;
    place.accepts("valid in a moment", &with("nbf", json!(now() + 30))).await;
    place.refuses("not valid yet", &with("nbf", json!(now() + 120)), invalid).await;
    let (answer, code) = hello(&place, &with("exp", json!(now() - 120))).await;
    assert!(matches!(&answer, Body::Error(refusal) if refusal.code == "token_expired"), "{answer:?}");
    assert_eq!(code, 4401);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_other_kinds_are_refused() {
    let key = p256("a");
    let issuer = Issuer::start(&[&key]).await;
    let place = Place::open(&[&issuer.url]).await;
    let of = |kind: &str| issuer.token(&key, |header, _| header.typ = Some(kind.to_owned()));
    for kind in ["at+jwt", "AT+JWT", "application/at+jwt", "JWT"] {
        place.accepts(kind, &of(kind)).await;
    }
    for kind in ["logout+jwt", "dpop+jwt", "secevent+jwt", "token-introspection+jwt", "oauth-authz-req+jwt", ""] {
        place.refuses(kind, &of(kind), "unauthenticated").await;
    }
    let critical = issuer.token(&key, |header, _| header.crit = Some(vec!["exp".to_owned()]));
    place.refuses("an extension that must be understood", &critical, "unauthenticated").await;
    // An ID token: same issuer, same key, but its audience is the client.
    let id_token = issuer.token(&key, |header, claims| {
        header.typ = Some("JWT".to_owned());
        claims["aud"] = json!("the-page");
        claims["nonce"] = json!("n");
    });
    place.refuses("an ID token", &id_token, "unauthenticated").await;
}
