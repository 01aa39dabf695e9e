//! Two people in two tabs of the real Chromium, each served by a gateway of its own, from sign-up to the read tick.

use std::{path::Path, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use e2e::{manifest, pods::Part};

use crate::shared::{SETTLE_LIMIT, own_from};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn two_tabs_on_two_gateways_chat_from_sign_up_to_read_tick() -> Result<()> {
    // Of its own: it takes minutes, and all tests of the shared one would wait for their turn.
    let (namespace, cluster) = own_from("e2e-browser", &manifest::for_load()?).await?;
    cluster.wait_pods(Part::Gateway, 2, SETTLE_LIMIT).await?;
    let cluster = cluster.released();
    let addresses = cluster.gateway_addresses().await?;
    ensure!(addresses.len() >= 2, "two ready gateways are needed, there are {}", addresses.len());
    let urls: Vec<String> = addresses.iter().take(2).map(|address| format!("http://{address}")).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let artifacts = std::env::var_os("CHATCLUSTER_ARTIFACTS").map_or_else(|| root.join("artifacts"), Into::into);
    let web = root.join("gateway/web");
    ensure!(
        web.join("node_modules").exists(),
        "the page's packages are absent; get them with: cd gateway/web && npm ci"
    );
    let status = tokio::process::Command::new("npm")
        .args(["run", "--silent", "test:browser"])
        .current_dir(&web)
        .env("CHAT_URLS", urls.join(","))
        .env("CHAT_ARTIFACTS", &artifacts)
        .stdin(Stdio::null())
        .status()
        .await
        .context("failed to start npm; Node.js 20 is needed")?;
    ensure!(status.success(), "the browser test failed, see above");
    let picture = artifacts.join("chat.png");
    ensure!(picture.metadata().is_ok_and(|file| file.len() > 10_000), "no screenshot at {}", picture.display());
    println!("screenshots are in {}", artifacts.display());
    namespace.discard().await
}
