//! Scripts that make a shell complete commands.

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, ValueEnum};

use crate::args::Args;

/// The name of the program, by which kubectl finds it.
const PROGRAM: &str = "kubectl-chat";

/// Shells that there is a script for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// The script. It completes the program by its own name, `kubectl-chat`.
pub(crate) fn script(shell: Shell) -> Result<String> {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    // Its name on the command line, rather than the two words that help shows.
    let mut command = Args::command().bin_name(PROGRAM);
    clap_complete::generate(shell, &mut command, PROGRAM, &mut script);
    String::from_utf8(script).context("the script is no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script_that_names_the_commands() {
        for shell in Shell::value_variants() {
            let script = script(*shell).unwrap();
            for word in ["status", "why", "rebalance", "approve"] {
                assert!(script.contains(word), "{shell:?} has no {word}");
            }
            assert!(script.contains(PROGRAM));
        }
    }
}
