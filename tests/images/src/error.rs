//! What can go wrong while an image is made.

use std::path::PathBuf;

/// Why an image could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("failed to access {path}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A layer or an archive could not be written or read.
    #[error("failed to handle the tar archive of {image}")]
    Archive {
        /// The image's reference.
        image: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A command of the machine is missing.
    #[error("{command} cannot be run; get it by: {remedy}")]
    Missing {
        /// The command's name.
        command: &'static str,
        /// The command line that installs it.
        remedy: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A command ended with an error.
    #[error("{command} failed: {output}")]
    Failed {
        /// The command's name.
        command: &'static str,
        /// The end of what it printed.
        output: String,
    },
    /// The machine's apt knows no Debian mirror.
    #[error(
        "apt lists no Debian mirror (apt-get indextargets); add one to /etc/apt/sources.list.d and run apt-get update"
    )]
    NoMirror,
    /// The program is not a static binary, so it could not run in a scratch image.
    #[error(
        "{path} is no static x86-64 binary ({reason}); build it with cargo from the workspace, which sets +crt-static"
    )]
    NotStatic {
        /// The program.
        path: PathBuf,
        /// What stands against it.
        reason: String,
    },
    /// Cargo built no program of the name.
    #[error("cargo built no program named {0}")]
    NotBuilt(&'static str),
    /// The machine has no CA certificates.
    #[error("no CA certificates found in {0}; get them by: apt-get install ca-certificates")]
    NoCertificates(PathBuf),
}

impl Error {
    /// Makes an [`Error::File`] for `path`, for use with `map_err`.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
