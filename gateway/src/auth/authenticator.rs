//! All access tokens that count here: the cluster's own, and those of the issuers it believes.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use moka::future::Cache;
use serde::Deserialize;

use super::{Claims, Ed25519Tokens, TokenError, Tokens, names, oidc::Issuers};
use crate::{
    model::{SessionId, User, UserId},
    store::{Store, StoreError},
};

/// Users of issuers whose accounts are known to be there, so that a connection costs no write.
const KNOWN: u64 = 10_000;
/// How long they are.
const KNOWN_FOR: Duration = Duration::from_secs(3_600);

/// [`Tokens`] of the cluster and of its issuers.
pub struct Authenticator {
    own: Ed25519Tokens,
    issuers: Issuers,
    accounts: Arc<Accounts>,
}

impl Authenticator {
    /// External users get their `accounts` when they first come.
    #[must_use]
    pub fn new(own: Ed25519Tokens, issuers: Issuers, accounts: Arc<Accounts>) -> Self {
        Self { own, issuers, accounts }
    }
}

/// The accounts of external users.
pub struct Accounts {
    store: Arc<dyn Store>,
    known: Cache<UserId, User>,
}

impl Accounts {
    /// Nobody is known yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: Cache::builder().max_capacity(KNOWN).time_to_live(KNOWN_FOR).build() }
    }

    /// The account, made now if it is not there. Several at once for one user ask once.
    ///
    /// # Errors
    /// The store's.
    pub async fn ensure(&self, user: User) -> Result<User, Arc<StoreError>> {
        self.known.try_get_with(user.id, self.store.ensure_user(user)).await
    }
}

#[async_trait]
impl Tokens for Authenticator {
    fn issue(&self, user: &User, session: SessionId) -> (String, u32) {
        self.own.issue(user, session)
    }

    async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let Some(issuer) = issuer_of(token).filter(|issuer| self.issuers.knows(issuer)) else {
            let mut claims = self.own.verify(token).await?;
            if names::is_probe(claims.user.id) {
                // It signs its tokens itself and never signed up.
                claims.user = self.account(claims.user).await?;
            }
            return Ok(claims);
        };
        let external = self.issuers.verify(&issuer, token).await?;
        let user = self.account(external.user).await?;
        Ok(Claims { user, session: None, expires_at: external.expires_at })
    }
}

impl Authenticator {
    async fn account(&self, user: User) -> Result<User, TokenError> {
        self.accounts.ensure(user).await.map_err(|error| {
            tracing::debug!(%error, "the account of somebody who did not sign up here could not be read");
            TokenError::Unavailable
        })
    }
}

/// The issuer that a token claims: it chooses who checks the token, and nothing more.
fn issuer_of(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        iss: String,
    }
    let body = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Body>(&body).ok()?.iss)
}
