//! How healthy Argo CD holds an object to be by a script, run by the interpreter that Argo CD has, which is Go.

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    binaries::{self, BinariesError},
    judge::{self, JudgeError},
};

/// A health of Argo CD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The object is as its spec says.
    Healthy,
    /// Work is under way, or something is awaited.
    Progressing,
    /// It cannot come true without somebody's help.
    Degraded,
    /// Somebody has stopped it, and it waits for somebody to let it go on.
    Suspended,
    /// The object is not there.
    Missing,
    /// The script does not say.
    Unknown,
}

impl Health {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "Healthy" => Self::Healthy,
            "Progressing" => Self::Progressing,
            "Degraded" => Self::Degraded,
            "Suspended" => Self::Suspended,
            "Missing" => Self::Missing,
            "Unknown" => Self::Unknown,
            _ => return None,
        })
    }
}

/// The program around the interpreter.
#[derive(Clone, Debug)]
pub struct ArgoCdHealth {
    program: PathBuf,
}

impl ArgoCdHealth {
    /// Builds it unless it is in the cache; no cluster needs it.
    ///
    /// # Errors
    /// As [`Binaries::build`](crate::Binaries::build).
    pub fn build(progress: &dyn Fn(&str)) -> Result<Self, BinariesError> {
        Ok(Self { program: binaries::argocd_health(progress)? })
    }

    /// Judges whole objects by a script in Lua, in their order; each comes with what the script says of it.
    ///
    /// # Errors
    /// [`JudgeError`], also where the script fails or gives what Argo CD does not take.
    pub fn judge(&self, script: &str, objects: &[Value]) -> Result<Vec<(Health, String)>, JudgeError> {
        judge::answers(&self.program, &[script], objects, |line| {
            let (word, message) = line.split_once(' ')?;
            Some((Health::of(word)?, serde_json::from_str(message).ok()?))
        })
    }
}
