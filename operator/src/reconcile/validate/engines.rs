//! Engines that other operators run: where they are, and how one signs in, taken from their own objects and Secrets.

use chat_crds::chat_cluster as crd;
use kube::ResourceExt as _;
use serde::de::DeserializeOwned;

use super::{
    Problem, References, SecretKey, ValidateError, expose::KIND_NOT_SERVED, invalid, shard_tls::pem_parameter,
};
use crate::{
    engines::{EngineId, Found, PostgresCluster, RabbitCluster},
    names::{key, port},
    reconcile::{
        engine_remarks::not_ready,
        validated::{BrokerEngine, EngineShard},
    },
    sensitive::{Sensitive, uri_part},
};

/// The port of AMQP in TLS; the operator of RabbitMQ takes no other.
const AMQPS: &str = "5671";
/// That without TLS.
const AMQP: &str = "5672";
/// The virtual host that every RabbitMQ has.
const VIRTUAL_HOST: &str = "/";

impl References<'_> {
    /// The way to a shard's database in a Cluster of CloudNativePG, and how many of the Cluster's instances may be promoted.
    pub(super) fn postgres_cluster(
        &self,
        shard: &str,
        of: &crd::CloudNativePg,
    ) -> Result<(EngineShard, u32), ValidateError> {
        // No rest pattern: a new field must not be accepted and then ignored.
        let crd::CloudNativePg { cluster_ref: from, database, owner_secret_ref, gateway_secret_ref } = of;
        let (field, id) = (format!("spec.database.shards[{shard}].cloudNativePG"), EngineId::of_shard(of));
        let cluster: PostgresCluster = self.engine(&format!("{field}.clusterRef"), &id)?;
        let trouble = cluster.trouble();
        if !cluster.has_begun() {
            // The migration would wait for a server that may need much longer than it has patience.
            return Err(waits(
                &format!("{field}.clusterRef"),
                &id,
                trouble.as_deref().unwrap_or("it has no primary yet"),
            ));
        }
        let reader = Reader { references: self, id: &id, trouble: trouble.as_deref() };
        let owner = match owner_secret_ref {
            Some(from) => reader.login(&format!("{field}.ownerSecretRef"), &from.name)?,
            None => reader.login(&format!("{field}.clusterRef"), &cluster.application_secret(&from.name))?,
        };
        let gateway = match gateway_secret_ref {
            Some(from) => reader.login(&format!("{field}.gatewaySecretRef"), &from.name)?,
            None => owner.clone(),
        };
        let database = match database.as_deref().or(cluster.application_database()) {
            Some(database) => database.to_owned(),
            None => reader.application_database(&field, &cluster.application_secret(&from.name))?,
        };
        let ca = reader.authorities(&format!("{field}.clusterRef"), &cluster.ca_secret(&from.name))?;
        let host = format!("{}.{}.svc:{}", cluster.write_service(&from.name), self.namespace(), port::POSTGRESQL);
        let place = |login: &Login| {
            let (user, password) = (uri_part(login.username.expose()), uri_part(login.password.expose()));
            format!("postgresql://{user}:{password}@{host}/{}?sslmode=verify-full", uri_part(&database))
        };
        let places = [place(&gateway), place(&owner)];
        let whole = |place: &String| Sensitive::new(format!("{place}{}", pem_parameter("sslrootcert", &ca)));
        let [uri, migration_uri] = [whole(&places[0]), whole(&places[1])];
        Ok((
            EngineShard { uri, migration_uri, places: places.map(Sensitive::new), certificates: Vec::new() },
            cluster.standbys(),
        ))
    }

    /// The way to a RabbitmqCluster.
    pub(super) fn rabbitmq_cluster(
        &self,
        name: &str,
        virtual_host: Option<&str>,
    ) -> Result<BrokerEngine, ValidateError> {
        const FIELD: &str = "spec.broker.rabbitmq.clusterRef";
        let id = EngineId::rabbitmq(name);
        let cluster: RabbitCluster = self.engine(FIELD, &id)?;
        let trouble = cluster.trouble();
        let reader = Reader { references: self, id: &id, trouble: trouble.as_deref() };
        let Some(user) = cluster.default_user() else {
            return Err(waits(FIELD, &id, trouble.as_deref().unwrap_or("it has no Secret with a default user")));
        };
        let value = |key: &str| reader.value(FIELD, &SecretKey { secret: user.secret.clone(), key: key.to_owned() });
        let (username, password) = (value(&user.username)?, value(&user.password)?);
        let ca = match (cluster.named_ca_secret(), cluster.ca_secret()) {
            (Some(named), Some(_)) => Some(reader.authorities(FIELD, named)?),
            // Who issues certificates may have put them beside the certificate. Otherwise those that browsers trust have to do.
            (None, Some(certificate)) if self.has(certificate, key::CA) => {
                Some(reader.authorities(FIELD, certificate)?)
            }
            _ => None,
        };
        let (scheme, port) = if cluster.certificate_secret().is_some() { ("amqps", AMQPS) } else { ("amqp", AMQP) };
        let (username, password) = (uri_part(username.expose()), uri_part(password.expose()));
        let virtual_host = virtual_host.unwrap_or(VIRTUAL_HOST);
        let host = format!("{}.{}.svc", cluster.service(name), self.namespace());
        let uri = format!("{scheme}://{username}:{password}@{host}:{port}/{}", uri_part(virtual_host));
        Ok(BrokerEngine { place: format!("{id} {virtual_host}"), uri: Sensitive::new(uri), ca })
    }

    /// What is read of an engine, or why there is none.
    pub(super) fn engine<View: DeserializeOwned + Default>(
        &self,
        field: &str,
        id: &EngineId,
    ) -> Result<View, ValidateError> {
        let (kind, group) = (id.kind.name(), id.kind.api_version());
        let found = self.0.engines.get(id).unwrap_or(&Found::Nothing);
        found.read().ok_or_else(|| {
            let (reason, message) = match found {
                Found::NotServed => (
                    KIND_NOT_SERVED,
                    format!(
                        "{field}: this Kubernetes does not serve {kind} of {group}; install {}, or use addresses and Secrets of your own",
                        id.kind.operator()
                    ),
                ),
                Found::Nothing | Found::There(_) => (
                    "ClusterNotFound",
                    format!(
                        "{field}: there is no {kind} {} of {group} in this namespace; make it, or correct the name",
                        id.name
                    ),
                ),
            };
            ValidateError::Unmet(Problem::new(reason, message))
        })
    }

    pub(super) fn namespace(&self) -> String {
        self.0.cluster.namespace().unwrap_or_default()
    }

    pub(super) fn cluster_name(&self) -> String {
        self.0.cluster.name_any()
    }

    fn has(&self, secret: &str, key: &str) -> bool {
        self.0.secrets.get(secret).and_then(Option::as_ref).is_some_and(|values| values.contains_key(key))
    }
}

/// Who signs in.
#[derive(Clone)]
struct Login {
    username: Sensitive,
    password: Sensitive,
}

/// Reads Secrets of one engine.
pub(super) struct Reader<'a> {
    pub(super) references: &'a References<'a>,
    pub(super) id: &'a EngineId,
    /// Why the engine is not ready, if it is not.
    pub(super) trouble: Option<&'a str>,
}

impl Reader<'_> {
    /// A value that its operator may have yet to make, as long as the engine is not ready.
    pub(super) fn value(&self, field: &str, at: &SecretKey) -> Result<Sensitive, ValidateError> {
        self.references.get(field, at).map_err(|error| match (error, self.trouble) {
            (ValidateError::Unmet(Problem { reason: "SecretNotFound", message }), Some(trouble)) => {
                let message = format!("{message}; {}", not_ready(self.id, trouble));
                ValidateError::Unmet(Problem::new("ClusterNotReady", message))
            }
            (error, _) => error,
        })
    }

    fn login(&self, field: &str, secret: &str) -> Result<Login, ValidateError> {
        let value = |key: &str| self.value(field, &SecretKey { secret: secret.to_owned(), key: key.to_owned() });
        Ok(Login { username: value(key::USERNAME)?, password: value(key::PASSWORD)? })
    }

    pub(super) fn authorities(&self, field: &str, secret: &str) -> Result<Sensitive, ValidateError> {
        let at = SecretKey { secret: secret.to_owned(), key: key::CA.to_owned() };
        let content = self.value(field, &at)?;
        self.references.pem(field, &at, content)
    }

    /// The application's database, as the Secret of its user has it.
    fn application_database(&self, field: &str, secret: &str) -> Result<String, ValidateError> {
        let at = SecretKey { secret: secret.to_owned(), key: key::DATABASE.to_owned() };
        match self.value(field, &at) {
            Ok(database) => Ok(database.expose().to_owned()),
            Err(ValidateError::Unmet(Problem { reason: "SecretKeyNotFound", .. })) => Err(invalid(&format!(
                "{field}.database: neither {} nor Secret {secret} says which its application's database is; set the field",
                self.id
            ))),
            Err(error) => Err(error),
        }
    }
}

/// The engine is not so far; its own operator's words are in the message.
pub(super) fn waits(field: &str, id: &EngineId, trouble: &str) -> ValidateError {
    ValidateError::Unmet(Problem::new("ClusterNotReady", format!("{field}: {}", not_ready(id, trouble))))
}
