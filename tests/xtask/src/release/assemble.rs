//! Puts a release's folder together: what was built, a bill of materials for each program and image, the statement of provenance, and the sums of all.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    crates::Crate,
    debian,
    facts::Facts,
    provenance::statement,
    sbom::{self, Subject},
    sums::{self, sha256_of},
};

/// File of the statement.
pub(crate) const PROVENANCE: &str = "provenance.intoto.json";
/// File of the sums, of all files but itself.
pub(crate) const SUMS: &str = "SHA256SUMS";

/// What a file is, which decides how its bill comes about.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A program of this package.
    Program(&'static str),
    /// An image with the program of this package alone.
    ProgramImage(&'static str),
    /// An image with another engine of this version.
    Engine(&'static str),
    /// A chart: it has no parts of other people's.
    Chart,
}

/// A file that was built.
#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    /// Its name in the release.
    pub(crate) name: String,
    /// Where it lies now.
    pub(crate) path: PathBuf,
    /// What it is.
    pub(crate) what: What,
}

/// Writes the release into `output`, which must be empty or absent. `crates` has those of every package that an artifact names.
///
/// # Errors
/// The folder is not empty, or a file cannot be read or written.
pub(crate) fn assemble(
    facts: &Facts,
    artifacts: &[Artifact],
    crates: &BTreeMap<&str, Vec<Crate>>,
    suite: &str,
    output: &Path,
) -> Result<()> {
    ensure_empty(output)?;
    fs::create_dir_all(output).with_context(|| format!("failed to make {}", output.display()))?;
    let mut files = Vec::new();
    for artifact in artifacts {
        let path = output.join(&artifact.name);
        fs::copy(&artifact.path, &path)
            .with_context(|| format!("failed to copy {} to {}", artifact.path.display(), path.display()))?;
        let mode = if matches!(artifact.what, What::Program(_)) { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        let sha256 = sha256_of(&path)?;
        files.push((artifact.name.clone(), sha256.clone()));
        if let Some(bill) = bill(facts, artifact, &sha256, crates, suite)? {
            let name = format!("{}.cdx.json", artifact.name);
            files.push((name.clone(), write(output, &name, &pretty(&bill)?)?));
        }
    }
    let claim = pretty(&statement(facts, &files))?;
    files.push((PROVENANCE.to_owned(), write(output, PROVENANCE, &claim)?));
    write(output, SUMS, &sums::list(&files))?;
    Ok(())
}

/// Refuses a folder with something in it, before anything is built for it.
///
/// # Errors
/// It is not empty, or cannot be read.
pub(crate) fn ensure_empty(output: &Path) -> Result<()> {
    let is_empty = match fs::read_dir(output) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(error).with_context(|| format!("failed to list {}", output.display())),
    };
    ensure!(is_empty, "{} is not empty; remove it, or name another folder with --output", output.display());
    Ok(())
}

fn bill(
    facts: &Facts,
    artifact: &Artifact,
    sha256: &str,
    crates: &BTreeMap<&str, Vec<Crate>>,
    suite: &str,
) -> Result<Option<Value>> {
    let of = |package: &str, kind| {
        let crates = crates.get(package).with_context(|| format!("nobody resolved {package}"))?;
        let subject = Subject { name: &artifact.name, kind, version: &facts.version, sha256 };
        anyhow::Ok(Some(sbom::of_crates(facts, &subject, package, crates)))
    };
    match artifact.what {
        What::Program(package) => of(package, "application"),
        What::ProgramImage(package) => of(package, "container"),
        What::Engine(version) => {
            let subject = Subject { name: &artifact.name, kind: "container", version, sha256 };
            Ok(Some(sbom::of_packages(facts, &subject, suite, &debian::packages(&artifact.path)?)))
        }
        What::Chart => Ok(None),
    }
}

fn pretty(json: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(json)? + "\n")
}

/// Writes a file; returns its SHA-256.
fn write(folder: &Path, name: &str, text: &str) -> Result<String> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(sums::sha256(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use images::{
        layer::Layer,
        oci::{Settings, write_archive},
    };

    use super::{super::PROGRAMS, *};
    use crate::{paths, release::crates::Workspace};

    fn artifacts(folder: &Path) -> Vec<Artifact> {
        let file = |name: &str, text: &str| {
            fs::write(folder.join(name), text).unwrap();
            folder.join(name)
        };
        let mut layer = Layer::default();
        layer.file("usr/share/doc/redis-server/copyright", 0o644, b"text".to_vec());
        let image = folder.join("image");
        write_archive(&image, &Settings { reference: "a/b:1".to_owned(), ..Settings::default() }, &layer).unwrap();
        let artifact = |name: &str, path: &Path, what| Artifact { name: name.to_owned(), path: path.to_owned(), what };
        let mut all = vec![
            artifact("redis-8.tar", &image, What::Engine("8")),
            artifact("chart.tgz", &file("chart", "a chart"), What::Chart),
        ];
        for program in PROGRAMS {
            let path = file(program, program);
            all.push(artifact(&format!("{program}-linux-amd64"), &path, What::Program(program)));
            all.push(artifact(&format!("{program}.tar"), &image, What::ProgramImage(program)));
        }
        all
    }

    fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
    }

    #[test]
    fn a_release_of_this_workspace_is_whole_and_the_same_twice() {
        let built = tempfile::tempdir().unwrap();
        let output = tempfile::tempdir().unwrap();
        let lock = fs::read_to_string(paths::root().join("Cargo.lock")).unwrap();
        let workspace = Workspace::read(&lock).unwrap();
        let crates: BTreeMap<&str, Vec<Crate>> =
            PROGRAMS.iter().map(|&program| (program, workspace.crates_of(program).unwrap())).collect();
        let (facts, artifacts) = (Facts::example(), artifacts(built.path()));
        let (one, two) = (output.path().join("one"), output.path().join("two"));
        for folder in [&one, &two] {
            assemble(&facts, &artifacts, &crates, "trixie", folder).unwrap();
        }
        let files = contents(&one);
        assert_eq!(files, contents(&two));
        assert_eq!(files.len(), 8 + 7 + 2, "files, bills of all but the chart, statement and sums: {:?}", files.keys());

        for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".cdx.json")) {
            assert_eq!(sbom::faults(&serde_json::from_slice(bytes).unwrap()), Vec::<String>::new(), "{name}");
        }
        let statement: Value = serde_json::from_slice(&files[PROVENANCE]).unwrap();
        for subject in statement["subject"].as_array().unwrap() {
            let bytes = &files[subject["name"].as_str().unwrap()];
            assert_eq!(subject["digest"]["sha256"], sums::sha256(bytes));
        }
        // The tool that users have, too.
        let check = Command::new("sha256sum").args(["--check", "--strict", SUMS]).current_dir(&one).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
        assert_eq!(String::from_utf8_lossy(&check.stdout).lines().count(), files.len() - 1);
        let error = assemble(&facts, &artifacts, &crates, "trixie", &one).unwrap_err().to_string();
        assert!(error.contains("--output"), "{error}");
    }

    #[test]
    fn crates_of_the_programs_have_licences_and_those_of_others_checksums() {
        let lock = fs::read_to_string(paths::root().join("Cargo.lock")).unwrap();
        let workspace = Workspace::read(&lock).unwrap();
        for program in PROGRAMS {
            let crates = workspace.crates_of(program).unwrap();
            let named = |name: &str| crates.iter().find(|own| own.name == name);
            assert!(named(program).is_some_and(|own| own.checksum.is_none()), "{program} is not in its own bill");
            assert!(named("tokio").is_some_and(|own| !own.build_only && own.checksum.is_some()), "{program}");
            assert!(named("serde_derive").is_some_and(|own| own.build_only), "{program}");
            // Of tests.
            assert!(named("insta").is_none() && named("proptest").is_none(), "{program}");
            for own in &crates {
                assert!(own.licence.is_some(), "{program}: {} names no licence", own.name);
                assert!(own.checksum.is_some() || own.version == workspace.version(program).unwrap(), "{}", own.name);
            }
        }
    }
}
