//! Rules D1 and D3: the schema itself refuses what is wrong, without a webhook.

use anyhow::{Result, ensure};
use e2e::{World, world::OPERATOR_NAMESPACE};

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
