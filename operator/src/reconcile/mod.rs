//! One pass over one ChatCluster: dereference, validate, build, apply, status. Each stage has its own type, so none can
//! be left out. Status is written on every outcome. Nothing here sleeps or polls.

mod admin_rotation;
mod adopt;
mod apply;
mod availability;
mod certificates;
mod conditions;
mod consult;
mod credentials;
mod credentials_rotated;
mod deadlines;
mod dereference;
mod diff;
mod drains;
mod engine_remarks;
mod expected;
mod exposed;
mod following;
mod front;
mod leaving;
mod live;
mod observed;
mod outcome;
mod plan;
mod rebalances;
mod rollout;
mod rotation;
mod server_rotation;
mod shard_rotation;
mod shards;
mod signer;
mod status;
mod validate;
mod validated;

use chat_crds::{ChatCluster, ChatClusterStatus};
use chat_gateway_config::LiveConfig;
use jiff::Timestamp;
use kube::ResourceExt;

use self::{
    adopt::Adopting,
    drains::Marker,
    rollout::{Facts, Registrar},
};
pub use self::{
    apply::{Applied, ApplyError, Hands},
    conditions::{BrokerKind, DatabaseKind, Inputs, Looked, Remarks, Shape, Verdict, conditions},
    deadlines::{Deadline, deadlines},
    dereference::{DereferenceError, Dereferenced, LockedVolume, SecretValues, referenced_secrets, secrets_of_engines},
    engine_remarks::engine_remarks,
    expected::expected_children,
    exposed::{Certificate, Expose, LoadBalancer, Tier},
    live::{Live, Wanted},
    observed::{
        BackendObserved, GatewaysObserved, Going, MigrationObserved, Observed, RolloutObserved, TierObserved, Trouble,
        observe,
    },
    outcome::{Outcome, Pass, PassError},
    plan::Obstacle,
    rebalances::{DeskError, tell_of_no_cluster},
    rotation::{Rotation, RotationStep},
    shards::ShardsSeen,
    status::{Report, StatusError, status},
    validate::{Environment, Problem, ValidateError, validate},
    validated::{
        Authorities, Backup, Broker, BrokerCredentials, BrokerEngine, Database, DeletionPolicy, Drain, EngineShard,
        Fleet, Followed, Gateways, GivenCertificate, Issuer, Kafka, KafkaEngine, KafkaServers, ManagedShard,
        PodOverlay, Redis, RedisCredentials, Restore, Sasl, SecretKey, Shard, ShardBackend, ShardCredentials,
        SigningKey, TokensKept, ValidatedCluster, Volume, Way,
    },
};
use crate::{
    audit::{self, Act, Cause},
    autoscale::{Hold, Settings},
    build::{Resources, broker_hash, build, deployment_name, is_migrated, keep, live_config, migration_name},
    context::Context,
    names::{ClusterKey, Names},
    poll::{Expected, Scaling},
    rebalance::Standing,
    sensitive::SystemEntropy,
};

/// Failures in a row to read the children after which the status says so. One restart of the API server is not news.
const UNREADABLE_AFTER: u32 = 3;

/// One pass over the ChatCluster `key`.
///
/// # Errors
/// When the status could not be brought up to date; otherwise an error is in the [`Pass`], and the status tells of it.
pub async fn reconcile(context: &Context, key: &ClusterKey) -> Result<Pass, PassError> {
    match Box::pin(attempt(context, key)).await {
        // Gone under our hands, or about to go with its namespace: no reason to try again or to complain.
        Err(error) if error.is_farewell() => {
            context.poller.forget(key);
            Ok(Pass::deleting())
        }
        result => result,
    }
}

async fn attempt(context: &Context, key: &ClusterKey) -> Result<Pass, PassError> {
    let cluster = match dereference::fetch(&context.client, key).await? {
        Some(cluster) if cluster.metadata.deletion_timestamp.is_none() => cluster,
        // While it is being deleted nothing is made: the garbage collector takes the children, and there is no finalizer.
        _ => {
            context.poller.forget(key);
            context.memory.forget(key);
            context.engines.forget(key);
            context.admitted.forget(key);
            return Ok(Pass::deleting());
        }
    };
    // On the heap: it is large, and one of many at the same time.
    Cause::of(key, &cluster).has(Box::pin(work(context, key, cluster))).await
}

/// A pass over a ChatCluster that is there to stay.
async fn work(context: &Context, key: &ClusterKey, cluster: ChatCluster) -> Result<Pass, PassError> {
    let cluster = begin(context, key, cluster).await?;
    let fetched = match dereference::dereference(context, key, cluster.clone()).await {
        Ok(fetched) => fetched,
        Err(error) => return unreadable(context, key, cluster, error).await,
    };
    let Advanced { stages, known, seen, adopting, deadlines, rotations } = advance(context, key, &fetched).await;
    let remarks = engine_remarks(&cluster, &fetched.engines);
    let (verdict, live, error) = match stages {
        Ok(resources) => {
            let Applied { live, pending, leaving } = resources.stage;
            let verdict = if cluster.spec.is_paused() {
                Verdict::Paused(pending + leaving.len())
            } else {
                outcome::applied(&leaving)
            };
            (verdict, live, None)
        }
        Err(error) if error.is_farewell() => return Err(error),
        Err(error) => {
            let mut live = fetched.live;
            live.target = known.target;
            (outcome::judge(&error), live, Some(error))
        }
    };
    if let Some(rotations) = &rotations {
        context.metrics.told.rotations(key, rotations.iter().map(|rotation| rotation.secret.clone()).collect());
    }
    let seen_by_pass = Seen {
        migration: known.migration,
        live: &live,
        shards: seen.as_ref(),
        adopting: adopting.as_ref(),
        remarks,
        deadlines,
        rotations,
    };
    let status = report(context, key, &cluster, &verdict, seen_by_pass);
    status::write(context, &cluster, &status).await?;
    let (outcome, error) = outcome::conclude(&verdict, seen.and_then(|seen| seen.again), error);
    Ok(Pass { outcome, change: Some((Box::new(cluster), Box::new(status))), error })
}

/// What a pass knows before it writes children, and may tell however it ends.
#[derive(Default)]
struct Known {
    /// Name of the gateways' Deployment that the spec leads to.
    target: Option<String>,
    /// The migration that the gateways need; an embedded database needs none.
    migration: Option<String>,
}

struct Advanced {
    stages: Result<Resources<Applied>, PassError>,
    known: Known,
    /// What was seen of the shards, if it came to that.
    seen: Option<ShardsSeen>,
    /// What keeps the template that it has, if it came to that.
    adopting: Option<Adopting>,
    /// Certificates that end, if it came to that.
    deadlines: Option<Vec<Deadline>>,
    rotations: Option<Vec<Rotation>>,
}

/// What a pass has seen.
struct Seen<'a> {
    migration: Option<String>,
    live: &'a Live,
    shards: Option<&'a ShardsSeen>,
    adopting: Option<&'a Adopting>,
    remarks: Remarks,
    deadlines: Option<Vec<Deadline>>,
    rotations: Option<Vec<Rotation>>,
}

/// Validate, build, apply.
async fn advance(context: &Context, key: &ClusterKey, fetched: &Dereferenced) -> Advanced {
    let (mut known, mut seen, mut adopting) = (Known::default(), None, None);
    let (mut deadlines, mut rotations, mut begun) = (None, None, Vec::new());
    let stages = async {
        let mut validated = validate(fetched, &context.environment, &mut SystemEntropy)?;
        let ending = deadlines.insert(deadlines::deadlines(&validated, fetched));
        let expiries = ending.iter().map(|deadline| (deadline.secret.clone(), deadline.ends));
        context.metrics.told.deadlines(key, expiries.collect());
        context.poller.meet(key, &validated.admin_token, &fetched.live.pods).await;
        let view = context.poller.view(key);
        validated.signer = signer::signer(&validated, &fetched.live, &view);
        let hands = if fetched.cluster.spec.is_paused() { Hands::Off } else { Hands::On };
        let operator = context.environment.identity.as_str();
        let kept = adopt::adopt(fetched, &mut validated, &view, operator, (hands, Timestamp::now()))?;
        begun = rotation::pending(&validated, &fetched.live);
        if hands == Hands::On {
            admin_rotation::rotate(&mut validated, &fetched.live, &view, &mut SystemEntropy)
                .map_err(ValidateError::from)?;
            server_rotation::rotate(&mut validated, &fetched.live, &view, &mut SystemEntropy)
                .map_err(ValidateError::from)?;
            // One migration after the other: what the last one was to set up is there.
            if is_migrated(&validated)? {
                shard_rotation::rotate(&mut validated, &fetched.live, &view, &mut SystemEntropy)
                    .map_err(ValidateError::from)?;
            }
        }
        rotations = Some(rotation::pending(&validated, &fetched.live));
        let kept = adopting.insert(kept);
        if let Some(change) = &kept.adopted
            && context.memory.adopts(key, change)
        {
            audit::write(Act::AdoptChange, &change.0, audit::Outcome::Done);
        }
        let target = deployment_name(&validated)?;
        known = Known { target: Some(target.clone()), migration: migration_name(&validated)? };
        let scaling = validated
            .gateways
            .autoscaling
            .clone()
            .map(|settings| scaling(settings, &target, fetched, !view.rebalancing));
        if let Some(desired) = context.poller.watch(key, &validated.admin_token, scaling) {
            validated.gateways.replicas = desired;
        }
        let (gateways, connections_per_gateway) = (validated.gateways.replicas, validated.gateways.connections);
        context.poller.expect(key, Expected { gateways, connections_per_gateway });
        context.poller.introduce(key, validated.gateways.hints.clone());
        context.poller.probe(key, front::front(&validated, &fetched.live, front::cleared(&fetched.cluster)));
        let live = roll(context, key, &mut validated, (target, fetched), hands).await?;
        let view = context.poller.view(key);
        let migration = known.migration.as_deref();
        seen = Some(Box::pin(shards::tend(context, key, fetched, &mut validated, (&view, hands), migration)).await?);
        let mut prepared = build(&validated)?;
        keep(&mut prepared, std::mem::take(&mut kept.keepsakes));
        let whose = (key, validated.uid.as_str());
        Ok(apply::apply(context, whose, prepared, live, hands).await?)
    };
    let stages = Box::pin(stages).await;
    // Where the pass did not come through, a step that was decided may not be written: what was to end has not ended.
    let rotations = if stages.is_err() { rotations.map(|_| begun) } else { rotations };
    Advanced { stages, known, seen, adopting, deadlines, rotations }
}

/// Decides how many gateways there are of which revision, and empties those that are to go; their Deployments have them until they are.
async fn roll(
    context: &Context,
    key: &ClusterKey,
    validated: &mut ValidatedCluster,
    (target, fetched): (String, &Dereferenced),
    hands: Hands,
) -> Result<Live, PassError> {
    let (now, mut live) = (Timestamp::now(), fetched.live.clone());
    let migrated = is_migrated(validated)?;
    let facts = Facts {
        broker: broker_hash(validated)?,
        wanted: validated.gateways.autoscaling.as_ref().map(|_| validated.gateways.replicas),
    };
    validated.gateways.rollout.limits.same_broker = facts.is_same_broker(&target, &live);
    // A gateway that is alone has nobody to move its clients to.
    let mut course = None;
    let view = context.poller.view(key);
    if validated.is_alone() {
        if !migrated {
            validated.gateways.kept.insert(validated.names.gateway());
        }
    } else {
        let wanted = migrated.then_some(target.as_str());
        let plan = rollout::plan(validated, wanted, &live, &view, now);
        validated.gateways.closed = i32::try_from(view.closed().count()).unwrap_or(i32::MAX);
        if hands == Hands::On {
            let namespace = key.namespace.as_str();
            Marker { context, namespace }.write(&plan, &mut live, now).await?;
            Registrar { context, namespace }.write(&plan, &mut live).await?;
            let note = plan.note.as_ref().filter(|_| migrated);
            validated.gateways.notes = facts.beside(rollout::notes(&target, note, &live, now));
            validated.gateways.replicas = plan.wanted;
            validated.gateways.kept.extend(plan.others.into_keys());
            course = plan.course;
        } else {
            // What is paused is as the spec says when nothing would be written.
            validated.gateways.notes = rollout::notes(&target, None, &live, now);
            validated.gateways.kept.extend(rollout::deployments(&live).iter().map(ResourceExt::name_any));
            validated.gateways.kept.remove(&target);
        }
        if !migrated {
            validated.gateways.kept.extend(rollout::deployments(&live).iter().map(ResourceExt::name_any));
        }
    }
    live.target = Some(target);
    context.poller.consult(key, consult::consultation(validated, &live, course.as_ref()));
    let config = LiveConfig::digest(&live_config(validated)?);
    live.wanted = Some(Wanted { config, keys: validated.signing_keys.clone() });
    context.poller.drain(
        key,
        drains::orders(&validated.gateways, &live, course, hands, view.asked),
        validated.gateways.rollout.limits,
    );
    Ok(live)
}

/// What the autoscaler is told.
fn scaling(settings: Settings, target: &str, fetched: &Dereferenced, is_calm: bool) -> Scaling {
    let mut live = fetched.live.clone();
    live.target = Some(target.to_owned());
    let gateways = observe(&Names::new(fetched.cluster.name_any()), &live).gateways;
    let hold = match &gateways {
        _ if fetched.cluster.spec.is_paused() => Hold::All,
        Some(gateways) if !gateways.one_revision => Hold::Down,
        Some(_) if !is_calm => Hold::Rebalance,
        Some(_) | None => Hold::None,
    };
    // Those that are being emptied were one too many already.
    let marked = i32::try_from(drains::marked(&fetched.live).count()).unwrap_or(i32::MAX);
    let counted = gateways.map(|gateways| gateways.desired.saturating_sub(marked));
    Scaling { settings, hold, replicas: rollout::noted_replicas(target, &fetched.live).or(counted) }
}

/// Gives a new ChatCluster all its conditions, and tells the ShardRebalances that waited for it, before the first child is written, which may take seconds.
async fn begin(context: &Context, key: &ClusterKey, mut cluster: ChatCluster) -> Result<ChatCluster, PassError> {
    if cluster.status.as_ref().is_some_and(|status| !status.conditions.is_empty()) {
        return Ok(cluster);
    }
    // First, since a ChatCluster with conditions is new no more.
    rebalances::Desk::new(context, key).say(Standing::of_new_cluster).await?;
    let remarks = Remarks::default();
    let (deadlines, rotations) = (None, None);
    let seen =
        Seen { migration: None, live: &Live::default(), shards: None, adopting: None, remarks, deadlines, rotations };
    let problem = Problem { reason: "Starting", message: "the operator has begun to work on it".to_owned() };
    let status = report(context, key, &cluster, &Verdict::Waiting(problem), seen);
    status::write(context, &cluster, &status).await?;
    cluster.status = Some(status);
    Ok(cluster)
}

fn report(
    context: &Context,
    key: &ClusterKey,
    cluster: &ChatCluster,
    verdict: &Verdict,
    Seen { migration, live, shards: seen, adopting, remarks, deadlines, rotations }: Seen<'_>,
) -> ChatClusterStatus {
    let view = context.poller.view(key);
    // Where a pass did not come to it, the image is the one that was in force before.
    let before = cluster.status.as_ref().and_then(|status| status.effective.as_ref()).map(|effective| &effective.image);
    let image = adopting.map(|adopting| &adopting.image).or(before).unwrap_or(&context.environment.images.gateway);
    let shape = Shape::of(cluster, migration, view.scaling.as_ref()).with(seen).beside(remarks);
    status(&Report {
        cluster,
        default_image: image,
        verdict,
        seen,
        pending: adopting.map(|adopting| adopting.pending.as_ref()),
        shape: &Shape { deadlines, rotations, ..shape },
        observed: &observe(&Names::new(key.name.as_str()), live),
        view: &view,
        now: Timestamp::now(),
    })
}

/// The children could not be read. The status says so only when that lasts.
async fn unreadable(
    context: &Context,
    key: &ClusterKey,
    cluster: ChatCluster,
    error: DereferenceError,
) -> Result<Pass, PassError> {
    if context.backoff.count(key) + 1 < UNREADABLE_AFTER {
        return Err(error.into());
    }
    let status = status::unreadable(&cluster, &error.to_string(), Timestamp::now());
    status::write(context, &cluster, &status).await?;
    let change = Some((Box::new(cluster), Box::new(status)));
    Ok(Pass { outcome: Outcome::Settled, change, error: Some(error.into()) })
}
