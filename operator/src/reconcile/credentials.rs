//! Credentials that the operator keeps: those in an existing Secret as they are, else new ones. Never both.

use std::collections::BTreeMap;

use chat_gateway_config::AdminTokens;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use percent_encoding::percent_decode_str;

use super::{
    dereference::{Dereferenced, LockedVolume},
    validate::{Problem, ValidateError},
    validated::{BrokerCredentials, RedisCredentials, ShardCredentials, TokensKept},
};
use crate::{
    build::{ChildId, Kind},
    names::{Names, annotation, key, label, port},
    sensitive::{Entropy, Sensitive, uri_part},
};

/// Users of managed RabbitMQ. It has the first, until the password is replaced: then they take turns.
pub(super) const RABBITMQ_USERS: [&str; 2] = ["chat", "chat2"];
/// Roles of gateways in a managed shard, in the same way; the migration makes them.
pub(super) const SHARD_ROLES: [&str; 2] = ["chat_gateway", "chat_gateway2"];

/// The role that owns a managed shard.
pub(super) const SHARD_OWNER: &str = "postgres";

/// The way out where new credentials do as well.
const MADE_ANEW: &str = ", or delete the Secret to have new credentials made";
/// The way out where only those that PostgreSQL knows do.
const IN_THE_VOLUME: &str = "; new ones would not open the shard's volume";

/// Finds or makes the credentials of one cluster.
pub(super) struct Keeper<'a> {
    pub(super) names: &'a Names,
    pub(super) fetched: &'a Dereferenced,
    pub(super) entropy: &'a mut dyn Entropy,
}

impl Keeper<'_> {
    /// The token that is shown, and all that there is of them.
    pub(super) fn admin_tokens(&mut self) -> Result<(Sensitive, TokensKept), ValidateError> {
        let name = self.names.admin_token();
        let Some([content]) = self.existing(&name, [key::TOKEN])? else {
            let token = self.entropy.password()?;
            return Ok((token.clone(), TokensKept { content: token, annotations: BTreeMap::new() }));
        };
        let tokens = AdminTokens::parse(content.expose()).map_err(|error| {
            let message = format!(
                "the key {} of Secret {name}, which the operator made, {error}; put the value back{MADE_ANEW}",
                key::TOKEN
            );
            ValidateError::Unmet(Problem::new("SecretInvalid", message))
        })?;
        // One that stands alone is named by all of its text: so it was before there could be more.
        let shown = if tokens.iter().count() == 1 { content.clone() } else { Sensitive::new(tokens.first()) };
        Ok((shown, TokensKept { content, annotations: self.progress(&name) }))
    }

    /// What the operator noted on a Secret about its rotation.
    fn progress(&self, name: &str) -> BTreeMap<String, String> {
        let secret = self.fetched.live.get(&ChildId::new(Kind::Secret, name));
        let noted = |key: &&str| Some(((*key).to_owned(), secret?.annotations().get(*key)?.clone()));
        [annotation::ROTATED, annotation::ROTATION, annotation::MADE_WITH].iter().filter_map(noted).collect()
    }

    pub(super) fn signing_key(&mut self) -> Result<Sensitive, ValidateError> {
        match self.existing(&self.names.signing_key(), [key::SIGNING_KEY])? {
            Some([pem]) => Ok(pem),
            None => Ok(self.entropy.ed25519_pem()?),
        }
    }

    pub(super) fn broker(&mut self) -> Result<BrokerCredentials, ValidateError> {
        let name = self.names.rabbitmq();
        if let Some([username, password, uri]) = self.existing(&name, [key::USERNAME, key::PASSWORD, key::URI])? {
            fits(&name, (key::URI, &uri), (key::PASSWORD, &password), MADE_ANEW)?;
            return Ok(BrokerCredentials { username, password, uri, annotations: self.progress(&name) });
        }
        let password = self.entropy.password()?;
        let [user, _] = RABBITMQ_USERS;
        let uri = Sensitive::new(rabbitmq_uri(&name, user, &password));
        Ok(BrokerCredentials { username: Sensitive::new(user), password, uri, annotations: BTreeMap::new() })
    }

    pub(super) fn redis(&mut self) -> Result<RedisCredentials, ValidateError> {
        let name = self.names.redis();
        if let Some([password, url]) = self.existing(&name, [key::PASSWORD, key::URL])? {
            fits(&name, (key::URL, &url), (key::PASSWORD, &password), MADE_ANEW)?;
            return Ok(RedisCredentials { password, url, annotations: self.progress(&name) });
        }
        let password = self.entropy.password()?;
        let url = Sensitive::new(redis_url(&name, &password));
        Ok(RedisCredentials { password, url, annotations: BTreeMap::new() })
    }

    pub(super) fn shard(&mut self, shard: &str) -> Result<ShardCredentials, ValidateError> {
        let name = self.names.shard(shard);
        let keys = [key::PASSWORD, key::GATEWAY_PASSWORD, key::URI, key::MIGRATION_URI];
        if let Some([password, gateway_password, uri, migration_uri]) = self.existing(&name, keys)? {
            fits(&name, (key::URI, &uri), (key::GATEWAY_PASSWORD, &gateway_password), IN_THE_VOLUME)?;
            // The second line is the owner's next password, which nobody else has yet.
            let in_use = Sensitive::new(migration_uri.expose().lines().next().unwrap_or_default());
            fits(&name, (key::MIGRATION_URI, &in_use), (key::PASSWORD, &password), IN_THE_VOLUME)?;
            let annotations = self.progress(&name);
            return Ok(ShardCredentials { password, gateway_password, uri, migration_uri, annotations });
        }
        self.refuse_locked_volume(shard, &name)?;
        let (password, gateway_password) = (self.entropy.password()?, self.entropy.password()?);
        let [role, _] = SHARD_ROLES;
        let [uri, migration_uri] = [(role, &gateway_password), (SHARD_OWNER, &password)]
            .map(|(role, password)| Sensitive::new(shard_uri(&name, role, password)));
        Ok(ShardCredentials { password, gateway_password, uri, migration_uri, annotations: BTreeMap::new() })
    }

    /// Those of a shard that is being left: new ones would open nothing.
    pub(super) fn leaving_shard(&mut self, shard: &str) -> Result<ShardCredentials, ValidateError> {
        let name = self.names.shard(shard);
        if self.fetched.live.typed::<Secret>(Kind::Secret, &name).is_some() {
            return self.shard(shard);
        }
        Err(ValidateError::Unmet(Problem::new(
            "CredentialsLost",
            format!(
                "slots of shard {shard} have yet to leave it, but Secret {name} with its passwords is gone; put the Secret \
                 back, or the shard into spec.database.shards"
            ),
        )))
    }

    /// New passwords would not open a volume that exists already.
    fn refuse_locked_volume(&self, shard: &str, secret: &str) -> Result<(), ValidateError> {
        let claim = self.names.shard_claim(shard);
        match self.fetched.locked_volumes.get(shard) {
            None => Ok(()),
            Some(LockedVolume::Leaving) => Err(ValidateError::Unmet(Problem::new(
                "PredecessorLeaving",
                format!("volume {claim} of an earlier ChatCluster of this name is still being deleted"),
            ))),
            Some(LockedVolume::Kept) => Err(ValidateError::Invalid(Problem::new(
                "CredentialsLost",
                format!(
                    "volume {claim} holds data of shard {shard}, but Secret {secret} with its passwords is gone; put the \
                     Secret back, or delete the PersistentVolumeClaim to start without the data"
                ),
            ))),
        }
    }

    /// The values of an existing Secret, or `None` when there is no such Secret.
    fn existing<const N: usize>(&self, name: &str, keys: [&str; N]) -> Result<Option<[Sensitive; N]>, ValidateError> {
        let Some(secret) = self.fetched.live.typed::<Secret>(Kind::Secret, name) else { return Ok(None) };
        // A Secret of that name that is not ours is refused when the plan is made; its values do not matter here. One that somebody took our labels from is ours
        // as long as it is owned by this ChatCluster: the plan would write over it.
        let uid = self.fetched.cluster.metadata.uid.as_ref();
        let is_owned = secret.owner_references().iter().any(|owner| Some(&owner.uid) == uid);
        if !secret.labels().contains_key(label::CLUSTER) && !is_owned {
            return Ok(None);
        }
        let opens_a_volume = keys.contains(&key::MIGRATION_URI);
        let way_out = if opens_a_volume { IN_THE_VOLUME } else { MADE_ANEW };
        let values = super::dereference::values(&secret);
        let mut found = Vec::with_capacity(N);
        for key in keys {
            // Making a new value in place of a lost one could lock everybody out of existing data: a person decides.
            let value = values.get(key).filter(|value| !value.expose().is_empty());
            found.push(value.cloned().ok_or_else(|| lost(name, key, way_out))?);
        }
        Ok(<[Sensitive; N]>::try_from(found).ok())
    }
}

pub(super) fn rabbitmq_uri(host: &str, user: &str, password: &Sensitive) -> String {
    format!("amqp://{user}:{}@{host}:{}/%2f", uri_part(password.expose()), port::RABBITMQ)
}

pub(super) fn redis_url(host: &str, password: &Sensitive) -> String {
    format!("redis://:{}@{host}:{}", uri_part(password.expose()), port::REDIS)
}

pub(super) fn shard_uri(host: &str, role: &str, password: &Sensitive) -> String {
    let secret = uri_part(password.expose());
    format!("postgresql://{role}:{secret}@{host}:{}/postgres?sslmode=disable", port::POSTGRESQL)
}

fn lost(name: &str, key: &str, way_out: &str) -> ValidateError {
    ValidateError::Unmet(Problem::new(
        "SecretKeyNotFound",
        format!("Secret {name}, which the operator made, has no text under the key {key}; put the value back{way_out}"),
    ))
}

/// Whether a URI has the password that it is to have. Where somebody changed one of the two, pods and gateways would part: nothing is written until they fit again.
fn fits(
    name: &str,
    (uri_key, uri): (&str, &Sensitive),
    (password_key, password): (&str, &Sensitive),
    way_out: &str,
) -> Result<(), ValidateError> {
    // A line for each of those that are in force while one takes the place of the other.
    let in_uris = uri.expose().lines().map(|uri| account_of(uri).map(|(_, password)| password));
    if in_uris.eq(password.expose().lines().map(|password| Some(password.to_owned()))) {
        return Ok(());
    }
    // The values themselves are never shown.
    Err(ValidateError::Unmet(Problem::new(
        "SecretInvalid",
        format!(
            "Secret {name}, which the operator made, does not fit together: what is under the key {uri_key} is no URI with the password that is under the key \
             {password_key}; put the value back that was changed{way_out}"
        ),
    )))
}

/// Of two users that take turns, the one whose turn follows that of the one in `uri`.
pub(super) fn next_turn([first, second]: [&'static str; 2], uri: &str) -> &'static str {
    if account_of(uri).is_some_and(|(user, _)| user == first) { second } else { first }
}

/// The users of some URIs, a line each.
pub(super) fn users_of(uris: &[String]) -> Sensitive {
    lines(uris.iter().filter_map(|uri| account_of(uri)).map(|(user, _)| user))
}

/// Their passwords, a line each.
pub(super) fn passwords_of(uris: &[String]) -> Sensitive {
    lines(uris.iter().filter_map(|uri| account_of(uri)).map(|(_, password)| password))
}

/// What a Secret holds of several.
pub(super) fn lines(all: impl IntoIterator<Item = String>) -> Sensitive {
    Sensitive::new(all.into_iter().collect::<Vec<_>>().join("\n"))
}

/// User and password in a URI, decoded.
pub(super) fn account_of(uri: &str) -> Option<(String, String)> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (account, _) = authority.rsplit_once('@')?;
    let (user, password) = account.split_once(':')?;
    let decoded = |text| percent_decode_str(text).decode_utf8().ok().map(String::from);
    Some((decoded(user)?, decoded(password)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_of_a_uri_are_found() {
        let of = |uri: &str| account_of(uri).unwrap_or_default();
        let account = |user: &str, password: &str| (user.to_owned(), password.to_owned());
        assert_eq!(of("postgresql://u:p%40ss%2F@h:5432/d?sslmode=disable"), account("u", "p@ss/"));
        assert_eq!(of("redis://:secret@h:6379"), account("", "secret"));
        for rubbish in ["", "rubbish", "redis://h:6379", "amqp://user@h", "://"] {
            assert_eq!(account_of(rubbish), None, "{rubbish}");
        }
    }
}
