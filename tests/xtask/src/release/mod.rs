//! `cargo xtask release`: what a release consists of, with what others need to check it, in one folder.

mod assemble;
mod chart;
mod crates;
mod debian;
mod facts;
mod provenance;
mod sbom;
mod sums;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use images::{BuildOptions, backends, build_backend, build_program, cache_dir, debian::SUITE, elf, programs::Program};
use localkube::{Binaries, Prerequisites};

use self::{
    assemble::{Artifact, What, assemble, ensure_empty},
    crates::{Crate, TARGET, Workspace},
    facts::Facts,
};
use crate::{paths, shell};

/// The programs that users get, by package and binary; the mover is in the gateway.
pub(crate) const PROGRAMS: [&str; 3] = ["chat-gateway", "chat-operator", "kubectl-chat"];
/// Those with an image.
const IMAGES: [Program; 2] = [Program::Gateway, Program::Operator];
const CHARTS: [&str; 2] = ["chat-operator-crds", "chat-operator"];
/// Appended to names of programs.
const PLATFORM: &str = "linux-amd64";

/// Makes a release: programs, images, charts, bills of materials, a statement of provenance, and their sums. Nothing is signed and nothing is published.
#[derive(Debug, clap::Args)]
pub(crate) struct Release {
    /// Folder to write, which must be empty or absent; `artifacts/release/VERSION` unless named.
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Where the source is to be had, such as `https://git.example/chat`, for the statement of provenance.
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
}

impl Release {
    pub(crate) fn run(self) -> Result<()> {
        let lock = paths::root().join("Cargo.lock");
        let lock = fs::read_to_string(&lock).with_context(|| format!("failed to read {}", lock.display()))?;
        let workspace = Workspace::read(&lock)?;
        let facts = Facts::read(&workspace, &lock, self.repository)?;
        let output = self.output.unwrap_or_else(|| paths::artifacts().join("release").join(&facts.version));
        ensure_empty(&output)?;
        let crates: BTreeMap<&str, Vec<Crate>> =
            PROGRAMS.iter().map(|&program| Ok((program, workspace.crates_of(program)?))).collect::<Result<_>>()?;
        let built = cache_dir().join("release");
        let artifacts = build(&facts, &built)?;
        assemble(&facts, &artifacts, &crates, SUITE, &output)?;
        println!(
            "{} files of {} are in {}; nothing is signed",
            fs::read_dir(&output)?.count(),
            facts.commit,
            output.display()
        );
        Ok(())
    }
}

/// Builds everything, with what is not in cargo's folder in `folder`.
fn build(facts: &Facts, folder: &Path) -> Result<Vec<Artifact>> {
    Prerequisites::ensure()?;
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let say = |line: &str| println!("{line}");
    let mut artifacts = Vec::new();
    let mut add = |name: String, path: PathBuf, what| artifacts.push(Artifact { name, path, what });
    let programs = compile(facts)?;
    for (&program, path) in &programs {
        let bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
        elf::require_static(path, &bytes)?;
        add(format!("{program}-{}-{PLATFORM}", facts.version), path.clone(), What::Program(program));
    }
    // In a folder of their own: beside those of tests, each would take the other's place.
    let options = BuildOptions { folder: folder.join("images"), ..BuildOptions::default() };
    for program in IMAGES {
        let name = program.name();
        let image = build_program(program, programs.get(name).context("not compiled")?, &say, &options)?;
        add(format!("{name}-{}.image.tar", facts.version), image.tar, What::ProgramImage(name));
    }
    for recipe in backends::ALL {
        let image = build_backend(recipe, &say, &BuildOptions::default())?;
        add(format!("{}-{}.image.tar", recipe.name, recipe.tag), image.tar, What::Engine(recipe.tag));
    }
    let helm = Binaries::build(&say)?.helm;
    for chart in CHARTS {
        let path = chart::package(&helm, chart, facts, folder)?;
        add(format!("{chart}-{}.tgz", facts.version), path, What::Chart);
    }
    Ok(artifacts)
}

/// Compiles the programs, each package alone: the tests of this workspace turn features on that no user's program needs.
fn compile(facts: &Facts) -> Result<BTreeMap<&'static str, PathBuf>> {
    let metadata = shell::output(shell::cargo(&["metadata", "--no-deps", "--format-version", "1", "--locked"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).context("cargo metadata is no JSON")?;
    let target = Path::new(metadata["target_directory"].as_str().context("cargo has no target folder")?);
    let mut built = BTreeMap::new();
    for program in PROGRAMS {
        let args = ["build", "--locked", "--release", "--target", TARGET, "--package", program, "--bin", program];
        let mut command = shell::cargo(&args);
        command.env("SOURCE_DATE_EPOCH", facts.epoch.to_string());
        shell::run(command)?;
        built.insert(program, target.join(TARGET).join("release").join(program));
    }
    Ok(built)
}
