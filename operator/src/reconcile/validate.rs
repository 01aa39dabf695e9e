//! Spec and fetched objects become a [`ValidatedCluster`], or one reason why they cannot.

mod certificates;
mod engines;
pub(super) mod expose;
mod issuers;
mod kafka;
mod rollout;
mod shard_tls;
mod strimzi;
mod ways;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chat_crds::chat_cluster as crd;
use chat_gateway_config::{LogLevel, RedisUrl, SigningKeys, Tracing};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::{
    adopt,
    credentials::Keeper,
    dereference::Dereferenced,
    leaving::{Leaving, leaving},
    observed, shards,
    validated::{
        Backup, Broker, Database, DeletionPolicy, Drain, Fleet, Gateways, ManagedShard, PodOverlay, Redis, Restore,
        SecretKey, Shard, ShardBackend, SigningKey, ValidatedCluster, Volume,
    },
};
use crate::{
    args::{Images, Labels},
    autoscale::Settings,
    build::Kind,
    drain::Tolerance,
    names::{ClusterKey, Names, key},
    rebalance::Wish,
    recurrence::Recurrence,
    sensitive::{Entropy, EntropyError, Sensitive},
};

/// What the operator itself brings to every cluster.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Images for what a spec does not name.
    pub images: Images,
    /// Namespace of the operator.
    pub operator_namespace: String,
    /// Labels of the namespace whose pods may read gateways' metrics; empty for nobody.
    pub monitoring: Labels,
    /// Names the program and what it brings: another one restarts nothing by itself.
    pub identity: String,
}

/// One reason for the condition, and a sentence with the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One CamelCase word.
    pub reason: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    pub(super) fn new(reason: &'static str, message: String) -> Self {
        Self { reason, message }
    }
}

/// The cluster cannot be built from what there is.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ValidateError {
    /// The spec is wrong; only a change of it helps.
    #[error("{}", .0.message)]
    Invalid(Problem),
    /// Something that the spec refers to is not there or not usable yet.
    #[error("{}", .0.message)]
    Unmet(Problem),
    /// No random bytes for new credentials.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// Checks the cluster and puts everything in its place.
///
/// # Errors
/// See [`ValidateError`].
pub fn validate(
    fetched: &Dereferenced,
    environment: &Environment,
    entropy: &mut dyn Entropy,
) -> Result<ValidatedCluster, ValidateError> {
    let (cluster, spec) = (&fetched.cluster, &fetched.cluster.spec);
    let names = Names::new(cluster.name_any());
    let secrets = References(fetched);
    let mut keeper = Keeper { names: &names, fetched, entropy };
    let mut images = environment.images.clone();
    if let Some(image) = &spec.image {
        images.gateway.clone_from(image);
    }
    let (signing_key, signing_pem, signing_keys) =
        match spec.auth.as_ref().and_then(|auth| auth.signing_key_secret_ref.as_ref()) {
            Some(from) => secrets.signing_key(&from.name, from.key_or_default())?,
            None => {
                let content = keeper.signing_key()?;
                let what = format!("the key {} of Secret {}", key::SIGNING_KEY, names.signing_key());
                let ids = signing_keys(&what, &content)?;
                (SigningKey::Generated(content.clone()), content, ids)
            }
        };
    let (admin_token, admin_tokens) = keeper.admin_tokens()?;
    Ok(ValidatedCluster {
        key: ClusterKey::new(cluster.namespace().unwrap_or_default(), cluster.name_any()),
        uid: cluster.uid().unwrap_or_default(),
        images,
        operator_namespace: environment.operator_namespace.clone(),
        monitoring: environment.monitoring.clone(),
        deletion_policy: match spec.effective_deletion_policy() {
            crd::DeletionPolicy::Retain => DeletionPolicy::Retain,
            crd::DeletionPolicy::Delete => DeletionPolicy::Delete,
        },
        gateways: gateways(spec, &secrets)?,
        passwords: match spec.effective_passwords() {
            crd::Passwords::Enabled => chat_gateway_config::Passwords::Enabled,
            crd::Passwords::Disabled => chat_gateway_config::Passwords::Disabled,
        },
        oidc: issuers::issuers(spec, &secrets)?,
        signing_key,
        signing_pem,
        signer: signing_keys.first().cloned().unwrap_or_default(),
        signing_keys,
        admin_token,
        admin_tokens,
        broker: broker(spec, &secrets, &mut keeper)?,
        redis: redis(spec, &secrets, &mut keeper)?,
        database: database(spec, &secrets, &mut keeper)?,
        backup: spec.database.backup.as_ref().map(backup).transpose()?,
        completed_migrations: fetched
            .live
            .all_typed::<Job>(Kind::Job)
            .into_iter()
            .filter(observed::has_completed)
            .map(|job| job.name_any())
            .collect(),
        windows: shards::windows(fetched, Timestamp::now()).map_err(|error| invalid(&error.to_string()))?,
        adoption_windows: adopt::windows(cluster, Timestamp::now()).map_err(|error| invalid(&error.to_string()))?,
        fleet: Fleet::default(),
        names,
    })
}

// The schema's rules make most of these refusals unreachable. They stay, because a schema can be older than the
// operator and because an error with a name is better than a cluster that is silently different.

fn invalid(message: &str) -> ValidateError {
    ValidateError::Invalid(Problem::new("InvalidSpec", message.to_owned()))
}

fn unsigned(field: &str, value: i32) -> Result<u32, ValidateError> {
    u32::try_from(value).map_err(|_| invalid(&format!("{field}: must not be negative; set a value of 0 or more")))
}

fn gateways(spec: &crd::ChatClusterSpec, secrets: &References<'_>) -> Result<Gateways, ValidateError> {
    let limits = spec.effective_limits();
    Ok(Gateways {
        replicas: spec.effective_replicas(),
        autoscaling: Settings::of(spec, Timestamp::now()).map_err(|error| invalid(&error.to_string()))?,
        connections: unsigned("spec.gateways.connectionsPerGateway", spec.effective_connections_per_gateway())?,
        expose: expose::expose(spec, secrets)?,
        hints: expose::hints(spec),
        limits: chat_gateway_config::Limits {
            messages_per_second: unsigned("spec.gateways.limits.messagesPerSecond", limits.messages_per_second)?,
            message_burst: unsigned("spec.gateways.limits.messageBurst", limits.message_burst)?,
            message_bytes: unsigned("spec.gateways.limits.messageBytes", limits.message_bytes)?,
            rooms_per_connection: unsigned("spec.gateways.limits.roomsPerConnection", limits.rooms_per_connection)?,
        },
        log_level: match spec.effective_log_level() {
            crd::LogLevel::Error => LogLevel::Error,
            crd::LogLevel::Warn => LogLevel::Warn,
            crd::LogLevel::Info => LogLevel::Info,
            crd::LogLevel::Debug => LogLevel::Debug,
        },
        tracing: tracing(spec)?,
        trusted_proxies: expose::proxies(spec)?,
        allowed_origins: origins(spec)?,
        drain_seconds: unsigned("spec.gateways.drainSeconds", spec.effective_drain_seconds())?,
        drain: drain(spec)?,
        tolerance: tolerance(spec)?,
        closed: 0,
        rollout: rollout::rollout(spec, secrets)?,
        kept: BTreeSet::new(),
        pin: None,
        followed: None,
        notes: BTreeMap::new(),
        overlay: overlay(spec.gateways.as_ref().and_then(|gateways| gateways.pod_template.clone()).unwrap_or_default()),
    })
}

fn tolerance(spec: &crd::ChatClusterSpec) -> Result<Option<Tolerance>, ValidateError> {
    let rebalance = spec.gateways.as_ref().and_then(|gateways| gateways.rebalance).unwrap_or_default();
    let percent = rebalance.tolerance_percent.unwrap_or(crd::DEFAULT_TOLERANCE_PERCENT);
    let excess = rebalance.min_excess.unwrap_or(crd::DEFAULT_MIN_EXCESS);
    let tolerance = Tolerance {
        percent: unsigned("spec.gateways.rebalance.tolerancePercent", percent)?,
        excess: unsigned("spec.gateways.rebalance.minExcess", excess)?,
    };
    Ok((rebalance.mode != Some(crd::RebalanceMode::Off)).then_some(tolerance))
}

/// Ids of the keys in a Secret.
fn signing_keys(what: &str, content: &Sensitive) -> Result<Vec<String>, ValidateError> {
    let keys = SigningKeys::parse(content.expose().as_bytes());
    // What runs goes on with the keys that it has.
    keys.map(|keys| keys.ids()).map_err(|error| {
        let message = format!("{what} is no use: {error}; correct the value");
        ValidateError::Unmet(Problem::new("SecretInvalid", message))
    })
}

fn drain(spec: &crd::ChatClusterSpec) -> Result<Drain, ValidateError> {
    let drain = spec.gateways.as_ref().and_then(|gateways| gateways.drain).unwrap_or_default();
    let deadline = drain.deadline_seconds.unwrap_or(crd::DEFAULT_DRAIN_DEADLINE_SECONDS);
    Ok(Drain {
        policy: spec.effective_scale_down_policy(),
        deadline: Duration::from_secs(unsigned("spec.gateways.drain.deadlineSeconds", deadline)?.into()),
        moves_per_second: drain.moves_per_second,
    })
}

fn origins(spec: &crd::ChatClusterSpec) -> Result<Vec<chat_gateway_config::AllowedOrigin>, ValidateError> {
    let origins = spec.gateways.iter().flat_map(|gateways| &gateways.allowed_origins);
    origins
        .map(|text| text.parse().map_err(|error| invalid(&format!("spec.gateways.allowedOrigins: {error}"))))
        .collect()
}

fn tracing(spec: &crd::ChatClusterSpec) -> Result<Option<Tracing>, ValidateError> {
    let Some(tracing) = spec.gateways.as_ref().and_then(|gateways| gateways.tracing.as_ref()) else { return Ok(None) };
    // No rest pattern: a new field must not be accepted and then ignored.
    let crd::Tracing { endpoint, sampling_rate_per_million } = tracing;
    let rate = sampling_rate_per_million.unwrap_or(crd::DEFAULT_SAMPLING_RATE_PER_MILLION);
    Ok(Some(Tracing {
        endpoint: endpoint.parse().map_err(|error| invalid(&format!("spec.gateways.tracing.endpoint: {error}")))?,
        sampling_rate_per_million: unsigned("spec.gateways.tracing.samplingRatePerMillion", rate)?,
    }))
}

fn overlay(template: crd::PodTemplate) -> PodOverlay {
    // No rest pattern: a new field of the template must not be accepted and then ignored.
    let crd::PodTemplate {
        labels,
        annotations,
        resources,
        node_selector,
        tolerations,
        affinity,
        topology_spread_constraints,
        priority_class_name,
    } = template;
    PodOverlay {
        labels: labels.unwrap_or_default(),
        annotations: annotations.unwrap_or_default(),
        resources,
        node_selector: node_selector.unwrap_or_default(),
        tolerations: tolerations.unwrap_or_default(),
        affinity,
        topology_spread_constraints,
        priority_class_name,
    }
}

fn broker(
    spec: &crd::ChatClusterSpec,
    secrets: &References<'_>,
    keeper: &mut Keeper<'_>,
) -> Result<Broker, ValidateError> {
    // No rest pattern: a new kind of broker must not be accepted and then ignored.
    let crd::Broker { rabbitmq, redis_pub_sub, kafka, in_process } = &spec.broker;
    match (rabbitmq, redis_pub_sub, kafka, in_process) {
        (Some(rabbitmq), None, None, None) => on_rabbitmq(rabbitmq, secrets, keeper),
        (None, Some(redis), None, None) => over_redis(redis, secrets),
        (None, None, Some(kafka), None) => Ok(Broker::Kafka(Box::new(kafka::kafka(kafka, secrets)?))),
        (None, None, None, Some(crd::InProcess {})) if spec.effective_replicas() > 1 => {
            Err(invalid("spec.gateways.replicas: spec.broker.inProcess reaches one gateway only; set replicas to 1"))
        }
        (None, None, None, Some(crd::InProcess {})) => Ok(Broker::InProcess),
        _ => Err(invalid("spec.broker: set exactly one of rabbitmq, redisPubSub, kafka and inProcess")),
    }
}

fn over_redis(redis: &crd::RedisPubSub, secrets: &References<'_>) -> Result<Broker, ValidateError> {
    // No rest pattern: a new field must not be accepted and then ignored.
    let crd::RedisPubSub { url_secret_ref, tls } = redis;
    match (url_secret_ref, tls) {
        (None, None) => Ok(Broker::SharedRedis),
        (None, Some(_)) => Err(invalid("spec.broker.redisPubSub: tls goes with urlSecretRef; remove it")),
        (Some(from), tls) => {
            let way = secrets.redis("spec.broker.redisPubSub", from, tls.as_ref(), |_| Ok(()))?;
            Ok(Broker::Redis(Box::new(way)))
        }
    }
}

fn on_rabbitmq(
    rabbitmq: &crd::RabbitMq,
    secrets: &References<'_>,
    keeper: &mut Keeper<'_>,
) -> Result<Broker, ValidateError> {
    // No rest pattern: a new field must not be accepted and then ignored.
    let crd::RabbitMq { managed, cluster_ref, virtual_host, uri_secret_ref, tls } = rabbitmq;
    if tls.is_some() && uri_secret_ref.is_none() {
        return Err(invalid("spec.broker.rabbitmq: tls goes with uriSecretRef; remove it"));
    }
    match (managed, cluster_ref, uri_secret_ref) {
        (Some(managed), None, None) => {
            Ok(Broker::Managed { credentials: keeper.broker()?, resources: managed.resources.clone() })
        }
        (None, Some(from), None) => {
            Ok(Broker::Engine(Box::new(secrets.rabbitmq_cluster(&from.name, virtual_host.as_deref())?)))
        }
        (None, None, Some(from)) => Ok(Broker::External(Box::new(secrets.rabbitmq(from, tls.as_ref())?))),
        _ => Err(invalid("spec.broker.rabbitmq: set exactly one of managed, clusterRef and uriSecretRef")),
    }
}

/// Limits and presence are kept by scripts whose keys lie in several slots of a cluster.
fn keeps_limits(url: &RedisUrl) -> Result<(), &'static str> {
    match url {
        RedisUrl::Cluster(_) => {
            Err("a Redis Cluster keeps no limits and presence; name a single Redis (redis://) or one behind \
             sentinels (redis-sentinel://) here, and the cluster in spec.broker.redisPubSub.urlSecretRef")
        }
        RedisUrl::Standalone(_) | RedisUrl::Sentinel(_) => Ok(()),
    }
}

fn redis(
    spec: &crd::ChatClusterSpec,
    secrets: &References<'_>,
    keeper: &mut Keeper<'_>,
) -> Result<Option<Redis>, ValidateError> {
    let redis = match (&spec.redis, &spec.broker.in_process) {
        (Some(redis), None) => redis,
        (None, Some(_)) => return Ok(None),
        (None, None) => {
            return Err(invalid("spec.redis: gateways that share a broker need it; set managed or urlSecretRef"));
        }
        (Some(_), Some(_)) => {
            return Err(invalid("spec.redis: is of no use with spec.broker.inProcess; remove redis"));
        }
    };
    // No rest pattern: a new field must not be accepted and then ignored.
    let crd::Redis { managed, url_secret_ref, tls } = redis;
    if tls.is_some() && url_secret_ref.is_none() {
        return Err(invalid("spec.redis: tls goes with urlSecretRef; remove it"));
    }
    match (managed, url_secret_ref) {
        (Some(managed), None) => {
            Ok(Some(Redis::Managed { credentials: keeper.redis()?, resources: managed.resources.clone() }))
        }
        (None, Some(from)) => {
            Ok(Some(Redis::External(Box::new(secrets.redis("spec.redis", from, tls.as_ref(), keeps_limits)?))))
        }
        _ => Err(invalid("spec.redis: set exactly one of managed and urlSecretRef")),
    }
}

fn database(
    spec: &crd::ChatClusterSpec,
    secrets: &References<'_>,
    keeper: &mut Keeper<'_>,
) -> Result<Database, ValidateError> {
    match (spec.database.shards(), &spec.database.embedded) {
        ([], None) => Err(invalid("spec.database.shards: name at least one shard, or set embedded")),
        ([], Some(_)) if spec.broker.in_process.is_none() => Err(invalid(
            "spec.database.embedded: the file belongs to one gateway; set spec.broker to inProcess: {}, or use shards",
        )),
        ([], Some(embedded)) => Ok(Database::Embedded(volume(&embedded.storage))),
        (_, Some(_)) => Err(invalid("spec.database: set exactly one of shards and embedded")),
        (list, None) => {
            if let Some((slot, one, other)) = Wish::contested(spec) {
                return Err(invalid(&format!(
                    "spec.database.shards: rooms of shard {one} and of shard {other} are both in slot {slot}; name both rooms at one of the two"
                )));
            }
            let here = list.iter().map(|one| shard(one, secrets, keeper));
            let mut shards: Vec<Shard> = here.collect::<Result<_, _>>()?;
            for one in leaving(&secrets.0.cluster).filter(|shard| !shard.released) {
                shards.push(leaving_shard(&one, secrets, keeper)?);
            }
            one_backup(&shards)?;
            // Another order in the spec is no other database.
            shards.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(Database::Shards { slots: unsigned("spec.database.slots", spec.effective_slots())?, shards })
        }
    }
}

/// Shards of different backups would disagree about whose a slot is, and about rooms and people of more than one of them.
fn one_backup(shards: &[Shard]) -> Result<(), ValidateError> {
    let restored = shards.iter().filter_map(|shard| match &shard.backend {
        ShardBackend::Managed(managed) => managed.restore.as_ref().map(|restore| (&shard.name, restore)),
        ShardBackend::Engine(_) | ShardBackend::External { .. } => None,
    });
    let restored: Vec<_> = restored.collect();
    match restored.windows(2).find(|pair| pair[0].1 != pair[1].1) {
        None => Ok(()),
        Some(pair) => Err(invalid(&format!(
            "spec.database.shards: managed.restore of shards {} and {} name different backups, which do not fit together; name one backup at both",
            pair[0].0, pair[1].0
        ))),
    }
}

fn backup(backup: &crd::ShardBackup) -> Result<Backup, ValidateError> {
    let (cron, zone) = (&backup.cron, backup.time_zone.as_deref());
    Recurrence::read("spec.database.backup", (cron, zone), 1, Timestamp::now())
        .map_err(|error| invalid(&error.to_string()))?;
    Ok(Backup {
        cron: cron.clone(),
        time_zone: zone.unwrap_or("UTC").to_owned(),
        keep: backup.effective_keep(),
        claim: backup.persistent_volume_claim.claim_name.clone(),
    })
}

/// A shard that is being left. Its children exist, and stay as they are.
fn leaving_shard(
    leaving: &Leaving<'_>,
    secrets: &References<'_>,
    keeper: &mut Keeper<'_>,
) -> Result<Shard, ValidateError> {
    let name = leaving.name.to_owned();
    let standbys = u32::try_from(leaving.standbys.unwrap_or_default()).unwrap_or_default();
    let backend = match (leaving.secret, leaving.cloud_native_pg) {
        (Some(from), _) => secrets.shard(&name, from, leaving.tls)?,
        (None, Some(of)) => {
            let (engine, instances) = secrets.postgres_cluster(&name, of)?;
            let standbys = leaving.standbys.map_or(instances, |_| standbys);
            return Ok(Shard { name, is_leaving: true, standbys, backend: ShardBackend::Engine(Box::new(engine)) });
        }
        (None, None) => ShardBackend::Managed(Box::new(ManagedShard {
            credentials: keeper.leaving_shard(&name)?,
            volume: Volume { size: String::new(), storage_class: None },
            resources: None,
            restore: None,
        })),
    };
    Ok(Shard { name, is_leaving: true, standbys, backend })
}

fn shard(shard: &crd::Shard, secrets: &References<'_>, keeper: &mut Keeper<'_>) -> Result<Shard, ValidateError> {
    // No rest pattern: a new field must not be accepted and then ignored.
    let crd::Shard { name, weight: _, standbys, rooms: _, managed, cloud_native_pg, url_secret_ref, tls } = shard;
    if tls.is_some() && url_secret_ref.is_none() {
        return Err(invalid("spec.database.shards: tls goes with urlSecretRef; remove it"));
    }
    let mut may_be_promoted = 0;
    let backend = match (managed, cloud_native_pg, url_secret_ref) {
        (Some(managed), None, None) => ShardBackend::Managed(Box::new(ManagedShard {
            credentials: keeper.shard(name)?,
            volume: volume(&managed.storage),
            resources: managed.resources.clone(),
            restore: managed.restore.as_ref().map(|restore| Restore {
                claim: restore.persistent_volume_claim.claim_name.clone(),
                backup: restore.backup.clone(),
            }),
        })),
        (None, Some(of), None) => {
            let (engine, standbys) = secrets.postgres_cluster(name, of)?;
            may_be_promoted = standbys;
            ShardBackend::Engine(Box::new(engine))
        }
        (None, None, Some(from)) => secrets.shard(name, from, tls.as_ref())?,
        _ => {
            return Err(invalid(
                "spec.database.shards: each shard has exactly one of managed, cloudNativePG and urlSecretRef",
            ));
        }
    };
    let standbys = match standbys {
        Some(standbys) => unsigned("spec.database.shards.standbys", *standbys)?,
        None => may_be_promoted,
    };
    Ok(Shard { name: name.clone(), is_leaving: false, standbys, backend })
}

fn volume(storage: &crd::Storage) -> Volume {
    Volume { size: storage.size.clone(), storage_class: storage.storage_class_name.clone() }
}

/// The Secrets that the spec refers to.
struct References<'a>(&'a Dereferenced);

impl References<'_> {
    fn get(&self, field: &str, at: &SecretKey) -> Result<Sensitive, ValidateError> {
        let SecretKey { secret, key } = at;
        let values = self.0.secrets.get(secret).and_then(Option::as_ref).ok_or_else(|| {
            let message =
                format!("{field}: Secret {secret} does not exist in this namespace; make it with the key {key}");
            ValidateError::Unmet(Problem::new("SecretNotFound", message))
        })?;
        values.get(key).cloned().ok_or_else(|| {
            let message =
                format!("{field}: Secret {secret} has no text under the key {key}; add it or name another key");
            ValidateError::Unmet(Problem::new("SecretKeyNotFound", message))
        })
    }

    fn uri(&self, field: &str, at: &SecretKey, schemes: &[&str]) -> Result<Sensitive, ValidateError> {
        let uri = self.get(field, at)?;
        if schemes.iter().any(|scheme| uri.expose().starts_with(scheme)) {
            return Ok(uri);
        }
        // The value itself is never shown: it holds a password.
        let message = format!(
            "{field}: the key {} of Secret {} must start with {}; correct the value",
            at.key,
            at.secret,
            schemes.join(" or ")
        );
        Err(ValidateError::Unmet(Problem::new("SecretInvalid", message)))
    }

    fn signing_key(&self, secret: &str, name: &str) -> Result<(SigningKey, Sensitive, Vec<String>), ValidateError> {
        let field = "spec.auth.signingKeySecretRef";
        let from = SecretKey { secret: secret.to_owned(), key: name.to_owned() };
        let content = self.get(field, &from)?;
        let ids = signing_keys(&format!("{field}: the key {name} of Secret {secret}"), &content)?;
        Ok((SigningKey::Given(from), content, ids))
    }

    fn shard(
        &self,
        name: &str,
        from: &crd::ShardSecretRef,
        tls: Option<&crd::ShardTls>,
    ) -> Result<ShardBackend, ValidateError> {
        const FIELD: &str = "spec.database.shards.urlSecretRef";
        const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];
        let at = |key: &str| SecretKey { secret: from.name.clone(), key: key.to_owned() };
        let uri = at(from.key_or_default());
        let content = self.uri(FIELD, &uri, &SCHEMES)?;
        let mut migration_uri = at(from.migration_key_or_default());
        let migration_content = match (&from.migration_key, self.uri(FIELD, &migration_uri, &SCHEMES)) {
            (_, Ok(content)) => content,
            // A key that was named must be there; the default one need not.
            (None, Err(ValidateError::Unmet(Problem { reason: "SecretKeyNotFound", .. }))) => {
                migration_uri = uri.clone();
                content.clone()
            }
            (_, Err(error)) => return Err(error),
        };
        let contents = [content, migration_content];
        match tls {
            None => Ok(ShardBackend::External { uri, migration_uri, contents }),
            Some(tls) => {
                let engine = self.with_certificates(name, [&uri, &migration_uri], &contents, tls)?;
                Ok(ShardBackend::Engine(Box::new(engine)))
            }
        }
    }
}
