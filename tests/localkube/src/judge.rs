//! Programs that judge objects: they read them as JSON and answer each with a line.

use std::{
    io::{self, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;

/// An object could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The program could not be run.
    #[error("failed to run {program}")]
    Run {
        /// Its path.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program refuses an object, or says something unknown.
    #[error("{program} answers {answer:?} to {objects} objects")]
    Answer {
        /// Its path.
        program: String,
        /// How many it was given.
        objects: usize,
        /// What it printed.
        answer: String,
    },
}

/// What a program answers to objects, in their order; `read` takes a line, and gives `None` where it means nothing.
pub(crate) fn answers<T>(
    program: &Path,
    args: &[&str],
    objects: &[Value],
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, JudgeError> {
    let name = program.display().to_string();
    let run = |source| JudgeError::Run { program: name.clone(), source };
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(run)?;
    let input: String = objects.iter().map(|object| format!("{object}\n")).collect();
    let stdin = child.stdin.take();
    // Beside the reading, so that neither waits for the other when there is much. A write that fails is seen in the answer.
    let writer = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().map_err(run)?;
    let _ = writer.join();
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers: Option<Vec<T>> = answer.lines().map(read).collect();
    match answers {
        Some(answers) if output.status.success() && answers.len() == objects.len() => Ok(answers),
        _ => {
            let answer = answer + &String::from_utf8_lossy(&output.stderr);
            Err(JudgeError::Answer { program: name, objects: objects.len(), answer })
        }
    }
}
