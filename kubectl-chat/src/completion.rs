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
    /// kubectl itself, whichever shell it runs in: the script is the program `kubectl_complete-chat`.
    Kubectl,
}

/// kubectl asks the program of this script for completions of `kubectl chat`.
const FOR_KUBECTL: &str = "#!/bin/sh\nexec kubectl-chat __complete -- \"$@\"\n";
/// Tells kubectl that names of files are no completions.
const NO_FILES: &str = ":4";

/// The script. Those of shells complete the program by its own name, `kubectl-chat`.
pub(crate) fn script(shell: Shell) -> Result<String> {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::Kubectl => return Ok(FOR_KUBECTL.to_owned()),
    };
    let mut script = Vec::new();
    // Its name on the command line, rather than the two words that help shows.
    let mut command = Args::command().bin_name(PROGRAM);
    clap_complete::generate(shell, &mut command, PROGRAM, &mut script);
    String::from_utf8(script).context("the script is no text")
}

/// What kubectl is told of the words so far, the last of which is to be completed: a candidate a line, each with what it does.
pub(crate) fn candidates(words: &[String]) -> String {
    let mut command = Args::command();
    // Global options are known to commands below once it is built.
    command.build();
    let (last, before) = words.split_last().map_or(("", words), |(last, before)| (last.as_str(), before));
    let mut here = &command;
    for word in before {
        here = here.find_subcommand(word).unwrap_or(here);
    }
    let commands = here.get_subcommands().filter(|below| !below.is_hide_set());
    let names = commands.map(|below| (below.get_name().to_owned(), below.get_about().map(ToString::to_string)));
    let options = here.get_arguments().filter_map(|argument| {
        Some((format!("--{}", argument.get_long()?), argument.get_help().map(ToString::to_string)))
    });
    // Options come when they are asked for.
    let all: Vec<(String, Option<String>)> = if last.starts_with('-') { options.collect() } else { names.collect() };
    let fitting = all.into_iter().filter(|(word, _)| word.starts_with(last));
    let lines = fitting.map(|(word, about)| format!("{word}\t{}\n", about.unwrap_or_default()));
    lines.collect::<String>() + NO_FILES + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_is_told_what_fits() {
        let of = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let text = candidates(&words);
            assert!(text.ends_with(":4\n"), "{text}");
            text.lines().filter_map(|line| Some(line.split_once('\t')?.0.to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(of(&["re"]), ["report", "rebalance"]);
        assert!(of(&[""]).contains(&"status".to_owned()) && !of(&[""]).contains(&"__complete".to_owned()));
        assert_eq!(of(&["-n", "chat", "rebalance", "ap"]), ["approve"]);
        assert_eq!(of(&["status", "demo", "--name"]), ["--namespace"]);
        assert_eq!(of(&["status", ""]), Vec::<String>::new());
    }

    #[test]
    fn every_shell_has_a_script_that_names_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell).unwrap();
            for word in ["status", "why", "rebalance", "approve"] {
                assert!(script.contains(word), "{shell:?} has no {word}");
            }
            assert!(script.contains(PROGRAM));
        }
        assert!(script(Shell::Kubectl).unwrap().contains("kubectl-chat __complete"));
    }
}
