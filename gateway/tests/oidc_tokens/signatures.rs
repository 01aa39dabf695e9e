//! Signatures and algorithms that are no good.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::{
    issuer::{Issuer, ed25519, p256},
    place::Place,
};

#[tokio::test(flavor = "multi_thread")]
async fn wrong_signatures_and_algorithms_are_refused() {
    let (key, ed) = (p256("a"), ed25519("b"));
    let issuer = Issuer::start(&[&key, &ed]).await;
    let place = Place::open(&[&issuer.url]).await;
    let invalid = "unauthenticated";
    let good = issuer.token(&key, |_, _| {});
    place.accepts("a good token", &good).await;
    let parts: Vec<&str> = good.split('.').collect();
    let encoded = |header: Value| BASE64.encode(header.to_string());

    for none in ["none", "None", "NONE", "nOnE"] {
        let header = encoded(json!({ "alg": none, "typ": "at+jwt", "kid": "a" }));
        place.refuses("algorithm none", &format!("{header}.{}.", parts[1]), invalid).await;
        place.refuses("none with a signature", &format!("{header}.{}.{}", parts[1], parts[2]), invalid).await;
    }
    // The public key is public: whoever knows it must not be able to use it as a secret.
    for (which, public) in [("raw", key.public.clone()), ("coordinates", BASE64.encode(&key.public[1..]).into_bytes())]
    {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let mut header = Header::new(algorithm);
            header.kid = Some("a".to_owned());
            let secret = EncodingKey::from_secret(&public);
            let mac = jsonwebtoken::encode(&header, &issuer.claims(), &secret).unwrap();
            place.refuses(&format!("{algorithm:?} with the public key, {which}"), &mac, invalid).await;
        }
    }
    let stranger = p256("a");
    place.refuses("another key under a known id", &issuer.token(&stranger, |_, _| {}), invalid).await;
    let swapped = issuer.token(&key, |header, _| header.kid = Some("b".to_owned()));
    place.refuses("the id of a key of another algorithm", &swapped, invalid).await;
    let own = issuer.token(&stranger, |header, _| {
        header.kid = None;
        header.jwk = Some(serde_json::from_value(stranger.jwk.clone()).unwrap());
    });
    place.refuses("a key that the token brings along", &own, invalid).await;
    let url = issuer.token(&stranger, |header, _| {
        header.kid = Some("elsewhere".to_owned());
        header.jku = Some("http://127.0.0.1:1/jwks".to_owned());
    });
    place.refuses("a key set that the token names", &url, invalid).await;
    let claims = BASE64.encode(issuer.claims().to_string().replace("subject-1", "subject-9"));
    place.refuses("altered claims", &format!("{}.{claims}.{}", parts[0], parts[2]), invalid).await;
    place.refuses("no signature", &format!("{}.{}.", parts[0], parts[1]), invalid).await;
    for junk in ["", "x", "a.b.c", "..", "eyJhbGciOiJFUzI1NiJ9..x", &good[..good.len() - 4]] {
        place.refuses("junk", junk, invalid).await;
    }
}
