//! What somebody who helps needs to see of a ChatCluster, without what is secret.

mod redact;

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context as _, Result};
use chat_crds::{ShardRebalance, keys::label};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use serde_json::{Map, Value, json};

use self::redact::Redactor;
use crate::{
    gateway::{Gateways, said},
    seen::Seen,
    why,
};

/// Kinds of what a ChatCluster is made of.
const KINDS: [(&str, &str, &str); 13] = [
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "ReplicaSet"),
    ("apps", "v1", "StatefulSet"),
    ("batch", "v1", "CronJob"),
    ("batch", "v1", "Job"),
    ("", "v1", "Pod"),
    ("", "v1", "Service"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "Secret"),
    ("", "v1", "PersistentVolumeClaim"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("policy", "v1", "PodDisruptionBudget"),
];
/// The operator's version, on everything that it makes.
const VERSION: &str = "app.kubernetes.io/version";

/// What was read, secrets included.
struct Found {
    seen: Seen,
    kubernetes: Option<String>,
    /// By their kinds.
    objects: Vec<(&'static str, Vec<Value>)>,
    events: Vec<Value>,
    /// Those whose values must not be in the report.
    secrets: Vec<Secret>,
    /// What could not be read, and why.
    missing: Vec<String>,
}

/// Writes it to a file, or to the standard output.
pub(crate) async fn write(gateways: &Gateways, cluster: &str, output: Option<PathBuf>) -> Result<()> {
    let report = serde_json::to_string_pretty(&report(&read(gateways, cluster).await?))?;
    let Some(path) = output else {
        println!("{report}");
        return Ok(());
    };
    let shown = path.display();
    std::fs::write(&path, report + "\n").with_context(|| format!("{shown} cannot be written"))?;
    eprintln!("{shown} is written; what is secret was taken out, but read it before you hand it on");
    Ok(())
}

async fn read(gateways: &Gateways, name: &str) -> Result<Found> {
    let (client, namespace) = (&gateways.client, gateways.namespace.as_str());
    let seen = Seen::read(gateways, name).await?;
    let kubernetes = client.apiserver_version().await.ok().map(|version| version.git_version);
    let mut missing = Vec::new();
    let mut objects = Vec::new();
    let own = ListParams::default().labels(&format!("{}={name}", label::CLUSTER));
    for (group, version, kind) in KINDS {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        match api.list(&own).await {
            Ok(listed) => {
                objects.push((kind, listed.items.into_iter().map(|object| with_kind(json!(object), kind)).collect()))
            }
            Err(error) => missing.push(format!("{kind}: {}", said(&error))),
        }
    }
    let rebalances: Api<ShardRebalance> = Api::namespaced(client.clone(), namespace);
    match rebalances.list(&ListParams::default()).await {
        Ok(listed) => {
            let own = listed.items.into_iter().filter(|object| object.spec.cluster_ref.name == name);
            objects.push(("ShardRebalance", own.map(|object| json!(object)).collect()));
        }
        Err(error) => missing.push(format!("ShardRebalance: {}", said(&error))),
    }
    let mut secrets = secrets_in(&objects);
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    for named in secrets_named(&json!(seen.cluster.spec)) {
        match api.get_opt(&named).await {
            Ok(secret) => secrets.extend(secret),
            Err(error) => {
                missing.push(format!("Secret {named}, so that its values are not searched for: {}", said(&error)))
            }
        }
    }
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let events = match events.list(&ListParams::default()).await {
        Ok(listed) => {
            listed.items.into_iter().filter(|event| is_about(event, name)).map(|event| json!(event)).collect()
        }
        Err(error) => {
            missing.push(format!("Event: {}", said(&error)));
            Vec::new()
        }
    };
    Ok(Found { seen, kubernetes, objects, events, secrets, missing })
}

/// Items of a list have no kind of their own.
fn with_kind(mut object: Value, kind: &str) -> Value {
    object["kind"] = json!(kind);
    object
}

/// Whether it is about the ChatCluster or something that is named after it.
fn is_about(event: &Event, cluster: &str) -> bool {
    let name = event.involved_object.name.as_deref().unwrap_or_default();
    name.strip_prefix(cluster).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
}

fn secrets_in(objects: &[(&'static str, Vec<Value>)]) -> Vec<Secret> {
    let secrets = objects.iter().filter(|(kind, _)| *kind == "Secret").flat_map(|(_, all)| all);
    secrets.filter_map(|secret| serde_json::from_value(secret.clone()).ok()).collect()
}

/// Names of the Secrets that a spec names, wherever.
fn secrets_named(spec: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let inner: Vec<&Value> = match spec {
        Value::Object(map) => {
            let references = map.iter().filter(|(field, _)| field.ends_with("SecretRef"));
            names.extend(references.filter_map(|(_, reference)| reference["name"].as_str().map(str::to_owned)));
            map.values().collect()
        }
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    names.extend(inner.into_iter().flat_map(secrets_named));
    names
}

/// The report. Nothing goes into it but through the redactor.
fn report(found: &Found) -> Value {
    let redactor = Redactor::new(&found.secrets);
    let clean = |all: &[Value]| all.iter().map(|one| redactor.clean(one.clone())).collect::<Vec<_>>();
    let objects: Map<String, Value> =
        found.objects.iter().map(|(kind, all)| ((*kind).to_owned(), json!(clean(all)))).collect();
    let labels = found.objects.iter().flat_map(|(_, all)| all).map(|object| &object["metadata"]["labels"][VERSION]);
    let operators: BTreeSet<&str> = labels.filter_map(Value::as_str).collect();
    let about = json!({
        "name": found.seen.cluster.name_any(),
        "namespace": found.seen.cluster.namespace(),
        "made": Timestamp::now(),
        "plugin": env!("CARGO_PKG_VERSION"),
        "operator": operators,
        "kubernetes": found.kubernetes,
        "missing": found.missing,
    });
    json!({
        "report": redactor.clean(about),
        "why": redactor.clean(why::object(&found.seen)),
        "chatCluster": redactor.clean(json!(found.seen.cluster)),
        "objects": objects,
        "events": clean(&found.events),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects;

    const PASSWORD: &str = "correct-horse-battery";

    fn found() -> Found {
        let secret = json!({ "kind": "Secret", "apiVersion": "v1", "metadata": { "name": "demo-redis" },
            "data": { "password": "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5" } });
        let mut seen = objects::broken_database();
        for condition in seen.cluster.status.iter_mut().flat_map(|status| &mut status.conditions) {
            condition.message += &format!(" {PASSWORD}");
        }
        let pod = json!({ "kind": "Pod", "metadata": { "name": "demo-redis-0", "labels": { VERSION: "0.1.0" } } });
        let objects = vec![("Secret", vec![secret]), ("Pod", vec![pod])];
        Found {
            seen,
            kubernetes: Some("v1.33.1".to_owned()),
            events: vec![json!({ "note": format!("it is {PASSWORD}") })],
            secrets: secrets_in(&objects),
            objects,
            missing: vec![format!("Job: {PASSWORD} is no right")],
        }
    }

    #[test]
    fn everything_goes_through_the_redactor() {
        let text = report(&found()).to_string();
        assert!(!text.contains(PASSWORD) && !text.contains("Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"), "{text}");
    }

    #[test]
    fn a_report_says_what_is_wrong_and_of_which_versions() {
        let report = report(&found());
        assert_eq!(report["report"]["operator"], json!(["0.1.0"]));
        assert_eq!(report["report"]["kubernetes"], "v1.33.1");
        assert_eq!(report["why"]["findings"][0]["reason"], "ConnectionRefused");
        assert_eq!(report["chatCluster"]["status"]["connections"], 412);
        assert_eq!(report["objects"]["Secret"][0]["metadata"]["name"], "demo-redis");
    }

    #[test]
    fn secrets_are_found_wherever_a_spec_names_them() {
        let spec = json!({ "broker": { "rabbitmq": { "uriSecretRef": { "name": "rabbit" } } },
            "database": { "shards": [{ "name": "a", "urlSecretRef": { "name": "shard" } }] } });
        assert_eq!(secrets_named(&spec).into_iter().collect::<Vec<_>>(), ["rabbit", "shard"]);
    }

    #[test]
    fn events_of_other_clusters_are_left_out() {
        let about = |name: &str| {
            let event = json!({ "metadata": {}, "involvedObject": { "name": name } });
            is_about(&serde_json::from_value(event).unwrap(), "demo")
        };
        assert!(about("demo") && about("demo-gateway-1-x") && !about("demolition") && !about("other-demo"));
    }
}
