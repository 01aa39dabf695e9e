//! The judgement of kstatus, by which Flux and others tell whether an object is as its spec says: the library itself, which is Go.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;

use crate::binaries::{self, BinariesError};

/// What kstatus makes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The object is as its spec says.
    Current,
    /// Work is under way.
    InProgress,
    /// It cannot come true without somebody's help.
    Failed,
    /// It is on its way out.
    Terminating,
    /// The library does not say.
    Unknown,
}

impl Judgement {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "Current" => Self::Current,
            "InProgress" => Self::InProgress,
            "Failed" => Self::Failed,
            "Terminating" => Self::Terminating,
            "Unknown" => Self::Unknown,
            _ => return None,
        })
    }
}

/// An object could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum KstatusError {
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
    #[error("kstatus answers {answer:?} to {objects} objects")]
    Answer {
        /// How many it was given.
        objects: usize,
        /// What it printed.
        answer: String,
    },
}

/// The program around the library.
#[derive(Clone, Debug)]
pub struct Kstatus {
    program: PathBuf,
}

impl Kstatus {
    /// Builds it unless it is in the cache; no cluster needs it.
    ///
    /// # Errors
    /// As [`Binaries::build`](crate::Binaries::build).
    pub fn build(progress: &dyn Fn(&str)) -> Result<Self, BinariesError> {
        Ok(Self { program: binaries::kstatus(progress)? })
    }

    /// Judges whole objects, with `apiVersion` and `kind`, in their order.
    ///
    /// # Errors
    /// [`KstatusError`].
    pub fn compute(&self, objects: &[Value]) -> Result<Vec<Judgement>, KstatusError> {
        let run = |source| KstatusError::Run { program: self.program.display().to_string(), source };
        let mut child = Command::new(&self.program)
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
        let judgements: Option<Vec<Judgement>> = answer.lines().map(Judgement::of).collect();
        match judgements {
            Some(judgements) if output.status.success() && judgements.len() == objects.len() => Ok(judgements),
            _ => {
                let answer = answer + &String::from_utf8_lossy(&output.stderr);
                Err(KstatusError::Answer { objects: objects.len(), answer })
            }
        }
    }
}
