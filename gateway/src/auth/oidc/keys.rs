//! The keys of an issuer, and which of them a token may be checked with.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize;

/// Bytes of the smallest RSA modulus: 2048 bits (RFC 7518, section 3.3).
const RSA_BYTES: usize = 256;

/// Bytes of an Ed25519 public key (RFC 8037, section 2).
const ED25519_BYTES: usize = 32;

/// One key and the algorithms that it is for. A token's own word about its algorithm counts only when the key is for it: this is what
/// keeps an HMAC with the public key as its secret out.
pub(super) struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    pub(super) key: DecodingKey,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// Reads a key set. Keys of other kinds and for other uses are left out, since issuers have them beside those that sign tokens.
pub(super) fn read(body: &[u8]) -> Result<Vec<Key>, serde_json::Error> {
    let set: Set = serde_json::from_slice(body)?;
    Ok(set.keys.into_iter().filter_map(|value| key(serde_json::from_value(value).ok()?)).collect())
}

#[allow(clippy::needless_pass_by_value, reason = "its parts go into the key")]
fn key(jwk: Jwk) -> Option<Key> {
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(parameters) => {
            // Four characters of base64url are three bytes.
            if parameters.n.trim_end_matches('=').len() * 3 / 4 < RSA_BYTES {
                return None;
            }
            vec![
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ]
        }
        AlgorithmParameters::EllipticCurve(parameters) => match parameters.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(parameters) if parameters.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        _ => return None,
    };
    if let Some(named) = jwk.common.key_algorithm {
        let named = named.to_string();
        algorithms.retain(|algorithm| format!("{algorithm:?}") == named);
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    // The library takes the first bytes of a longer key, and panics at a shorter one.
    if algorithms == [Algorithm::EdDSA] && key.try_get_as_bytes().ok()?.len() != ED25519_BYTES {
        return None;
    }
    (!algorithms.is_empty()).then_some(Key { id: jwk.common.key_id, algorithms, key })
}

/// The key for a token: the one it names, or without a name the only one for its algorithm.
pub(super) fn find<'a>(keys: &'a [Key], id: Option<&str>, algorithm: Algorithm) -> Option<&'a Key> {
    let mut fitting = keys.iter().filter(|key| key.algorithms.contains(&algorithm));
    match id {
        Some(_) => fitting.find(|key| key.id.as_deref() == id),
        None => {
            let first = fitting.next()?;
            fitting.next().is_none().then_some(first)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;

    #[test]
    fn a_key_is_for_its_own_algorithms_and_for_signatures() {
        let set = format!(
            r#"{{"keys":[{{{EC},"kid":"a"}},{{{EC},"kid":"b","use":"enc"}},{{{EC},"kid":"c","alg":"ES384"}},
                {{"kty":"oct","k":"c2VjcmV0","kid":"d"}},{{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"short"}},{{"kty":"new"}},7]}}"#
        );
        let keys = read(set.as_bytes()).unwrap();
        assert_eq!(keys.len(), 1);
        assert!(find(&keys, Some("a"), Algorithm::ES256).is_some());
        assert!(find(&keys, Some("a"), Algorithm::HS256).is_none());
        assert!(find(&keys, Some("z"), Algorithm::ES256).is_none());
        assert!(find(&keys, None, Algorithm::ES256).is_some(), "there is only one that it can be");
        assert!(read(b"{}").is_err());
    }

    #[test]
    fn an_ed25519_key_has_32_bytes() {
        let set =
            |x: &str| read(format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#).as_bytes()).unwrap();
        // RFC 8037, appendix A.2.
        assert_eq!(set("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").len(), 1);
        for wrong in ["", "1S_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURoAAAAA"] {
            assert!(set(wrong).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn a_token_without_a_key_id_does_not_choose_among_several() {
        let keys = read(format!(r#"{{"keys":[{{{EC},"kid":"a"}},{{{EC},"kid":"b"}}]}}"#).as_bytes()).unwrap();
        assert!(find(&keys, None, Algorithm::ES256).is_none());
    }
}
