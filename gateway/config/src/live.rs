//! The part of the configuration that a gateway takes while it runs, from a file of its own.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{AllowedOrigin, Cidr, GatewayConfig, Limits, Passwords, Rates};

/// Bytes of a digest: enough to tell the contents of one file apart.
const DIGEST_BYTES: usize = 8;

/// What a gateway takes while it runs (JSON, camelCase). What is absent is as in [`GatewayConfig`].
///
/// Every field here is read anew at each use. What is not here needs a new process: addresses, backends, issuers, and the time to drain, since a
/// pod's grace period is fixed when it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LiveConfig {
    /// How much the gateway logs; by `RUST_LOG` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
    /// `maxConnections`. Connections beyond a lowered number stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// `limits`. A connection stays in the rooms that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// `auth.passwords`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passwords: Option<Passwords>,
    /// `http.trustedProxies`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_proxies: Option<Vec<Cidr>>,
    /// `http.allowedOrigins`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_origins: Option<Vec<AllowedOrigin>>,
    /// `http.rates`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
    /// Id of the key in `auth.signingKeyFile` that signs; the first one if absent. While the named key is not there, the one goes on that signed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<String>,
}

/// How much a gateway logs of itself. The libraries that it is made of never say more than at `Info`: their details could hold what people write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogLevel {
    /// What was lost.
    Error,
    /// What somebody should look at, too.
    Warn,
    /// What begins, changes and ends, too.
    Info,
    /// Each step, too.
    Debug,
}

impl LiveConfig {
    /// `base` with what is set here in its place.
    #[must_use]
    pub fn over(&self, base: &GatewayConfig) -> GatewayConfig {
        // No rest pattern: a new field must not be accepted and then ignored.
        let Self {
            log_level: _,
            max_connections,
            limits,
            passwords,
            trusted_proxies,
            allowed_origins,
            rates,
            signing_key: _,
        } = self;
        let mut config = base.clone();
        set(&mut config.max_connections, max_connections);
        set(&mut config.limits, limits);
        set(&mut config.auth.passwords, passwords);
        set(&mut config.http.trusted_proxies, trusted_proxies);
        set(&mut config.http.allowed_origins, allowed_origins);
        set(&mut config.http.rates, rates);
        config
    }

    /// `config` with the same values, whatever they were, in all fields that a gateway takes while it runs: what is left is what needs a new process.
    #[must_use]
    pub fn without(config: &GatewayConfig) -> GatewayConfig {
        let nothing = Self {
            log_level: None,
            max_connections: Some(0),
            limits: Some(Limits {
                messages_per_second: 0,
                message_burst: 0,
                message_bytes: 0,
                rooms_per_connection: 0,
            }),
            passwords: Some(Passwords::Disabled),
            trusted_proxies: Some(Vec::new()),
            allowed_origins: Some(Vec::new()),
            rates: Some(Rates::default()),
            signing_key: None,
        };
        nothing.over(config)
    }

    /// Names the content of a file of this form, for whoever wants to know which one a gateway has taken.
    #[must_use]
    pub fn digest(text: &str) -> String {
        Sha256::digest(text.as_bytes())[..DIGEST_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn set<T: Clone>(field: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_stays_and_what_is_unknown_is_refused() {
        assert_eq!(serde_json::from_str::<LiveConfig>("{}").unwrap(), LiveConfig::default());
        assert_eq!(serde_json::to_string(&LiveConfig::default()).unwrap(), "{}");
        let error = serde_json::from_str::<LiveConfig>(r#"{"drainSeconds":1}"#).unwrap_err();
        assert!(error.to_string().contains("drainSeconds"), "{error}");
        assert!(serde_json::from_str::<LiveConfig>(r#"{"logLevel":"Trace"}"#).is_err());
    }

    #[test]
    fn digests_tell_contents_apart() {
        assert_eq!(LiveConfig::digest("{}").len(), 2 * DIGEST_BYTES);
        assert_ne!(LiveConfig::digest("{}"), LiveConfig::digest("{} "));
    }
}
