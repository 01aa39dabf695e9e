//! Packages of charts that are the same bytes each time: Helm writes the time of day into its own.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use flate2::{Compression, GzBuilder, read::GzDecoder};
use tar::{Archive, Builder, EntryType, Header};

use super::facts::Facts;
use crate::{paths, shell};

/// Has Helm package a chart of this repository into `folder`; returns where it lies.
///
/// # Errors
/// Helm refuses the chart, or its version is not the release's.
pub(crate) fn package(helm: &Path, chart: &str, facts: &Facts, folder: &Path) -> Result<PathBuf> {
    let source = paths::root().join("charts").join(chart);
    let args = ["package", &source.display().to_string(), "--destination", &folder.display().to_string()];
    shell::run(shell::command(helm, &args))?;
    let path = folder.join(format!("{chart}-{}.tgz", facts.version));
    ensure!(path.exists(), "charts/{chart}/Chart.yaml has another version than the workspace's {}", facts.version);
    let bytes = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let same = normalise(&bytes, facts.epoch).with_context(|| format!("failed to read {}", path.display()))?;
    fs::write(&path, same).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}

/// The same files in the same order, with the time of the commit and nobody's owner.
fn normalise(package: &[u8], epoch: u64) -> Result<Vec<u8>> {
    let mut files = Vec::new();
    for entry in Archive::new(GzDecoder::new(package)).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.push((path, bytes));
    }
    ensure!(!files.is_empty(), "an empty package");
    let mut builder = Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_mtime(epoch);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, path, bytes.as_slice())?;
    }
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gzip.write_all(&builder.into_inner()?)?;
    Ok(gzip.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packaged(mtime: u64) -> Vec<u8> {
        let mut builder = Builder::new(GzBuilder::new().comment("Helm").write(Vec::new(), Compression::fast()));
        for (path, text) in [("c/Chart.yaml", "name: c"), ("c/values.yaml", "a: 1")] {
            let mut header = Header::new_gnu();
            header.set_mode(0o600);
            header.set_mtime(mtime);
            header.set_size(text.len() as u64);
            builder.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn packages_of_two_moments_become_the_same() {
        let (one, two) = (normalise(&packaged(1), 7).unwrap(), normalise(&packaged(2), 7).unwrap());
        assert_eq!(one, two);
        let mut archive = Archive::new(GzDecoder::new(one.as_slice()));
        let mut read = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let (path, mtime) = (entry.path().unwrap().display().to_string(), entry.header().mtime().unwrap());
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            read.push((path, mtime, text));
        }
        let file = |path: &str, text: &str| (path.to_owned(), 7, text.to_owned());
        assert_eq!(read, [file("c/Chart.yaml", "name: c"), file("c/values.yaml", "a: 1")]);
    }

    #[test]
    fn what_is_no_package_is_refused() {
        assert!(normalise(b"no gzip", 0).is_err());
    }
}
