//! Other passwords for managed RabbitMQ and Redis, while people chat. Pure.
//!
//! Server and gateways follow the same Secret: the server takes every line of it, and gateways come by the first and try the others; see [`super::rotation`].
//! RabbitMQ knows one password of a user, so two users take turns. Redis has one user with several passwords. Neither cuts off who is connected.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;

use super::{
    credentials::{RABBITMQ_USERS, lines, next_turn, passwords_of, rabbitmq_uri, redis_url, users_of},
    live::Live,
    rotation::{Gateways, Rotated, step},
    validated::{Broker, Redis, ValidatedCluster},
};
use crate::{
    build::{Kind, RABBITMQ_FOLLOW, REDIS_FOLLOW},
    names::annotation,
    poll::ClusterView,
    sensitive::{Entropy, EntropyError, Sensitive},
};

/// Takes the next step of each, if one is asked for and may be taken.
///
/// # Errors
/// When the system gives no random bytes for a new password.
pub(super) fn rotate(
    validated: &mut ValidatedCluster,
    live: &Live,
    view: &ClusterView,
    entropy: &mut dyn Entropy,
) -> Result<(), EntropyError> {
    if let Broker::Managed { credentials, .. } = &mut validated.broker {
        let name = validated.names.rabbitmq();
        let made_with = credentials.made_with();
        let kept = Kept { name: &name, content: &credentials.uri, marker: RABBITMQ_FOLLOW };
        let fresh = |old: &str| -> Result<String, EntropyError> {
            Ok(rabbitmq_uri(&name, next_turn(RABBITMQ_USERS, old), &entropy.password()?))
        };
        if let Some(uris) = kept.step(
            live,
            &Gateways::with(live, view, |taken| &taken.rabbitmq_uris),
            &mut credentials.annotations,
            fresh,
        )? {
            credentials.username = users_of(&uris);
            credentials.password = passwords_of(&uris);
            credentials.uri = lines(uris);
            credentials.annotations.entry(annotation::MADE_WITH.to_owned()).or_insert(made_with);
        }
    }
    if let Some(Redis::Managed { credentials, .. }) = &mut validated.redis {
        let name = validated.names.redis();
        let made_with = credentials.made_with();
        let kept = Kept { name: &name, content: &credentials.url, marker: REDIS_FOLLOW };
        let fresh = |_: &str| -> Result<String, EntropyError> { Ok(redis_url(&name, &entropy.password()?)) };
        if let Some(urls) = kept.step(
            live,
            &Gateways::with(live, view, |taken| &taken.redis_urls),
            &mut credentials.annotations,
            fresh,
        )? {
            credentials.password = passwords_of(&urls);
            credentials.url = lines(urls);
            credentials.annotations.entry(annotation::MADE_WITH.to_owned()).or_insert(made_with);
        }
    }
    Ok(())
}

/// The Secret of a server.
struct Kept<'a> {
    name: &'a str,
    content: &'a Sensitive,
    /// Variable in the server's container that says that it follows its files.
    marker: &'a str,
}

impl Kept<'_> {
    fn step(
        &self,
        live: &Live,
        gateways: &Gateways<'_>,
        annotations: &mut BTreeMap<String, String>,
        fresh: impl FnOnce(&str) -> Result<String, EntropyError>,
    ) -> Result<Option<Vec<String>>, EntropyError> {
        let rotated = Rotated {
            name: self.name,
            lines: self.content.expose().lines().map(str::to_owned).collect(),
            annotations,
            may_follow: follows(live, self.name, self.marker),
        };
        step(rotated, live, gateways, fresh)
    }
}

/// Whether the server is of a template that has it follow its files. One that was made before takes what they hold at its start, and would not start with two
/// lines in them.
fn follows(live: &Live, name: &str, marker: &str) -> bool {
    let Some(set) = live.typed::<StatefulSet>(Kind::StatefulSet, name) else { return false };
    let is_of_it = set.status.is_some_and(|status| {
        status.observed_generation == set.metadata.generation && status.current_revision == status.update_revision
    });
    let pod = set.spec.and_then(|spec| spec.template.spec);
    let mut variables = pod.iter().flat_map(|pod| &pod.containers).flat_map(|container| container.env.iter().flatten());
    is_of_it && variables.any(|variable| variable.name == marker)
}
