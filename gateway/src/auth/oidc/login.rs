//! The second half of a sign-in on the page: the authorization code that the browser came back with becomes an ID token (OpenID Connect
//! Core, section 3.1.3). The page is a public client, so PKCE takes the place of a secret; the gateway asks, so that the page needs no
//! access to the issuer.

use schemars::JsonSchema;
use serde::Deserialize;
use url::form_urlencoded;

use super::{External, issuer::Issuer};
use crate::{auth::TokenError, outgoing::FetchError};

/// What the page sends.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct Login {
    /// The issuer.
    pub issuer: String,
    /// The authorization code.
    pub code: String,
    /// What the code's challenge was made of.
    pub code_verifier: String,
    /// Where the browser came back to, as the request had it.
    pub redirect_uri: String,
    /// The request's nonce; the ID token must hold it.
    pub nonce: String,
}

/// Why nobody is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The issuer does not confirm it, or there is no such issuer.
    #[error("the sign-in was not confirmed; begin again")]
    Refused,
    /// The issuer is away.
    #[error("the issuer cannot be reached at this moment; begin again")]
    Unavailable,
}

#[derive(Deserialize)]
struct Answer {
    id_token: String,
}

impl Issuer {
    /// Exchanges the code and checks the ID token.
    pub(super) async fn login(&self, login: &Login) -> Result<External, LoginError> {
        let client = self.config.client_id.as_deref().ok_or(LoginError::Refused)?;
        let endpoint = self.metadata().and_then(|metadata| metadata.token_endpoint).ok_or(LoginError::Unavailable)?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", &login.code)
            .append_pair("redirect_uri", &login.redirect_uri)
            .append_pair("client_id", client)
            .append_pair("code_verifier", &login.code_verifier)
            .finish();
        let body = self.fetcher.post_form(&endpoint, form).await.map_err(|error| {
            tracing::debug!(issuer = self.config.issuer, %error, "a code was not exchanged");
            match error {
                FetchError::Status(_, status) if status.is_client_error() => LoginError::Refused,
                _ => LoginError::Unavailable,
            }
        })?;
        let Answer { id_token } = serde_json::from_slice(&body).map_err(|_| LoginError::Refused)?;
        let external = self.verify(&id_token, client).await.map_err(|error| match error {
            TokenError::Unavailable => LoginError::Unavailable,
            _ => LoginError::Refused,
        })?;
        // An ID token of another sign-in, or of another client, is no proof that this person has just signed in here.
        let for_us = external.party.as_deref().map_or(!external.shared, |party| party == client);
        let fresh = !login.nonce.is_empty() && external.nonce.as_deref() == Some(login.nonce.as_str());
        if for_us && fresh { Ok(external) } else { Err(LoginError::Refused) }
    }
}
