//! The judgement of kstatus, by which Flux and others tell whether an object is as its spec says: the library itself, which is Go.

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    binaries::{self, BinariesError},
    judge::{self, JudgeError},
};

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
    /// [`JudgeError`].
    pub fn compute(&self, objects: &[Value]) -> Result<Vec<Judgement>, JudgeError> {
        judge::answers(&self.program, &[], objects, Judgement::of)
    }
}
