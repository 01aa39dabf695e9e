//! What is known about a running cluster, kept in a file so that the next command knows it too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    component::{Component, Extent},
    config::ClusterConfig,
    files::{self, FileError},
    layout::Layout,
    process::Process,
};

/// Content of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The cluster's number: another number means other addresses, thus another cluster.
    pub(crate) index: u8,
    /// How much of a cluster was started.
    #[serde(default)]
    pub(crate) extent: Extent,
    /// Whether the last change came to its end. If not, a program may run that is not listed here.
    pub(crate) settled: bool,
    /// The programs that were started.
    pub(crate) processes: BTreeMap<Component, Process>,
}

impl State {
    /// The state of a cluster of which nothing has been started.
    pub(crate) fn new(config: &ClusterConfig, extent: Extent) -> Self {
        Self { index: config.index, extent, settled: false, processes: BTreeMap::new() }
    }

    /// Reads the file. None, or one that makes no sense, counts as no state.
    pub(crate) fn load(layout: &Layout) -> Option<Self> {
        serde_json::from_str(&files::read(&layout.state()).ok()?).ok()
    }

    /// Writes the file.
    pub(crate) fn save(&self, layout: &Layout) -> Result<(), FileError> {
        // A map with text keys and numbers: this cannot fail.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        files::write(&layout.state(), &text)
    }

    /// The process that holds the namespaces, if it runs.
    pub(crate) fn holder(&self) -> Option<&Process> {
        self.processes.get(&Component::Namespaces).filter(|process| process.is_alive())
    }

    /// Components that are not running.
    pub(crate) fn dead(&self) -> Vec<Component> {
        let alive = |component| self.processes.get(&component).is_some_and(Process::is_alive);
        Component::of(self.extent).filter(|&component| !alive(component)).collect()
    }
}
