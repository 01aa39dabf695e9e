//! Which workloads keep the pod template that they have, although this operator would make another one; and when they get it.

use std::collections::BTreeMap;

use chat_crds::{
    ChatCluster,
    chat_cluster::{AdoptionMode, PendingChanges, PendingObject},
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::ResourceExt;
use serde_json::Value;

use super::{
    apply::Hands,
    dereference::Dereferenced,
    following,
    live::Live,
    observed, rollout,
    validated::{Pin, ValidatedCluster},
};
use crate::{
    adoption::{Decision, Lasting, Record, Rendering, decide, differences, hash_of},
    build::{self, BuildError, ChildId, Keepsake, Kind, Workload},
    hash::Hasher,
    names::{Component, annotation},
    poll::ClusterView,
    recurrence::{Recurrence, RecurrenceError},
    sensitive::Sensitive,
};

/// Objects and changes of each that the status tells.
const TOLD: usize = 16;
/// Hexadecimal digits of the hash of all changes.
const HASH_DIGITS: usize = 16;
/// Parts of `spec.gateways` of which nothing is in the pods: how many there are, how they come and go, and what they take while they run.
const NOT_IN_PODS: [&str; 11] = [
    "replicas",
    "autoscaling",
    "rollout",
    "rebalance",
    "drain",
    "limits",
    "connectionsPerGateway",
    "logLevel",
    "trustedProxies",
    "allowedOrigins",
    "expose",
];

/// What is to stand on the workloads, and what waits.
#[derive(Debug)]
pub(super) struct Adopting {
    /// By workload.
    pub(super) keepsakes: BTreeMap<ChildId, Keepsake>,
    /// What the status tells.
    pub(super) pending: Option<PendingChanges>,
    /// The one workload whose change is made now, and the hash of all changes. Of gateways it is so until their migration is done.
    pub(super) adopted: Option<(String, String)>,
    /// Image of the gateways that is in force.
    pub(super) image: String,
}

/// One workload: as it would be, which object it is now, and what becomes of it.
struct Decided {
    workload: Workload,
    id: ChildId,
    decision: Decision,
}

/// The windows of `spec.adoption`.
pub(super) fn windows(cluster: &ChatCluster, now: Timestamp) -> Result<Vec<Recurrence>, RecurrenceError> {
    Recurrence::windows("spec.adoption.windows", cluster.spec.effective_adoption().1, now)
}

/// Decides for every workload, and pins the gateways where they keep what they have. Changes that may be made are made one workload after the other.
///
/// # Errors
/// When something cannot be serialised, which no valid cluster leads to.
pub(super) fn adopt(
    fetched: &Dereferenced,
    validated: &mut ValidatedCluster,
    view: &ClusterView,
    operator: &str,
    (hands, now): (Hands, Timestamp),
) -> Result<Adopting, BuildError> {
    let spec = serde_json::to_value(&fetched.cluster.spec)?;
    let live = &fetched.live;
    let lasting =
        Lasting { config: build::lasting_hash(validated)?, inputs: gateway_inputs(&spec, validated).finish() };
    validated.gateways.followed = following::followed(live, &lasting);
    let is_followed = validated.gateways.followed.is_some();
    let decided: Vec<Decided> = build::workloads(validated)?
        .into_iter()
        .map(|workload| {
            let (operator, template) = (operator.to_owned(), workload.template.clone());
            let followed = followed(validated, &workload);
            let rendering = Rendering { operator, inputs: inputs(&spec, validated, &workload), followed, template };
            decide_one(live, workload, rendering)
        })
        .collect();
    let hash = hash(&decided);
    let mut is_free = hands == Hands::On && may_adopt(&fetched.cluster, &validated.adoption_windows, &hash, now);
    let mut keepsakes = BTreeMap::new();
    let (mut waiting, mut adopted) = (Vec::new(), None);
    for Decided { workload, id, decision } in decided {
        let is_gateways = workload.component == Component::Gateway;
        let record = match decision {
            Decision::Apply(record) => {
                is_free = is_free && is_settled(live, &id);
                let follows = || is_made(live, &id, &record) && following::say_so(&record, &live.pods, view);
                let lasting = (is_gateways && (is_followed || follows())).then(|| lasting.clone());
                Record { lasting, ..record }
            }
            Decision::Keep(record) if is_free => {
                tracing::info!(workload = %id, "what this operator makes of it is taken on");
                adopted = Some((id.to_string(), hash.clone()));
                is_free = false;
                Record {
                    operator: operator.to_owned(),
                    inputs: record.inputs,
                    followed: None,
                    template: workload.template,
                    lasting: (is_gateways && is_followed).then(|| lasting.clone()),
                    pending: None,
                }
            }
            Decision::Keep(record) => {
                let template: PodTemplateSpec = serde_json::from_value(record.template.clone())?;
                let text = record.write();
                waiting.push((id.clone(), differences(&record.template, &workload.template)));
                let kept = match workload.component {
                    Component::Gateway => {
                        pin(validated, &fetched.cluster, &id, template);
                        None
                    }
                    _ => Some(template),
                };
                keepsakes.insert(id, Keepsake { record: text, template: kept });
                continue;
            }
        };
        keepsakes.insert(workload.id, Keepsake { record: record.write(), template: None });
    }
    let pending = (!waiting.is_empty()).then(|| told(&fetched.cluster, hash, waiting, now));
    Ok(Adopting { keepsakes, pending, adopted, image: validated.images.gateway.clone() })
}

fn decide_one(live: &Live, workload: Workload, rendering: Rendering) -> Decided {
    let record = |id: &ChildId| Record::read(live.get(id)?.annotations().get(annotation::RENDERING));
    if workload.component != Component::Gateway || live.get(&workload.id).is_some() {
        let (id, before) = (workload.id.clone(), record(&workload.id));
        return Decided { workload, id, decision: decide(before.as_ref(), rendering) };
    }
    // Of several revisions it is the newest that was made of the same spec: the one that people had, or were on their way to.
    let mut revisions: Vec<Deployment> = rollout::deployments(live);
    revisions.retain(|revision| revision.metadata.deletion_timestamp.is_none());
    revisions
        .sort_by_key(|revision| std::cmp::Reverse(revision.metadata.creation_timestamp.as_ref().map(|time| time.0)));
    let known = revisions.iter().filter_map(|revision| {
        let id = ChildId::new(Kind::Deployment, &revision.name_any());
        let record = record(&id)?;
        Some((id, record))
    });
    let known: Vec<(ChildId, Record)> = known.collect();
    let of_this_spec = known.iter().find(|(_, record)| record.inputs == rendering.inputs);
    let before = of_this_spec.or(known.first());
    let decision = decide(before.map(|(_, record)| record), rendering);
    let id = match (&decision, before) {
        (Decision::Keep(_), Some((id, _))) => id.clone(),
        _ => workload.id.clone(),
    };
    Decided { workload, id, decision }
}

/// Whether the workload has the template of this record already.
fn is_made(live: &Live, id: &ChildId, record: &Record) -> bool {
    let before = live.get(id).and_then(|object| Record::read(object.annotations().get(annotation::RENDERING)));
    before.is_some_and(|before| hash_of(&before.template) == hash_of(&record.template))
}

/// The gateways stay of the revision that they are of: pods, migration and movers are of its image.
fn pin(validated: &mut ValidatedCluster, cluster: &ChatCluster, id: &ChildId, template: PodTemplateSpec) {
    let container = template.spec.iter().flat_map(|spec| &spec.containers).next();
    if let (None, Some(image)) = (&cluster.spec.image, container.and_then(|container| container.image.clone())) {
        validated.images.gateway = image;
    }
    validated.gateways.pin = Some(Pin { name: id.name.clone(), template });
}

/// Names the part of the spec, and of the Secrets, that a template is made of.
fn inputs(spec: &Value, validated: &ValidatedCluster, workload: &Workload) -> String {
    let hash = |part: &Value| Hasher::new().text(&part.to_string());
    // What a backend takes only at its start stands as a hash in its template, whichever operator made that.
    let restarts_on = workload.template["metadata"]["annotations"][annotation::CONFIG_HASH].as_str();
    match workload.component {
        Component::Broker => hash(&spec["broker"]).text(restarts_on.unwrap_or_default()),
        Component::Cache => hash(&spec["redis"]).text(restarts_on.unwrap_or_default()),
        Component::Database => {
            let shards = spec["database"]["shards"].as_array().into_iter().flatten();
            let mut of_this = shards.filter(|shard| shard["name"].as_str() == workload.shard.as_deref());
            hash(of_this.next().map_or(&Value::Null, |shard| &shard["managed"]))
        }
        Component::Balancer => {
            let gateways = &spec["gateways"];
            let parts = ["expose", "connectionsPerGateway", "trustedProxies"].map(|key| gateways[key].to_string());
            let hash = parts.iter().fold(Hasher::new(), |hash, part| hash.text(part));
            certificate(validated).fold(hash, |hash, content| hash.text(content.expose()))
        }
        _ => {
            if let Some(followed) = &validated.gateways.followed {
                return followed.inputs.clone();
            }
            let hash = gateway_inputs(spec, validated);
            let authorities = validated.oidc.iter().filter_map(|issuer| issuer.ca.as_ref());
            let hash = hash.text(validated.admin_token.expose());
            authorities.fold(hash, |hash, ca| hash.text(ca.content.expose()))
        }
    }
    .finish()
}

/// Names what pods of this operator's template follow, and those before read once: the certificate of HAProxy.
fn followed(validated: &ValidatedCluster, workload: &Workload) -> Option<String> {
    let mut contents = certificate(validated).peekable();
    let is_any = workload.component == Component::Balancer && contents.peek().is_some();
    is_any.then(|| contents.fold(Hasher::new(), |hash, content| hash.text(content.expose())).finish())
}

fn certificate(validated: &ValidatedCluster) -> impl Iterator<Item = &Sensitive> {
    let tier = validated.gateways.expose.tier();
    tier.and_then(|tier| tier.certificate.as_ref()).into_iter().flat_map(|certificate| &certificate.contents)
}

/// The part of the spec that the template of gateways is made of, without the contents of Secrets.
fn gateway_inputs(spec: &Value, validated: &ValidatedCluster) -> Hasher {
    let mut gateways = spec["gateways"].clone();
    if let Some(gateways) = gateways.as_object_mut() {
        gateways.retain(|key, _| !NOT_IN_PODS.contains(&key.as_str()));
    }
    let has_tier = validated.gateways.expose.tier().is_some().to_string();
    let (auth, database) = (&spec["auth"], &spec["database"]);
    let parts = [
        &spec["image"],
        &gateways,
        &auth["signingKeySecretRef"],
        &auth["oidc"],
        &without_sizes(&spec["broker"]),
        &without_sizes(&spec["redis"]),
        &database["slots"],
        &database["embedded"],
    ];
    parts.iter().fold(Hasher::new().text(&has_tier), |hash, part| hash.text(&part.to_string()))
}

/// What gateways need to know of a backend: not how large a managed one is.
fn without_sizes(backend: &Value) -> Value {
    match backend {
        Value::Object(fields) => {
            let seen = |(key, value): (&String, &Value)| {
                (key.clone(), if key == "managed" { Value::Bool(true) } else { without_sizes(value) })
            };
            fields.iter().map(seen).collect()
        }
        other => other.clone(),
    }
}

/// Names all that this operator makes of the spec: the same from the first change that is made to the last.
fn hash(decided: &[Decided]) -> String {
    let all = decided.iter().fold(Hasher::new(), |hash, Decided { workload, .. }| {
        let hash = if workload.component == Component::Gateway { hash } else { hash.text(&workload.id.to_string()) };
        hash.text(&hash_of(&workload.template))
    });
    let mut text = all.finish();
    text.truncate(HASH_DIGITS);
    text
}

fn may_adopt(cluster: &ChatCluster, windows: &[Recurrence], hash: &str, now: Timestamp) -> bool {
    let approved = cluster.spec.adoption.as_ref().and_then(|adoption| adoption.approved_changes.as_deref());
    let is_automatic = cluster.spec.effective_adoption().0 == AdoptionMode::Automatic;
    approved == Some(hash) || is_automatic && Recurrence::is_open(windows, now)
}

/// Whether all pods of the workload are of its template and ready.
fn is_settled(live: &Live, id: &ChildId) -> bool {
    match id.kind {
        Kind::StatefulSet => live.typed::<StatefulSet>(id.kind, &id.name).is_some_and(|set| {
            let seen = observed::backend(&set);
            seen.ready && seen.current
        }),
        _ => live.typed::<Deployment>(id.kind, &id.name).is_some_and(|deployment| observed::tier(&deployment).complete),
    }
}

fn told(
    cluster: &ChatCluster,
    hash: String,
    waiting: Vec<(ChildId, Vec<chat_crds::chat_cluster::FieldChange>)>,
    now: Timestamp,
) -> PendingChanges {
    let before = cluster.status.as_ref().and_then(|status| status.pending_changes.as_ref());
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let total = count(waiting.len());
    let objects = waiting.into_iter().take(TOLD).map(|(id, mut changes)| {
        let more = changes.len().saturating_sub(TOLD);
        changes.truncate(TOLD);
        let kind = id.kind.name().to_owned();
        PendingObject { kind, name: id.name, changes, more: (more > 0).then(|| count(more)) }
    });
    PendingChanges {
        hash,
        operator_version: env!("CARGO_PKG_VERSION").to_owned(),
        since: before.map_or(Time(now), |before| before.since.clone()),
        count: total,
        objects: objects.collect(),
    }
}
