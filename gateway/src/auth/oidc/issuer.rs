//! One issuer: its metadata, its keys, and how it stands.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use chat_gateway_config::{
    Oidc,
    stats::{Component, IssuerStats},
};
use jsonwebtoken::{DecodingKey, Header};
use serde::Deserialize;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use super::{
    LoginPage,
    keys::{self, Key},
    token::{self, External},
};
use crate::{
    auth::TokenError,
    outgoing::{FetchError, Fetcher, RootsError},
};

/// How often keys are fetched anew: the longest that a key which the issuer has withdrawn is believed.
const REGULARLY: Duration = Duration::from_secs(300);
/// The same while it fails.
const WHEN_AWAY: Duration = Duration::from_secs(10);
/// Least time between fetches that tokens with unknown keys cause: anybody can make such tokens.
const LEAST: Duration = Duration::from_secs(10);

/// See the module's documentation.
pub(super) struct Issuer {
    pub(super) config: Oidc,
    pub(super) fetcher: Fetcher,
    state: RwLock<State>,
    /// When keys were last asked for; held while they are.
    asked: Mutex<Option<Instant>>,
}

struct State {
    metadata: Option<Metadata>,
    keys: Vec<Key>,
    component: Component,
}

/// What discovery says (OpenID Connect Discovery, section 3).
#[derive(Clone, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: Option<String>,
    pub(super) token_endpoint: Option<String>,
}

/// Why what an issuer published is no good.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the metadata cannot be read: {0}")]
    Metadata(serde_json::Error),
    #[error("the metadata is of another issuer, {0}")]
    OtherIssuer(String),
    #[error("the key set cannot be read: {0}")]
    Keys(serde_json::Error),
    #[error("the key set holds no key that tokens can be checked with")]
    NoKeys,
}

/// Reads metadata, which must be this issuer's.
pub(super) fn read_metadata(issuer: &str, body: &[u8]) -> Result<Metadata, LookError> {
    let metadata: Metadata = serde_json::from_slice(body).map_err(LookError::Metadata)?;
    if metadata.issuer != issuer {
        return Err(LookError::OtherIssuer(metadata.issuer));
    }
    Ok(metadata)
}

/// Reads a key set, which must have keys for tokens.
pub(super) fn read_keys(body: &[u8]) -> Result<Vec<Key>, LookError> {
    let keys = keys::read(body).map_err(LookError::Keys)?;
    if keys.is_empty() { Err(LookError::NoKeys) } else { Ok(keys) }
}

impl Issuer {
    pub(super) fn new(config: Oidc) -> Result<Self, RootsError> {
        let fetcher = Fetcher::new(config.ca_file.as_ref())?;
        let component = Component { available: false, reason: "Starting".into(), message: "not asked yet".into() };
        let state = RwLock::new(State { metadata: None, keys: Vec::new(), component });
        Ok(Self { config, fetcher, state, asked: Mutex::new(None) })
    }

    /// Fetches the keys regularly; runs until it is dropped.
    pub(super) async fn look_after(self: std::sync::Arc<Self>) {
        loop {
            let mut asked = self.asked.lock().await;
            *asked = Some(Instant::now());
            let available = self.look().await;
            drop(asked);
            sleep(if available { REGULARLY } else { WHEN_AWAY }).await;
        }
    }

    /// Fetches metadata and keys once; what was known stays when that fails.
    async fn look(&self) -> bool {
        let found = self.fetch().await;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let was = state.component.available;
        match found {
            Ok((metadata, keys)) => {
                if !was {
                    tracing::info!(issuer = self.config.issuer, keys = keys.len(), "the issuer answers");
                }
                let message = format!("{} keys", keys.len());
                state.component = Component { available: true, reason: "Connected".into(), message };
                (state.metadata, state.keys) = (Some(metadata), keys);
                true
            }
            Err(error) => {
                if was || state.component.reason == "Starting" {
                    tracing::warn!(issuer = self.config.issuer, %error, keys = state.keys.len(), "the issuer is away; its known keys go on working");
                }
                let reason = if let LookError::Fetch(error) = &error { error.reason() } else { "ProtocolError" };
                let message = format!("{error}; {} keys are known", state.keys.len());
                state.component = Component { available: false, reason: reason.into(), message };
                false
            }
        }
    }

    async fn fetch(&self) -> Result<(Metadata, Vec<Key>), LookError> {
        // The path is put behind the issuer's, whatever slash that ends with (section 4.1).
        let base = self.config.issuer.trim_end_matches('/');
        let body = self.fetcher.get(&format!("{base}/.well-known/openid-configuration")).await?;
        let metadata = read_metadata(&self.config.issuer, &body)?;
        let keys = read_keys(&self.fetcher.get(&metadata.jwks_uri).await?)?;
        Ok((metadata, keys))
    }

    /// Checks a token that must be for this audience.
    pub(super) async fn verify(&self, token: &str, audience: &str) -> Result<External, TokenError> {
        // Algorithm `none` ends here: there is no such algorithm.
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        token::check_header(&header)?;
        let key = self.key(&header).await?;
        token::check(token, &header, &key, &self.config.issuer, audience, &self.config.name_claim)
    }

    /// The key that a token names. One that is not known may be new: the keys are fetched, by one for all who wait.
    async fn key(&self, header: &Header) -> Result<DecodingKey, TokenError> {
        if let Some(key) = self.known(header) {
            return Ok(key);
        }
        let mut asked = self.asked.lock().await;
        if let Some(key) = self.known(header) {
            return Ok(key);
        }
        if asked.is_none_or(|at| at.elapsed() >= LEAST) {
            *asked = Some(Instant::now());
            self.look().await;
        }
        drop(asked);
        self.known(header)
            .ok_or_else(|| if self.component().available { TokenError::Invalid } else { TokenError::Unavailable })
    }

    fn known(&self, header: &Header) -> Option<DecodingKey> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        keys::find(&state.keys, header.kid.as_deref(), header.alg).map(|key| key.key.clone())
    }

    pub(super) fn metadata(&self) -> Option<Metadata> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).metadata.clone()
    }

    pub(super) fn login_page(&self) -> Option<LoginPage> {
        let metadata = self.metadata()?;
        metadata.token_endpoint?;
        Some(LoginPage {
            issuer: self.config.issuer.clone(),
            client_id: self.config.client_id.clone()?,
            authorization_endpoint: metadata.authorization_endpoint?,
        })
    }

    fn component(&self) -> Component {
        self.state.read().unwrap_or_else(PoisonError::into_inner).component.clone()
    }

    pub(super) fn stats(&self) -> IssuerStats {
        IssuerStats { issuer: self.config.issuer.clone(), component: self.component() }
    }
}
