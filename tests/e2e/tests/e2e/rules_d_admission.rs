//! Rules D2 and D3: the schema itself refuses what is wrong, without a webhook.

use anyhow::{Result, ensure};
use e2e::{World, world::OPERATOR_NAMESPACE};
use serde_json::Value;

use crate::rules_e_footprint::documents;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn d3_no_webhook_is_installed() -> Result<()> {
    let world = World::connect().await?;
    for name in ["chat-operator", "chat-operator-crds"] {
        let rendered = documents(&world.helm_template(name, OPERATOR_NAMESPACE, &[]).await?)?;
        ensure!(!rendered.is_empty(), "chart {name} renders nothing");
        let webhook = rendered.iter().find(|d| d["kind"].as_str().is_some_and(|kind| kind.contains("Webhook")));
        ensure!(webhook.is_none(), "{webhook:?}");
    }
    for kind in ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"] {
        let found = world.kubectl(&["get", kind, "-o", "name"]).await?;
        ensure!(!found.contains("chat"), "{found}");
    }
    Ok(())
}

/// Where a rule needs more than the object itself there would be a policy; what is there, ours or not, must be sound.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn d2_admission_policies_have_no_warnings() -> Result<()> {
    let world = World::connect().await?;
    let found: Value =
        serde_json::from_str(&world.kubectl(&["get", "validatingadmissionpolicies", "-o", "json"]).await?)?;
    let policies = found["items"].as_array().cloned().unwrap_or_default();
    let is_bad = |policy: &&Value| !policy["status"]["typeChecking"]["expressionWarnings"].is_null();
    let bad: Vec<&Value> = policies.iter().filter(is_bad).collect();
    ensure!(bad.is_empty(), "{bad:?}");
    Ok(())
}
