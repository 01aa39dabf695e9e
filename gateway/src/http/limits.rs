//! How often an address, a name or a user may knock, over all gateways.

use chat_gateway_config::{Bucket, Rates};

use super::{ApiError, ClientAddress, Http};
use crate::{limiter::Rate, model::UserId};

/// The buckets that a request takes a token of.
#[derive(Clone, Copy)]
pub(super) struct Limits<'a>(pub(super) &'a Http);

impl Limits<'_> {
    /// A sign-up, sign-in or change of password. The name is the folded one: names are few, so this bounds guessing at one of them
    /// however many addresses take part, and the address's bucket bounds guessing at many.
    pub(super) async fn sign_in(self, what: &str, address: ClientAddress, name: &str) -> Result<(), ApiError> {
        self.take(format!("{what}-from:{address}"), self.rates().sign_in_per_address).await?;
        self.take(format!("{what}:{name}"), self.rates().sign_in_per_name).await
    }

    /// A sign-in whose name is not known yet.
    pub(super) async fn sign_in_from(self, address: ClientAddress) -> Result<(), ApiError> {
        self.take(format!("sign-in-from:{address}"), self.rates().sign_in_per_address).await
    }

    /// Anything that comes with a token, before the token is looked at.
    pub(super) async fn token_from(self, address: ClientAddress) -> Result<(), ApiError> {
        self.take(format!("token-from:{address}"), self.rates().refresh_per_address).await
    }

    /// Anything that comes with a good token.
    pub(super) async fn token_of(self, user: UserId) -> Result<(), ApiError> {
        self.take(format!("token:{user}"), self.rates().refresh_per_user).await
    }

    /// A WebSocket handshake.
    pub(super) async fn handshake(self, address: ClientAddress) -> Result<(), ApiError> {
        self.take(format!("handshake-from:{address}"), self.rates().handshake_per_address).await
    }

    /// A question where to connect: as many as handshakes, counted apart, since each comes before one.
    pub(super) async fn connect(self, address: ClientAddress) -> Result<(), ApiError> {
        self.take(format!("connect-from:{address}"), self.rates().handshake_per_address).await
    }

    fn rates(&self) -> Rates {
        self.0.services.config.get().http.rates
    }

    async fn take(&self, bucket: String, Bucket { per_minute, burst }: Bucket) -> Result<(), ApiError> {
        if per_minute == 0 {
            return Ok(());
        }
        self.0.services.limiter.take(&bucket, Rate { per_minute, burst }).await.map_err(ApiError::rate_limited)
    }
}
