//! `cargo xtask fuzz`: libFuzzer over everything that a gateway reads from a network, for a bounded time, from the corpora in the repository.
//!
//! The flags that make coverage visible are the stable compiler's, so no nightly one is needed; libFuzzer itself is C++ in `libfuzzer-sys`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

#[path = "../../../gateway/fuzz/escape.rs"]
mod escape;

use self::escape::unescape;
use crate::{packages, paths, shell};

/// What cargo-fuzz gives the compiler, without a sanitizer: none of our own code is unsafe, and overflows are checked anyway.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg=fuzzing -Cforce-frame-pointers=yes";
/// Named, so that build scripts and macros are not instrumented.
pub(crate) const MACHINE: &str = "x86_64-unknown-linux-gnu";
/// Seconds for each function in the long form.
const LONG: u64 = 600;
/// Bytes of an input: more than a network can bring at once teaches nothing new.
const INPUT: u32 = 4_096;
/// Inputs of a corpus that is kept in the repository, the smallest first.
const KEPT: usize = 400;
/// Bytes of an input that is kept.
const KEPT_BYTES: usize = 512;

/// Fuzzes what reads bytes from a network; ends by itself.
#[derive(Debug, Args)]
pub(crate) struct Fuzz {
    /// Seconds for each function.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Ten minutes for each function.
    #[arg(long, conflicts_with = "seconds")]
    long: bool,
    /// Only these functions, by their names in `gateway/fuzz/targets/mod.rs`.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Writes what was found back into the corpora of the repository, as little of it as covers the same.
    #[arg(long)]
    keep: bool,
}

impl Fuzz {
    pub(crate) fn run(self) -> Result<()> {
        let all = names()?;
        for name in &self.only {
            ensure!(all.contains(name), "there is no function {name}; they are {}", all.join(", "));
        }
        packages::ensure_for_fuzzing()?;
        let program = build()?;
        let chosen = all.iter().filter(|name| self.only.is_empty() || self.only.contains(name));
        let mut failed = Vec::new();
        for name in chosen {
            let seconds = if self.long { LONG } else { self.seconds };
            println!("\n== {name}, {seconds} s");
            if let Err(error) = self.fuzz(&program, name, seconds) {
                println!("{error:#}");
                failed.push(name.as_str());
            }
        }
        ensure!(failed.is_empty(), "inputs that must not do that were found for {}", failed.join(", "));
        Ok(())
    }

    fn fuzz(&self, program: &Path, name: &str, seconds: u64) -> Result<()> {
        let work = folder().join("work").join(name);
        let (found, findings) = (work.join("corpus"), work.join("findings"));
        fs::create_dir_all(&found)?;
        fs::create_dir_all(&findings)?;
        unpack(&corpus(name), &found)?;
        let fuzzer = |arguments: &[String]| {
            let mut command = shell::command(program, &[]);
            command.args(arguments).env("CHATCLUSTER_FUZZ", name).current_dir(&work);
            command
        };
        let outcome = shell::run(fuzzer(&[
            format!("-max_total_time={seconds}"),
            format!("-max_len={INPUT}"),
            format!("-artifact_prefix={}/", findings.display()),
            // An input that takes this long, or this much, is a finding.
            "-timeout=10".into(),
            "-rss_limit_mb=2048".into(),
            "-verbosity=1".into(),
            "-print_final_stats=1".into(),
            found.display().to_string(),
        ]));
        outcome
            .with_context(|| format!("see {}; put the input into {}", findings.display(), corpus(name).display()))?;
        if self.keep {
            let least = work.join("least");
            drop(fs::remove_dir_all(&least));
            fs::create_dir_all(&least)?;
            shell::run(fuzzer(&["-merge=1".into(), least.display().to_string(), found.display().to_string()]))?;
            pack(&least, &corpus(name))?;
        }
        Ok(())
    }
}

/// The functions, as the list in the source names them.
fn names() -> Result<Vec<String>> {
    let source = paths::root().join("gateway/fuzz/targets/mod.rs");
    let text = fs::read_to_string(&source).with_context(|| format!("failed to read {}", source.display()))?;
    let lines = text.lines().skip_while(|line| !line.contains("const ALL:")).skip(1);
    let names: Vec<String> = lines
        .map_while(|line| line.trim().strip_prefix("(\"")?.split_once('"').map(|(name, _)| name.to_owned()))
        .collect();
    ensure!(!names.is_empty(), "no function in {}", source.display());
    Ok(names)
}

fn corpus(name: &str) -> PathBuf {
    paths::root().join("gateway/fuzz/corpus").join(format!("{name}.txt"))
}

fn folder() -> PathBuf {
    paths::root().join("target/fuzz")
}

fn build() -> Result<PathBuf> {
    let manifest = paths::root().join("gateway/fuzz/Cargo.toml");
    let mut build = shell::cargo(&["build", "--release", "--locked", "--target", MACHINE, "--manifest-path"]);
    build.arg(manifest).arg("--target-dir").arg(folder()).env("RUSTFLAGS", FLAGS);
    shell::run(build)?;
    Ok(folder().join(MACHINE).join("release/parsers"))
}

/// Writes each line of a corpus as a file.
fn unpack(corpus: &Path, folder: &Path) -> Result<()> {
    let text = fs::read_to_string(corpus)
        .with_context(|| format!("{} is missing; begin it with a line that holds a good input", corpus.display()))?;
    for (nth, line) in text.lines().enumerate() {
        let Some(input) = unescape(line) else { bail!("{}:{} cannot be read", corpus.display(), nth + 1) };
        fs::write(folder.join(format!("kept-{nth:04}")), input)?;
    }
    Ok(())
}

/// Writes the files of a folder as lines of a corpus, the smallest first.
fn pack(folder: &Path, corpus: &Path) -> Result<()> {
    let mut inputs = Vec::new();
    for file in fs::read_dir(folder)? {
        let input = fs::read(file?.path())?;
        if input.len() <= KEPT_BYTES {
            inputs.push(input);
        }
    }
    inputs.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    inputs.truncate(KEPT);
    let lines: String = inputs.iter().map(|input| format!("{}\n", input.escape_ascii())).collect();
    fs::write(corpus, lines)?;
    println!("{} inputs are kept in {}", inputs.len(), corpus.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_are_read_out_of_their_list() -> Result<()> {
        let names = names()?;
        assert!(names.iter().any(|name| name == "chat_json") && names.iter().any(|name| name == "http"), "{names:?}");
        for name in names {
            assert!(corpus(&name).exists(), "{name}");
        }
        Ok(())
    }
}
