//! The files of one running cluster.

use std::path::{Path, PathBuf};

use crate::component::Component;

/// Paths in the folder of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    folder: PathBuf,
}

impl Layout {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What runs, see [`crate::state`].
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    /// Keys and certificates.
    pub(crate) fn pki(&self) -> PathBuf {
        self.folder.join("pki")
    }

    /// A file of [`Layout::pki`].
    pub(crate) fn key_file(&self, name: &str) -> String {
        self.pki().join(name).to_string_lossy().into_owned()
    }

    /// Settings files of the components.
    pub(crate) fn settings(&self) -> PathBuf {
        self.folder.join("settings")
    }

    /// A file of [`Layout::settings`].
    pub(crate) fn settings_file(&self, name: &str) -> String {
        self.settings().join(name).to_string_lossy().into_owned()
    }

    /// The file that says how a user (`admin`, or a component) reaches the API server.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.join("kubeconfig").join(user)
    }

    /// What the cluster's processes see as `/var/lib`.
    pub(crate) fn var_lib(&self) -> PathBuf {
        self.folder.join("var-lib")
    }

    /// What the cluster's processes see as `/var/log`.
    pub(crate) fn logs(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// What a component writes to its output.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// What a component writes to its output.
    pub(crate) fn component_log(&self, component: Component) -> PathBuf {
        self.log(component.name())
    }
}
