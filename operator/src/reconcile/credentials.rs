//! Credentials that the operator keeps: those in an existing Secret as they are, else new ones. Never both.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::{
    dereference::{Dereferenced, LockedVolume},
    validate::{Problem, ValidateError},
    validated::{BrokerCredentials, RedisCredentials, ShardCredentials},
};
use crate::{
    build::Kind,
    names::{Names, key, label, port},
    sensitive::{Entropy, Sensitive, uri_part},
};

/// User that managed RabbitMQ is given.
const RABBITMQ_USER: &str = "chat";
/// Role that gateways use in a managed shard.
const GATEWAY_ROLE: &str = "chat_gateway";

/// Finds or makes the credentials of one cluster.
pub(super) struct Keeper<'a> {
    pub(super) names: &'a Names,
    pub(super) fetched: &'a Dereferenced,
    pub(super) entropy: &'a mut dyn Entropy,
}

impl Keeper<'_> {
    pub(super) fn admin_token(&mut self) -> Result<Sensitive, ValidateError> {
        match self.existing(&self.names.admin_token(), [key::TOKEN])? {
            Some([token]) => Ok(token),
            None => Ok(self.entropy.password()?),
        }
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
            return Ok(BrokerCredentials { username, password, uri });
        }
        let password = self.entropy.password()?;
        let secret = uri_part(password.expose());
        let uri = Sensitive::new(format!("amqp://{RABBITMQ_USER}:{secret}@{name}:{}/%2f", port::RABBITMQ));
        Ok(BrokerCredentials { username: Sensitive::new(RABBITMQ_USER), password, uri })
    }

    pub(super) fn redis(&mut self) -> Result<RedisCredentials, ValidateError> {
        let name = self.names.redis();
        if let Some([password, url]) = self.existing(&name, [key::PASSWORD, key::URL])? {
            return Ok(RedisCredentials { password, url });
        }
        let password = self.entropy.password()?;
        let url = Sensitive::new(format!("redis://:{}@{name}:{}", uri_part(password.expose()), port::REDIS));
        Ok(RedisCredentials { password, url })
    }

    pub(super) fn shard(&mut self, shard: &str) -> Result<ShardCredentials, ValidateError> {
        let name = self.names.shard(shard);
        let keys = [key::PASSWORD, key::GATEWAY_PASSWORD, key::URI, key::MIGRATION_URI];
        if let Some([password, gateway_password, uri, migration_uri]) = self.existing(&name, keys)? {
            return Ok(ShardCredentials { password, gateway_password, uri, migration_uri });
        }
        self.refuse_locked_volume(shard, &name)?;
        let (password, gateway_password) = (self.entropy.password()?, self.entropy.password()?);
        let uri = |role: &str, password: &Sensitive| {
            let secret = uri_part(password.expose());
            Sensitive::new(format!("postgresql://{role}:{secret}@{name}:{}/postgres?sslmode=disable", port::POSTGRESQL))
        };
        let (uri, migration_uri) = (uri(GATEWAY_ROLE, &gateway_password), uri("postgres", &password));
        Ok(ShardCredentials { password, gateway_password, uri, migration_uri })
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
        // A Secret of that name that is not ours is refused when the plan is made; its values do not matter here.
        if !secret.labels().contains_key(label::CLUSTER) {
            return Ok(None);
        }
        let values = super::dereference::values(&secret);
        let mut found = Vec::with_capacity(N);
        for key in keys {
            // Making a new value in place of a lost one could lock everybody out of existing data: a person decides.
            let value = values.get(key).filter(|value| !value.expose().is_empty());
            found.push(value.cloned().ok_or_else(|| lost(name, key))?);
        }
        Ok(<[Sensitive; N]>::try_from(found).ok())
    }
}

fn lost(name: &str, key: &str) -> ValidateError {
    ValidateError::Unmet(Problem::new(
        "SecretKeyNotFound",
        format!(
            "Secret {name}, which the operator made, has no text under the key {key}; put the value back, or delete \
             the Secret to have new credentials made"
        ),
    ))
}
