//! Whether objects that users have stay valid under today's definition.

use anyhow::{Context as _, Result};

use crate::{paths, shell};

pub(crate) fn run() -> Result<()> {
    let crdify = localkube::crdify(&|line| println!("{line}"))?;
    let baseline = paths::root().join("crds/baseline");
    let config = baseline.join("crdify.yaml").display().to_string();
    let before = format!("file://{}", baseline.join("chatclusters.yaml").display());
    let now = format!("file://{}", paths::root().join("crds/yaml/chatclusters.yaml").display());
    shell::run(shell::command(crdify, &["--config", &config, &before, &now])).context(
        "the definition breaks objects that users have; keep the old fields valid, or serve a new version beside the old one",
    )
}
