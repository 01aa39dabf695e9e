//! How long sign-ins last, and which issuers besides this cluster are believed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// Life of sign-ins, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SessionLimits {
    /// Life of an access token, 1 to 86400. Gateways see the end of a session at once, so this bounds only those who verify tokens
    /// elsewhere; each connection is made anew once in that time.
    pub access_seconds: u32,
    /// A session whose refresh token is not used for this long ends, at least `accessSeconds`.
    pub idle_seconds: u32,
    /// A session ends after this long whatever happens, at least `idleSeconds`.
    pub life_seconds: u32,
}

impl Default for SessionLimits {
    /// An hour, two weeks, ninety days.
    fn default() -> Self {
        Self { access_seconds: 3_600, idle_seconds: 14 * 86_400, life_seconds: 90 * 86_400 }
    }
}

impl SessionLimits {
    /// Whether these are the defaults.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if !(1..=86_400).contains(&self.access_seconds) {
            return fail("auth.sessions.accessSeconds", "must be 1 to 86400");
        }
        if self.idle_seconds < self.access_seconds {
            return fail("auth.sessions.idleSeconds", "must be at least accessSeconds");
        }
        // Ten years: far over any use, and far below where a date cannot be told any more.
        if self.life_seconds < self.idle_seconds || self.life_seconds > 315_360_000 {
            return fail(
                "auth.sessions.lifeSeconds",
                "must be at least idleSeconds, and at most 315360000 (ten years)",
            );
        }
        Ok(())
    }
}

/// An OpenID Connect issuer whose access tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Oidc {
    /// Issuer, exactly as it stands in the claim `iss`. Its metadata is read from `<issuer>/.well-known/openid-configuration`.
    /// `https`, or `http` on a loopback address.
    pub issuer: String,
    /// What the claim `aud` must name.
    pub audience: String,
    /// Claim that holds the name to show others.
    #[serde(default = "Oidc::default_name_claim")]
    pub name_claim: String,
    /// Client id for a sign-in on the page (authorization code with PKCE, a public client). Absent: the page offers none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// PEM file with the roots that the issuer's certificate leads to, read anew for each connection. Absent: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// Issuers that one gateway believes at most.
pub const MAX_ISSUERS: usize = 16;

impl Oidc {
    /// The claim that holds the name to show others, where nothing else is said.
    #[must_use]
    pub fn default_name_claim() -> String {
        "name".to_owned()
    }

    /// Checks the issuers of one cluster.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn check(issuers: &[Self]) -> Result<(), ConfigError> {
        validate_issuers(issuers)
    }
}

fn validate_issuers(issuers: &[Oidc]) -> Result<(), ConfigError> {
    if issuers.len() > MAX_ISSUERS {
        return fail("auth.oidc", "has at most 16 issuers");
    }
    for (nth, issuer) in issuers.iter().enumerate() {
        if !is_issuer(&issuer.issuer) {
            return fail(
                "auth.oidc[].issuer",
                "must be an https URL without query, fragment and user, or an http URL on a loopback address",
            );
        }
        if issuers.iter().skip(nth + 1).any(|other| other.issuer == issuer.issuer) {
            return fail("auth.oidc[].issuer", "two entries have the same issuer; issuers must be distinct");
        }
        if issuer.audience.is_empty() {
            return fail("auth.oidc[].audience", "must not be empty: any token of the issuer would be accepted");
        }
        if issuer.name_claim.is_empty() {
            return fail("auth.oidc[].nameClaim", "must not be empty; leave it out for the claim name");
        }
        if issuer.client_id.as_deref() == Some("") {
            return fail("auth.oidc[].clientId", "must not be empty; leave it out for no sign-in on the page");
        }
    }
    Ok(())
}

/// OpenID Connect Discovery section 2: an `https` URL without query and fragment. Keys over plain HTTP could be anybody's, so that is
/// for loopback only.
fn is_issuer(url: &str) -> bool {
    let (host, loopback_only) = match url.split_once("://") {
        Some(("https", rest)) => (rest, false),
        Some(("http", rest)) => (rest, true),
        _ => return false,
    };
    let host = host.split('/').next().unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    !name.is_empty()
        && !url.contains(['?', '#', '@'])
        && url.bytes().all(|byte| byte.is_ascii_graphic())
        && (!loopback_only || loopback)
}

fn fail(field: &'static str, message: &str) -> Result<(), ConfigError> {
    Err(ConfigError { field, message: message.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(url: &str) -> Oidc {
        serde_json::from_value(serde_json::json!({"issuer": url, "audience": "chat"})).unwrap()
    }

    #[test]
    fn an_issuer_is_https_or_on_this_machine() {
        for good in
            ["https://id.example.org", "https://id.example.org/realms/a", "http://127.0.0.1:99", "http://[::1]:99/a"]
        {
            validate_issuers(&[issuer(good)]).unwrap();
        }
        for bad in [
            "id.example.org",
            "http://id.example.org",
            "https://",
            "https://a/?b",
            "https://a@b",
            "ftp://a",
            "https://a b",
        ] {
            assert_eq!(validate_issuers(&[issuer(bad)]).unwrap_err().field, "auth.oidc[].issuer", "{bad}");
        }
        let twice = [issuer("https://a"), issuer("https://a")];
        assert!(validate_issuers(&twice).unwrap_err().message.contains("distinct"));
    }

    #[test]
    fn lives_grow_from_access_to_idle_to_all() {
        SessionLimits::default().validate().unwrap();
        let short = SessionLimits { idle_seconds: 60, ..SessionLimits::default() };
        assert_eq!(short.validate().unwrap_err().field, "auth.sessions.idleSeconds");
        let short = SessionLimits { life_seconds: 3_600, ..SessionLimits::default() };
        assert_eq!(short.validate().unwrap_err().field, "auth.sessions.lifeSeconds");
        assert!(SessionLimits { access_seconds: 0, ..short }.validate().is_err());
    }
}
