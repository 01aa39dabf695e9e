//! The token of the probe: signed with the cluster's key, for a minute, and of no session that could be ended.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chat_gateway_config::{SigningKeys, probe};
use serde_json::{Value, json};

use super::{Failure, Front};

/// Seconds for which it is good: a probe uses it at once.
const LIFE: u64 = 60;

/// Signs a token.
///
/// # Errors
/// The key is gone from the Secret, or no key.
pub(super) fn sign(front: &Front) -> Result<String, Failure> {
    let no_key = |why: String| Failure::trouble("NoSigningKey", format!("the probe cannot sign a token: {why}"));
    let keys = SigningKeys::parse(front.keys.expose().as_bytes()).map_err(|error| no_key(error.to_string()))?;
    let key = keys.iter().find(|key| key.id() == front.signer);
    let key = key.ok_or_else(|| no_key(format!("there is no key {}", front.signer)))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({ "alg": "EdDSA", "typ": "JWT", "kid": key.id() }));
    let body = part(json!({
        "iss": front.issuer, "sub": probe::USER, "name": probe::NAME, "display_name": "delivery probe", "iat": now, "exp": now + LIFE,
    }));
    let signed = format!("{head}.{body}");
    let signature = URL_SAFE_NO_PAD.encode(key.pair().sign(signed.as_bytes()));
    Ok(format!("{signed}.{signature}"))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    use ring::signature::KeyPair as _;
    use serde::Deserialize;

    use super::*;
    use crate::sensitive::{Entropy as _, Sensitive, SystemEntropy};

    #[derive(Deserialize)]
    struct Body {
        sub: String,
        exp: u64,
        iat: u64,
    }

    #[test]
    fn a_gateway_can_check_it_and_it_ends_soon() {
        let pem = SystemEntropy.ed25519_pem().unwrap();
        let keys = SigningKeys::parse(pem.expose().as_bytes()).unwrap();
        let signer = keys.ids().remove(0);
        let public = keys.iter().next().map(|key| URL_SAFE_NO_PAD.encode(key.pair().public_key())).unwrap();
        let front = Front { address: String::new(), issuer: "chat/demo".to_owned(), keys: pem, signer, cleared: None };
        let token = sign(&front).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&["chat/demo"]);
        let key = DecodingKey::from_ed_components(&public).unwrap();
        let body = decode::<Body>(&token, &key, &validation).unwrap().claims;
        assert_eq!((body.sub.as_str(), body.exp - body.iat), (probe::USER, LIFE));

        let gone = Front { signer: "other".to_owned(), ..front.clone() };
        assert!(matches!(sign(&gone), Err(Failure::Trouble(told)) if told.reason == "NoSigningKey"));
        let none = Front { keys: Sensitive::new("hello"), ..front };
        assert!(matches!(sign(&none), Err(Failure::Trouble(told)) if !told.message.contains("hello")));
    }
}
