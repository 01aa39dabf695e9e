//! What a token of an external issuer must look like, and whom it names.

use jsonwebtoken::{DecodingKey, Header, Validation, errors::ErrorKind};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::{
    auth::{TokenError, names::is_deceptive},
    model::{User, UserId},
};

/// Clocks may differ by this much.
const LEEWAY_SECONDS: u64 = 60;
/// Characters of a subject (OpenID Connect Core, section 2) and of a name.
const SUBJECT_CHARS: usize = 255;
const NAME_CHARS: usize = 64;

/// Somebody who signs in elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// The user it stands for: the id follows from issuer and subject.
    pub user: User,
    /// When the token ends, seconds since the Unix epoch.
    pub expires_at: i64,
    /// What the client put into the request for the token.
    pub(super) nonce: Option<String>,
    /// The one client that it was made for, where it says so.
    pub(super) party: Option<String>,
    /// Whether others may use it too.
    pub(super) shared: bool,
}

/// Only single strings for issuer and subject: a list of issuers is none.
#[derive(Deserialize)]
struct Body {
    iss: String,
    sub: String,
    exp: f64,
    #[serde(default)]
    aud: Value,
    azp: Option<String>,
    nonce: Option<String>,
    cnf: Option<Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Refuses headers of other kinds of tokens: logout tokens, proofs and events are signed with the same keys. Access tokens are `at+jwt`
/// (RFC 9068); many issuers still say `JWT`, or nothing.
pub(super) fn check_header(header: &Header) -> Result<(), TokenError> {
    let kind = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    // An extension that must be understood is not understood here (RFC 7515, section 4.1.11).
    if !["jwt", "at+jwt"].contains(&kind) || header.crit.is_some() {
        return Err(TokenError::Invalid);
    }
    Ok(())
}

/// Checks signature and claims.
pub(super) fn check(
    token: &str,
    header: &Header,
    key: &DecodingKey,
    issuer: &str,
    audience: &str,
    name_claim: &str,
) -> Result<External, TokenError> {
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_nbf = true;
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "sub", "aud"]);
    let decoded = jsonwebtoken::decode::<Body>(token, key, &validation);
    let body = decoded.map_err(|error| match error.kind() {
        ErrorKind::ExpiredSignature => TokenError::Expired,
        _ => TokenError::Invalid,
    })?;
    let body = body.claims;
    let fits = body.iss == issuer
        && !body.sub.is_empty()
        && body.sub.chars().count() <= SUBJECT_CHARS
        // Bound to a key that only its client has; who merely bears it is somebody else.
        && body.cnf.is_none();
    if !fits {
        return Err(TokenError::Invalid);
    }
    // Beyond what a date can be is for ever.
    #[allow(clippy::cast_possible_truncation, reason = "a float is cut to the nearest number that there is")]
    let expires_at = body.exp as i64;
    let user = user(&body, name_claim);
    let shared = body.aud.as_array().is_some_and(|audiences| audiences.len() > 1);
    Ok(External { user, expires_at, nonce: body.nonce, party: body.azp, shared })
}

/// The account of somebody who signs in elsewhere. The name holds an `@`, which no sign-in name here has, so that nobody is taken for
/// somebody with a password; it need not be unique, since the id is.
fn user(body: &Body, name_claim: &str) -> User {
    let text = |claim: &str| {
        let text = body.rest.get(claim)?.as_str()?.trim();
        // What no name may hold here is cut out, not refused: nobody can change it at their issuer.
        let clean: String = text.chars().filter(|c| !is_deceptive(*c)).take(NAME_CHARS).collect();
        let clean = clean.trim();
        (!clean.is_empty()).then(|| clean.to_owned())
    };
    let host = url::Url::parse(&body.iss).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let local = text("preferred_username")
        .unwrap_or_else(|| body.sub.chars().filter(|c| !is_deceptive(*c)).take(NAME_CHARS).collect());
    let local = local.split('@').next().unwrap_or_default().to_owned();
    let display_name = text(name_claim).or_else(|| text("preferred_username")).unwrap_or_else(|| local.clone());
    User { id: user_id(&body.iss, &body.sub), name: format!("{local}@{host}"), display_name }
}

/// A UUIDv8 (RFC 9562) out of SHA-256 over issuer and subject; the length keeps the two apart.
fn user_id(issuer: &str, subject: &str) -> UserId {
    let digest = Sha256::new()
        .chain_update(format!("oidc:{}:", issuer.len()))
        .chain_update(issuer)
        .chain_update(subject)
        .finalize();
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    UserId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::names;

    #[test]
    fn an_id_follows_from_issuer_and_subject_and_nothing_else() {
        let id = user_id("https://id.example.org", "ann");
        assert_eq!(id, user_id("https://id.example.org", "ann"));
        assert_ne!(id, user_id("https://id.example.org/", "ann"));
        assert_ne!(user_id("https://a", "bc"), user_id("https://ab", "c"), "the border counts");
        assert_ne!(id, names::user_id("ann"));
        assert_eq!(id.0.get_version_num(), 8);
        assert_eq!(id.to_string(), "b6b3f160-ae9e-8474-9ffc-86e467bbbe35");
    }

    #[test]
    fn a_name_of_elsewhere_is_no_sign_in_name_here() {
        let body = |claims: Value| serde_json::from_value::<Body>(claims).unwrap();
        let base = serde_json::json!({"iss": "https://id.example.org/r", "sub": "7f3a", "exp": 1, "preferred_username": "ann@work", "name": " Ann\u{7} "});
        let found = user(&body(base.clone()), "name");
        assert_eq!((found.name.as_str(), found.display_name.as_str()), ("ann@id.example.org", "Ann"));
        assert!(names::fold_name(&found.name).is_err());
        let bare = user(&body(serde_json::json!({"iss": "https://id.example.org", "sub": "7f3a", "exp": 1})), "name");
        assert_eq!((bare.name.as_str(), bare.display_name.as_str()), ("7f3a@id.example.org", "7f3a"));
        assert_eq!(user(&body(base), "preferred_username").display_name, "ann@work");
    }
}
