//! Every example of the docs is accepted by a real API server: types, unknown fields and CEL rules alike.

use std::collections::HashSet;

use anyhow::{Context as _, Result, ensure};
use e2e::{Namespace, World, manifest};

const NAMESPACE: &str = "e2e-examples";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn every_example_is_accepted_without_a_warning() -> Result<()> {
    let world = World::connect().await?;
    let namespace = Namespace::ensure(&world, NAMESPACE).await?;
    let examples = manifest::examples()?;
    ensure!(examples.len() >= 5, "only {examples:?}");
    let mut made = HashSet::new();
    for path in examples {
        let file = path.to_str().context("a path that is no text")?;
        // In two ways: as people do, where kubectl itself looks for unknown fields, and as tools do.
        for way in [["--validate=strict"].as_slice(), &["--server-side", "--field-manager=docs"]] {
            let args = [["apply", "-n", NAMESPACE, "--dry-run=server", "-f", file].as_slice(), way].concat();
            let printed = world.kubectl_any(&args, None).await?;
            ensure!(printed.success && printed.err.is_empty(), "{file}: {}{}", printed.out, printed.err);
            made.insert(printed.out.split_whitespace().next().unwrap_or_default().to_owned());
        }
    }
    ensure!(made.iter().all(|title| title.starts_with("chatcluster.chatcluster.dev/")), "{made:?}");
    namespace.discard().await
}
