//! Whether objects that users have stay valid under today's definitions.

mod spoilt;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{paths, shell};

use spoilt::Spoilt;

/// File names of the definitions, of today's as of those in the baseline.
const DEFINITIONS: [&str; 2] = ["chatclusters.yaml", "shardrebalances.yaml"];

/// Compares today's definitions with what users may have installed; an error where one of them breaks an object, or where crdify would not notice.
pub(crate) fn run() -> Result<()> {
    let crdify = localkube::crdify(&|line| println!("{line}"))?;
    let folder = std::env::temp_dir().join(format!("chatcluster-evolution-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let outcome = DEFINITIONS.iter().try_for_each(|name| {
        keeps(&crdify, name)?;
        notices(&crdify, name, &folder)
    });
    fs::remove_dir_all(&folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    outcome
}

/// Today's definition of that name keeps valid what users have.
fn keeps(crdify: &Path, name: &str) -> Result<()> {
    let before = paths::root().join("crds/baseline").join(name);
    shell::run(compare(crdify, &before, &today(name))).with_context(|| {
        format!("{name} breaks objects that users have; keep the old fields valid, or serve a new version beside the old one")
    })
}

/// Crdify refuses definitions that break users: with a configuration under which it takes everything, the comparison above would say nothing.
fn notices(crdify: &Path, name: &str, folder: &Path) -> Result<()> {
    let path = today(name);
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    for Spoilt { how, definition, refusal } in spoilt::all(&text).with_context(|| format!("failed to spoil {name}"))? {
        let worse = folder.join(name);
        fs::write(&worse, definition).with_context(|| format!("failed to write {}", worse.display()))?;
        let (said, ended) = shell::captured(compare(crdify, &path, &worse))?;
        if ended.is_ok() {
            bail!(
                "crdify takes {name} with {how}; look at crds/baseline/crdify.yaml, which must let it refuse that:\n{said}"
            );
        }
        ensure!(
            said.contains(&format!("- {refusal} - ERROR")),
            "crdify refuses {name} with {how}, and not for {refusal}:\n{said}"
        );
        println!("{name} with {how} is refused");
    }
    Ok(())
}

fn today(name: &str) -> PathBuf {
    paths::root().join("crds/yaml").join(name)
}

fn compare(crdify: &Path, before: &Path, now: &Path) -> std::process::Command {
    let config = paths::root().join("crds/baseline/crdify.yaml").display().to_string();
    let [before, now] = [before, now].map(|path| format!("file://{}", path.display()));
    shell::command(crdify, &["--config", &config, &before, &now])
}
