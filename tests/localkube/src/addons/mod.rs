//! What every cluster has from the start: a name server and a default StorageClass.

use std::process::Command;

use crate::{
    binaries::DNS_IMAGE,
    command::{self, CommandError},
    config::ClusterConfig,
    files::{self, FileError},
    layout::Layout,
    settings,
};

const MANIFESTS: &[(&str, &str)] =
    &[("dns.yaml", include_str!("dns.yaml")), ("storage.yaml", include_str!("storage.yaml"))];

/// An object that could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddonError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// Makes the objects, or brings them back to what they should be.
pub(crate) fn apply(config: &ClusterConfig, layout: &Layout, kubectl: impl Fn() -> Command) -> Result<(), AddonError> {
    for (name, manifest) in MANIFESTS {
        let path = layout.settings().join(name);
        let manifest = manifest.replace("{{dns-image}}", DNS_IMAGE);
        files::write(&path, &settings::fill(&manifest, config, layout))?;
        let arguments = ["apply", "--server-side", "--force-conflicts", "--filename"];
        command::output(kubectl().args(arguments).arg(&path))?;
    }
    Ok(())
}
