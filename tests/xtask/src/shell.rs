//! Running other programs, with what they print going straight to the terminal.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::paths;

/// A command in the workspace's root.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(paths::root()).stdin(Stdio::null());
    command
}

/// The cargo that runs this program. What errors say comes last in what a failed test prints: where `RUST_BACKTRACE` is set, only panics have fifty lines of
/// frames behind it.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = command(program, args);
    command.env("RUST_LIB_BACKTRACE", "0");
    images::programs::forget_package(&mut command);
    command
}

/// Runs to the end; fails unless the program succeeded.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let shown = show(&command);
    println!("$ {shown}");
    let status = command.status().with_context(|| format!("failed to start {shown}"))?;
    if !status.success() {
        bail!("{shown} ended with {status}");
    }
    Ok(())
}

/// Runs to the end and returns what the program printed.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let shown = show(&command);
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("failed to start {shown}"))?;
    if !output.status.success() {
        bail!("{shown} ended with {}\n{}", output.status, String::from_utf8_lossy(&output.stdout));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs to the end quietly; what the program printed, and whether it succeeded.
pub(crate) fn captured(mut command: Command) -> Result<(String, Result<()>)> {
    let shown = show(&command);
    let output = command.output().with_context(|| format!("failed to start {shown}"))?;
    let text =
        format!("$ {shown}\n{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    let ended =
        if output.status.success() { Ok(()) } else { Err(anyhow::anyhow!("{shown} ended with {}", output.status)) };
    Ok((text, ended))
}

/// Runs to the end, passes what the program prints through, and shows each line to `watch` as well.
pub(crate) fn run_watched(mut command: Command, mut watch: impl FnMut(&str)) -> Result<()> {
    let shown = show(&command);
    println!("$ {shown}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("failed to start {shown}"))?;
    let printed = child.stdout.take().context("the program's output is not piped")?;
    for line in BufReader::new(printed).lines() {
        let line = line.context("failed to read the program's output")?;
        println!("{line}");
        watch(&line);
    }
    std::io::stdout().flush().ok();
    let status = child.wait()?;
    if !status.success() {
        bail!("{shown} ended with {status}");
    }
    Ok(())
}

fn show(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}
