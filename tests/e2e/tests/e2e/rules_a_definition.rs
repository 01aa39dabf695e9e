//! Rules A1, A3b, A9, A16 and E5 as far as only a real API server can tell; the others are checked on the definition itself, in `crds`.

use std::path::Path;

use anyhow::{Result, ensure};
use e2e::World;
use serde_json::Value;

use crate::shared::shared;

const NAME: &str = "crd/chatclusters.chatcluster.dev";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a1_the_schema_is_structural_and_its_names_are_accepted() -> Result<()> {
    let world = World::connect().await?;
    world.kubectl(&["wait", NAME, "--for=condition=Established", "--timeout=10s"]).await?;
    let definition: Value = serde_json::from_str(&world.kubectl(&["get", NAME, "-o", "json"]).await?)?;
    let conditions = definition["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let bad = conditions.iter().find(|condition| condition["type"] == "NonStructuralSchema");
    ensure!(bad.is_none(), "{bad:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a3b_the_scale_subresource_has_a_selector() -> Result<()> {
    let cluster = shared().await?;
    let path =
        format!("/apis/chatcluster.dev/v1alpha1/namespaces/{}/chatclusters/{}/scale", cluster.namespace, cluster.name);
    let scale: Value = serde_json::from_str(&cluster.world.kubectl(&["get", "--raw", &path]).await?)?;
    ensure!(scale["status"]["selector"].as_str().is_some_and(|selector| !selector.is_empty()), "{scale}");
    ensure!(scale["status"]["replicas"] == 2, "{scale}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn a9_a16_a_client_side_apply_of_the_definition_works_without_a_warning() -> Result<()> {
    let world = World::connect().await?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds/yaml/chatclusters.yaml");
    // A name of its own: the installed definition belongs to Helm.
    let text =
        std::fs::read_to_string(file)?.replace("chatclusters", "probeclusters").replace("ChatCluster", "ProbeCluster");
    let text = text.replace("singular: chatcluster", "singular: probecluster").replace("    - cc\n", "    - pc\n");
    let printed = world.kubectl_any(&["apply", "--dry-run=server", "-f", "-"], Some(&text)).await?;
    ensure!(printed.success, "{}{}", printed.out, printed.err);
    ensure!(!printed.err.contains("Warning"), "{}", printed.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn e5_one_version_is_stored() -> Result<()> {
    let world = World::connect().await?;
    for name in [NAME, "crd/shardrebalances.chatcluster.dev"] {
        let definition: Value = serde_json::from_str(&world.kubectl(&["get", name, "-o", "json"]).await?)?;
        let versions = definition["spec"]["versions"].as_array().cloned().unwrap_or_default();
        let stored = versions.iter().filter(|version| version["storage"] == true).map(|version| &version["name"]);
        ensure!(
            definition["status"]["storedVersions"] == stored.cloned().collect::<Value>(),
            "{}",
            definition["status"]
        );
        ensure!(definition["status"]["storedVersions"].as_array().map(Vec::len) == Some(1), "{}", definition["status"]);
    }
    Ok(())
}
