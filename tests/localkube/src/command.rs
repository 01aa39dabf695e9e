//! Runs other programs to their end and reports what they said when they fail.

use std::{
    io,
    process::{Command, Output, Stdio},
};

/// A program that could not be run, or that ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program could not be started.
    #[error("failed to start {program}")]
    Start {
        /// Name or path of the program.
        program: String,
        /// Why the system refused.
        #[source]
        source: io::Error,
    },
    /// The program ended with an error.
    #[error("`{command}` failed ({status}): {message}")]
    Failed {
        /// The command line.
        command: String,
        /// Exit code or signal, in words.
        status: String,
        /// The end of what the program wrote to its standard error.
        message: String,
    },
}

/// Lines of a program's standard error that are kept for the message.
const KEPT_LINES: usize = 15;

/// Runs the command and returns its standard output.
///
/// # Errors
/// [`CommandError`] when the program cannot be started or does not end with exit code 0.
pub(crate) fn output(command: &mut Command) -> Result<String, CommandError> {
    let Output { status, stdout, stderr } =
        command.stderr(Stdio::piped()).stdout(Stdio::piped()).output().map_err(|source| CommandError::Start {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    Err(CommandError::Failed {
        command: line(command),
        status: status.to_string(),
        message: last_lines(&String::from_utf8_lossy(&stderr), KEPT_LINES),
    })
}

/// Runs the command and says whether it ended well; not being able to start it counts as no.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The last lines of a text, without blanks around them.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_carries_the_command_line_and_what_the_program_said() {
        let error = output(Command::new("sh").args(["-c", "echo first >&2; echo last >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sh -c") && text.contains("exit status: 3") && text.ends_with("first\nlast"), "{text}");
    }

    #[test]
    fn keeps_only_the_last_lines() {
        assert_eq!(last_lines("a\nb\nc\n\n", 2), "b\nc");
        assert_eq!(last_lines("", 2), "");
    }
}
