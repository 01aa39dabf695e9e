//! Other passwords for the gateways and the owner of a managed shard, while people chat. Pure.
//!
//! PostgreSQL knows one password of a role, so two roles take turns. The migration lets in those whom the Secret names, and the one no more whose turn is over;
//! gateways come by the first line and try the others. See [`super::rotation`].
//!
//! With it goes the password of the owner, whom Jobs and backups alone sign in as. The migration comes by either line of its URI, and gives it the password of
//! the last one; after that, the last one is all there is.

use super::{
    credentials::{SHARD_OWNER, SHARD_ROLES, account_of, lines, next_turn, passwords_of, shard_uri},
    live::Live,
    rotation::{Gateways, Rotated, step},
    validated::{Database, ShardBackend, ValidatedCluster},
};
use crate::{
    poll::ClusterView,
    sensitive::{Entropy, EntropyError, Sensitive},
};

/// Takes the next step of each managed shard, if one is asked for and may be taken. What the Secrets hold now has been migrated.
///
/// # Errors
/// When the system gives no random bytes for a new password.
pub(super) fn rotate(
    validated: &mut ValidatedCluster,
    live: &Live,
    view: &ClusterView,
    entropy: &mut dyn Entropy,
) -> Result<(), EntropyError> {
    let names = validated.names.clone();
    let Database::Shards { shards, .. } = &mut validated.database else { return Ok(()) };
    for shard in shards.iter_mut().filter(|shard| !shard.is_leaving) {
        let name = names.shard(&shard.name);
        let ShardBackend::Managed(managed) = &mut shard.backend else { continue };
        let credentials = &mut managed.credentials;
        if let Some((_, next)) = credentials.migration_uri.expose().split_once('\n')
            && let Some((_, password)) = account_of(next)
        {
            (credentials.password, credentials.migration_uri) = (Sensitive::new(password), Sensitive::new(next));
        }
        let wanted = shard.name.as_str();
        let gateways = Gateways::using(live, view, |stats| {
            stats.shards.iter().find(|seen| seen.name == wanted).map_or(&[], |seen| &seen.uris)
        });
        let rotated = Rotated {
            name: &name,
            lines: credentials.uri.expose().lines().map(str::to_owned).collect(),
            annotations: &mut credentials.annotations,
            may_follow: true,
        };
        let uris = step(rotated, live, &gateways, |old| {
            Ok(shard_uri(&name, next_turn(SHARD_ROLES, old), &entropy.password()?))
        })?;
        if let Some(uris) = uris {
            let is_announced = uris.first().is_some_and(|first| first == credentials.uri.expose());
            if is_announced {
                let next = shard_uri(&name, SHARD_OWNER, &entropy.password()?);
                credentials.migration_uri = lines([credentials.migration_uri.expose().to_owned(), next]);
            }
            credentials.gateway_password = passwords_of(&uris);
            credentials.uri = lines(uris);
        }
    }
    Ok(())
}
