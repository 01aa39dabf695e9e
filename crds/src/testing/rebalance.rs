//! ShardRebalances that must be refused.

use serde_json::{Value, json};

use super::{Attempt, Refusal};

/// A ShardRebalance that is accepted, of a ChatCluster that does not exist.
#[must_use]
pub fn rebalance_base() -> Value {
    json!({
        "apiVersion": "chatcluster.dev/v1alpha1",
        "kind": "ShardRebalance",
        "metadata": { "name": "refused-rebalance" },
        "spec": { "clusterRef": { "name": "nobody" }, "moves": [{ "slots": "0-3,9", "to": "b" }], "abort": true }
    })
}

fn attempt(kind: Attempt, name: &'static str, spec: Value, message: &'static str) -> Refusal {
    let patch = Value::Object(std::iter::once(("spec".to_owned(), spec)).collect());
    Refusal { name, kind, ground: rebalance_base, patch, message }
}

pub(super) fn refusals() -> Vec<Refusal> {
    let create = |name, spec, message| attempt(Attempt::Create, name, spec, message);
    let update = |name, spec, message| attempt(Attempt::Update, name, spec, message);
    vec![
        create("a rebalance of nothing", json!({ "clusterRef": null }), "spec.clusterRef"),
        create("a rebalance of a name that is none", json!({ "clusterRef": { "name": "A" } }), "spec.clusterRef.name"),
        create("slots that are none", json!({ "moves": [{ "slots": "all", "to": "b" }] }), "spec.moves[0].slots"),
        create("a hash that is none", json!({ "approvedPlan": "yes" }), "spec.approvedPlan"),
        update(
            "a rebalance of another cluster",
            json!({ "clusterRef": { "name": "other" } }),
            "spec.clusterRef: cannot change",
        ),
        update("other moves", json!({ "moves": [{ "slots": "1", "to": "b" }] }), "spec.moves: cannot change"),
        update("moves taken out", json!({ "moves": null }), "spec.moves: cannot change"),
        update("an abort taken back", json!({ "abort": null }), "spec.abort: cannot be taken back"),
    ]
}
