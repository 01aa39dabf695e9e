//! Tokens of external OpenID Connect issuers.
//!
//! Each configured issuer is found by discovery, and its keys are kept: they are fetched anew regularly and, with a bound on how often,
//! when a token names a key that is not known. An issuer that is away takes nothing from those whose tokens its known keys signed; that
//! it is away stands in `/stats` and `/metrics`.

mod issuer;
mod keys;
mod login;
mod token;

use std::sync::Arc;

use chat_gateway_config::{Oidc, stats::IssuerStats};
use tokio_util::sync::CancellationToken;

use self::issuer::Issuer;
pub use self::{
    login::{Login, LoginError},
    token::External,
};
use super::TokenError;
use crate::outgoing::RootsError;

/// Checks a token by what an issuer published, metadata and key set, without a network: for those who try what a hostile issuer or client may
/// say. The name of the user is read from the claim `name`.
///
/// # Errors
/// [`TokenError::Unavailable`] when the documents are no good, or else what is wrong with the token.
pub fn check_offline(
    issuer: &str,
    metadata: &[u8],
    keys: &[u8],
    token: &str,
    audience: &str,
) -> Result<External, TokenError> {
    let unusable = |_| TokenError::Unavailable;
    issuer::read_metadata(issuer, metadata).map_err(unusable)?;
    let keys = issuer::read_keys(keys).map_err(unusable)?;
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
    token::check_header(&header)?;
    let key = keys::find(&keys, header.kid.as_deref(), header.alg).ok_or(TokenError::Invalid)?;
    token::check(token, &header, &key.key, issuer, audience, "name")
}

/// The issuers that a gateway believes.
#[derive(Clone, Default)]
pub struct Issuers(Arc<[Arc<Issuer>]>);

/// An issuer at which people can sign in on the page.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct LoginPage {
    /// The issuer.
    pub issuer: String,
    /// The page's client id.
    pub client_id: String,
    /// Where the browser goes.
    pub authorization_endpoint: String,
}

impl Issuers {
    /// Begins to look after the issuers, until `stop`. Nothing waits for them.
    ///
    /// # Errors
    /// [`RootsError`] when a file with roots cannot be used.
    pub fn start(issuers: &[Oidc], stop: &CancellationToken) -> Result<Self, RootsError> {
        let started = issuers.iter().map(|config| Issuer::new(config.clone()).map(Arc::new));
        let started: Arc<[Arc<Issuer>]> = started.collect::<Result<_, _>>()?;
        for issuer in started.iter().cloned() {
            let stop = stop.clone();
            tokio::spawn(async move { stop.run_until_cancelled(issuer.look_after()).await });
        }
        Ok(Self(started))
    }

    /// Whether a token may be of this issuer.
    #[must_use]
    pub fn knows(&self, issuer: &str) -> bool {
        self.find(issuer).is_some()
    }

    /// Checks an access token of an issuer.
    ///
    /// # Errors
    /// [`TokenError::Unavailable`] when the issuer's keys are needed and cannot be had.
    pub async fn verify(&self, issuer: &str, token: &str) -> Result<External, TokenError> {
        let issuer = self.find(issuer).ok_or(TokenError::Invalid)?;
        issuer.verify(token, &issuer.config.audience).await
    }

    /// Completes a sign-in that the page began.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn login(&self, login: &Login) -> Result<External, LoginError> {
        self.find(&login.issuer).ok_or(LoginError::Refused)?.login(login).await
    }

    /// Where people can sign in on the page now.
    #[must_use]
    pub fn login_pages(&self) -> Vec<LoginPage> {
        self.0.iter().filter_map(|issuer| issuer.login_page()).collect()
    }

    /// Each issuer as this gateway sees it.
    #[must_use]
    pub fn stats(&self) -> Vec<IssuerStats> {
        self.0.iter().map(|issuer| issuer.stats()).collect()
    }

    fn find(&self, issuer: &str) -> Option<&Arc<Issuer>> {
        self.0.iter().find(|known| known.config.issuer == issuer)
    }
}
