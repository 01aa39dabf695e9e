//! Which Debian packages an image is made of: each leaves its licence in `/usr/share/doc/NAME/copyright`. Versions are in none of the files that images keep.

use std::{collections::BTreeSet, fs::File, io::Read, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tar::Archive;

/// Names of the packages in an OCI archive of `cargo xtask images`, sorted.
///
/// # Errors
/// The archive cannot be read, or has no image in it.
pub(crate) fn packages(archive: &Path) -> Result<Vec<String>> {
    let file = File::open(archive).with_context(|| format!("failed to open {}", archive.display()))?;
    read(file).with_context(|| format!("failed to read {}", archive.display()))
}

/// In one pass: the index names the manifest, the manifest the layers, and they come in this order.
fn read(archive: impl Read) -> Result<Vec<String>> {
    let (mut manifests, mut layers) = (BTreeSet::new(), BTreeSet::new());
    let (mut found, mut seen) = (BTreeSet::new(), 0);
    for entry in Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        if path == "index.json" {
            manifests = digests(&mut entry, "manifests")?;
        } else if let Some(digest) = path.strip_prefix("blobs/sha256/") {
            if manifests.contains(digest) {
                layers.extend(digests(&mut entry, "layers")?);
            } else if layers.contains(digest) {
                seen += 1;
                for file in Archive::new(&mut entry).entries()? {
                    found.extend(package(&file?.path()?.display().to_string()));
                }
            }
        }
    }
    ensure!(seen > 0 && seen == layers.len(), "{seen} of {} layers are there", layers.len());
    Ok(found.into_iter().collect())
}

fn digests(json: &mut impl Read, list: &str) -> Result<BTreeSet<String>> {
    let mut text = String::new();
    json.read_to_string(&mut text)?;
    let json: Value = serde_json::from_str(&text)?;
    let entries = json[list].as_array().into_iter().flatten();
    let digests = entries.filter_map(|entry| entry["digest"].as_str()?.strip_prefix("sha256:").map(str::to_owned));
    Ok(digests.collect())
}

fn package(path: &str) -> Option<String> {
    let name = path.trim_start_matches("./").strip_prefix("usr/share/doc/")?.strip_suffix("/copyright")?;
    (!name.contains('/')).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use images::{
        layer::Layer,
        oci::{Settings, write_archive},
    };

    use super::*;

    #[test]
    fn packages_are_read_out_of_an_image() {
        let folder = tempfile::tempdir().unwrap();
        let mut layer = Layer::default();
        for file in ["usr/share/doc/redis/copyright", "usr/share/doc/libc6/copyright", "usr/bin/redis-server"] {
            layer.file(file, 0o644, b"text".to_vec());
        }
        let archive = folder.path().join("image.tar");
        write_archive(&archive, &Settings { reference: "a/b:1".to_owned(), ..Settings::default() }, &layer).unwrap();
        assert_eq!(packages(&archive).unwrap(), ["libc6", "redis"]);
    }

    #[test]
    fn an_archive_without_an_image_is_refused() {
        assert!(read(std::io::empty()).is_err());
    }
}
