//! Who asks at the admin port.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};

use super::Admin;
use crate::{
    audit::{Act, By, Outcome, Record},
    auth::bearer,
};

/// A request that has the token. One without is refused before anything else of it is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    from: Option<IpAddr>,
}

impl FromRequestParts<Arc<Admin>> for Holder {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Response> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let from = peer.map(|ConnectInfo(peer)| peer.ip().to_canonical());
        if bearer(&parts.headers).is_some_and(|given| admin.tokens.load().accept(given)) {
            return Ok(Self { from });
        }
        // A path of the table of routes, and a method that it has: nothing that the client made up. The query is left out.
        let route = Some((parts.method.as_str(), parts.uri.path()));
        Record { route, ..Record::new(Act::AdminRequest, By::Unknown, from) }.write(Outcome::Denied("unauthenticated"));
        Err((StatusCode::UNAUTHORIZED, "a bearer token is needed\n").into_response())
    }
}

/// A request that has the token, by which the operator has been heard of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operator(Holder);

impl Operator {
    /// An order of the operator, for the audit log.
    pub(super) fn ordered(self, act: Act) -> Record<'static> {
        Record::new(act, By::AdminToken, self.0.from)
    }
}

impl FromRequestParts<Arc<Admin>> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Response> {
        let holder = Holder::from_request_parts(parts, admin).await?;
        admin.services.entrance.hear();
        Ok(Self(holder))
    }
}
