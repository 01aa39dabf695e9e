//! What the operator would change about pods that run, and the approval of it.

use anyhow::{Context as _, Result, bail};
use chat_crds::{ChatCluster, chat_cluster::PendingChanges};
use jiff::Timestamp;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    args::{Changes, Output},
    gateway::{Gateways, MANAGER},
    tables::since,
};

pub(crate) async fn run(gateways: &Gateways, Changes { cluster: name, approve, output }: &Changes) -> Result<()> {
    let cluster = gateways.cluster(name).await?;
    let pending = cluster.status.as_ref().and_then(|status| status.pending_changes.as_ref());
    if let Some(read) = approve {
        check(name, pending, read)?;
        let clusters: Api<ChatCluster> = Api::namespaced(gateways.client.clone(), &gateways.namespace);
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "spec": { "adoption": { "approvedChanges": read } } }));
        let patched = clusters.patch(name, &params, &patch).await;
        patched.with_context(|| {
            format!("ChatCluster {name} cannot be changed; the right to patch it is needed. Where Git has the last word, write spec.adoption.approvedChanges: {read} there")
        })?;
        println!(
            "changes {read} of {name} are approved, and made one part after the other; kubectl chat changes {name} shows what is left"
        );
        return Ok(());
    }
    match output {
        Output::Json => println!("{}", json!(pending)),
        Output::Table => print!("{}", text(&cluster, pending, Timestamp::now())),
    }
    Ok(())
}

/// Somebody approves of what they have read, and of nothing else.
fn check(name: &str, pending: Option<&PendingChanges>, read: &str) -> Result<()> {
    match pending {
        None => bail!("no changes of {name} wait: its pods are as its operator makes them"),
        Some(pending) if pending.hash != read => {
            bail!(
                "the changes of {name} are {}, not {read}; read them with kubectl chat changes {name}, then approve of those",
                pending.hash
            )
        }
        Some(_) => Ok(()),
    }
}

fn text(cluster: &ChatCluster, pending: Option<&PendingChanges>, now: Timestamp) -> String {
    let name = cluster.name_any();
    let Some(pending) = pending else { return format!("{name}: pods are as the operator makes them\n") };
    let PendingChanges { hash, operator_version, since: began, count, objects } = pending;
    let waits = since(began.0, now);
    let mut text = format!(
        "{name}: operator {operator_version} would change the pods of {count} objects, and has waited for {waits}\n"
    );
    for object in objects {
        text += &format!("\n{} {}\n", object.kind, object.name);
        for change in &object.changes {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(nothing)".to_owned());
            text += &format!("  {}\n    - {}\n    + {}\n", change.path, value(&change.from), value(&change.to));
        }
        if let Some(more) = object.more {
            text += &format!("  and {more} more\n");
        }
    }
    let left_out = usize::try_from(*count).unwrap_or_default().saturating_sub(objects.len());
    if left_out > 0 {
        text += &format!("\nand {left_out} more objects\n");
    }
    text + &format!("\nkubectl chat changes {name} --approve {hash} has them made, one part after the other\n")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn cluster(pending: &Value) -> ChatCluster {
        serde_json::from_value(json!({
            "apiVersion": "chatcluster.dev/v1alpha1", "kind": "ChatCluster", "metadata": { "name": "demo" },
            "spec": { "broker": { "redisPubSub": {} }, "redis": { "managed": {} }, "database": { "shards": [] } },
            "status": { "pendingChanges": pending },
        }))
        .unwrap()
    }

    #[test]
    fn changes_are_shown_as_a_difference_with_the_way_to_approve() {
        let cluster = cluster(&json!({
            "hash": "0123456789abcdef", "operatorVersion": "0.2.0", "since": "2026-01-01T00:00:00Z", "count": 3,
            "objects": [{ "kind": "StatefulSet", "name": "demo-redis", "more": 2,
                "changes": [{ "path": "spec.containers[redis].image", "from": "redis:8", "to": "redis:9" }, { "path": "spec.new", "to": "1" }] }],
        }));
        let pending = cluster.status.as_ref().unwrap().pending_changes.as_ref();
        let text = text(&cluster, pending, "2026-01-01T02:00:00Z".parse().unwrap());
        for part in [
            "operator 0.2.0 would change the pods of 3 objects",
            "\nStatefulSet demo-redis\n  spec.containers[redis].image\n    - redis:8\n    + redis:9\n  spec.new\n    - (nothing)\n    + 1\n  and 2 more\n",
            "\nand 2 more objects\n",
            "kubectl chat changes demo --approve 0123456789abcdef has them made",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(check("demo", pending, "0123456789abcdef").is_ok());
        let refused = check("demo", pending, "fedcba9876543210").unwrap_err().to_string();
        assert!(refused.contains("are 0123456789abcdef, not fedcba9876543210"), "{refused}");
        assert!(check("demo", None, "0123456789abcdef").is_err());
    }

    #[test]
    fn where_nothing_waits_it_says_so() {
        let cluster = cluster(&Value::Null);
        assert_eq!(text(&cluster, None, Timestamp::UNIX_EPOCH), "demo: pods are as the operator makes them\n");
    }
}
