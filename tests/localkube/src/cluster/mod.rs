//! A cluster: started, looked at, used, and taken down.

mod health;
mod start;
mod status;

use std::{
    fs::File,
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
};

pub use status::{ClusterState, ComponentStatus, Status};

use crate::{
    addons::AddonError,
    binaries::{Binaries, BinariesError},
    cache,
    certificates::CertificateError,
    cgroup::{Cgroup, CgroupError},
    command::{self, CommandError},
    component::{Component, Extent},
    config::{ClusterConfig, ConfigError},
    files::{self, FileError, failed_to},
    layout::Layout,
    namespace::{self, NamespaceError},
    prerequisites::{PrerequisiteError, Prerequisites},
    process::{self, Process},
    state::State,
};

/// A cluster operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The name, the number or the cache folder cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The machine lacks something.
    #[error(transparent)]
    Prerequisite(#[from] PrerequisiteError),
    /// A program could not be built.
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    /// Certificates could not be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The cgroup could not be made or removed.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The network or mount namespace could not be made.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A program failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The cluster is not running.
    #[error("the cluster {0} is not running; start it with `cargo xtask cluster up --name {0}`")]
    NotRunning(String),
    /// The cluster did not become usable in time.
    #[error("the cluster did not come up: {what}\n{log}")]
    NotReady {
        /// What was waited for.
        what: String,
        /// The end of the log of what failed.
        log: String,
    },
}

impl From<AddonError> for ClusterError {
    fn from(error: AddonError) -> Self {
        match error {
            AddonError::Command(error) => error.into(),
            AddonError::File(error) => error.into(),
        }
    }
}

/// A handle on a cluster, whether it runs or not.
#[derive(Clone, Debug)]
pub struct Cluster {
    config: ClusterConfig,
    extent: Extent,
    layout: Layout,
    cgroup: Cgroup,
}

impl Cluster {
    /// Checks the names; starts nothing.
    ///
    /// # Errors
    /// [`ClusterError::Config`], or [`ClusterError::Cgroup`] on a machine without cgroups.
    pub fn new(config: ClusterConfig) -> Result<Self, ClusterError> {
        config.check()?;
        let layout = Layout::new(config.folder());
        let cgroup = Cgroup::new(config.cgroup())?;
        Ok(Self { config, extent: Extent::Whole, layout, cgroup })
    }

    /// The same cluster, with so much of it started. One that runs to another extent is taken down and started anew.
    #[must_use]
    pub fn with_extent(self, extent: Extent) -> Self {
        Self { extent, ..self }
    }

    /// This machine's address as the cluster's programs see it.
    #[must_use]
    pub fn host_address(&self) -> Ipv4Addr {
        self.config.host_address()
    }

    /// Makes sure that the cluster runs and answers, building and installing what is missing first. Tells on standard
    /// error what it does. A healthy cluster is left alone; of one that is half dead, the dead programs are started again,
    /// and if that does not help, it is taken down and started anew.
    ///
    /// # Errors
    /// [`ClusterError`]; what was started stays for inspection until [`Cluster::down`].
    pub fn up(&self) -> Result<(), ClusterError> {
        Prerequisites::ensure()?;
        let binaries = Binaries::build(&|line| eprintln!("{line}"))?;
        let _lock = self.lock()?;
        self.ensure_running(&binaries)
    }

    /// Ends every process of the cluster and removes everything that it has made, its data too. A cluster that does not
    /// run, or of which a crash has left parts, is cleaned up the same way.
    ///
    /// # Errors
    /// [`ClusterError`] when something of it cannot be removed.
    pub fn down(&self) -> Result<(), ClusterError> {
        let _lock = self.lock()?;
        self.take_down()
    }

    /// How the cluster is.
    ///
    /// # Errors
    /// None yet; looking at more of the cluster may fail one day.
    pub fn status(&self) -> Result<Status, ClusterError> {
        Ok(status::look(&self.config, &self.layout, &self.cgroup))
    }

    /// The file with the address and the key of the cluster's administrator; it exists while the cluster runs.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig("admin")
    }

    /// The folder of the components' logs, one `COMPONENT.log` each; it exists while the cluster runs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.layout.logs()
    }

    /// The files of the API server's audit log, the oldest first: one JSON event a line, of the requests of service accounts outside `kube-system`,
    /// without bodies. They exist while the cluster runs; what is older than some 400 MB is not kept. A line that is being written may be cut.
    ///
    /// # Errors
    /// [`ClusterError::File`] when the folder of logs cannot be read, such as that of a cluster that does not run.
    pub fn audit_logs(&self) -> Result<Vec<PathBuf>, ClusterError> {
        let folder = self.layout.logs();
        let listed = std::fs::read_dir(&folder).map_err(failed_to("list", &folder))?;
        let paths = listed.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
        let mut logs = paths.map_err(failed_to("list", &folder))?;
        logs.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("audit")));
        // `audit-TIME.log` before `audit.log`.
        logs.sort();
        Ok(logs)
    }

    /// Makes the images of an OCI archive known to the node, under the names that the archive gives them.
    ///
    /// # Errors
    /// [`ClusterError`] when the cluster does not run or the archive cannot be read.
    pub fn load_image(&self, archive: &Path) -> Result<(), ClusterError> {
        let state = State::load(&self.layout);
        let holder = state.as_ref().and_then(State::holder);
        self.import(holder.ok_or_else(|| ClusterError::NotRunning(self.config.name.clone()))?, archive)
    }

    /// A `kubectl` command line with administrator's rights, to be run by the caller.
    ///
    /// # Errors
    /// [`ClusterError::Binaries`] when `kubectl` is not built and cannot be.
    pub fn kubectl<I, S>(&self, arguments: I) -> Result<Command, ClusterError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<std::ffi::OsStr>,
    {
        let binaries = Binaries::build(&|line| eprintln!("{line}"))?;
        let mut command = Command::new(&binaries.kubectl);
        self.give_access(&mut command);
        command.args(arguments);
        Ok(command)
    }

    /// Kills one of the cluster's programs, as a crash would. One that does not run is left as it is.
    ///
    /// # Errors
    /// [`ClusterError::NotRunning`] when the cluster was not started.
    pub fn kill(&self, component: Component) -> Result<(), ClusterError> {
        let state = State::load(&self.layout).ok_or_else(|| ClusterError::NotRunning(self.config.name.clone()))?;
        if let Some(process) = state.processes.get(&component) {
            process.kill();
        }
        Ok(())
    }

    /// Starts the API server again after [`kill`](Self::kill), and waits until it answers. What a node makes of its absence is left to Kubernetes: the pods of one
    /// that was away for longer than 40 s count as not ready for up to a minute, and run on.
    ///
    /// # Errors
    /// [`ClusterError::NotRunning`] when the cluster was not started, or why the API server does not answer.
    pub fn revive_api_server(&self) -> Result<(), ClusterError> {
        let binaries = Binaries::build(&|line| eprintln!("{line}"))?;
        let _lock = self.lock()?;
        let mut state = State::load(&self.layout).ok_or_else(|| ClusterError::NotRunning(self.config.name.clone()))?;
        self.start_api_server(&binaries, &mut state)
    }

    /// Does to the node what a power cut does: every process ends at once, those of pods and of the control plane too, and what was in memory is forgotten. Then
    /// the cluster's programs are started; pods are for the kubelet to start again, which takes some time after this has returned. What was written to a disk
    /// and not yet synced is not lost, since the kernel goes on.
    ///
    /// # Errors
    /// [`ClusterError::NotRunning`] when the cluster was not started, or why it does not come back: it is left as it is then, and not made anew.
    pub fn reboot(&self) -> Result<(), ClusterError> {
        let binaries = Binaries::build(&|line| eprintln!("{line}"))?;
        let _lock = self.lock()?;
        let not_running = || ClusterError::NotRunning(self.config.name.clone());
        let mut state = State::load(&self.layout).ok_or_else(not_running)?;
        let holder = state.holder().cloned().ok_or_else(not_running)?;
        self.cgroup.kill_others(holder.pid())?;
        namespace::forget(&holder, &self.cgroup.entrance())?;
        self.start_missing(&binaries, &mut state)
    }

    /// `kubectl` for the cluster's own use: it ends with the cluster.
    fn own_kubectl(&self, binaries: &Binaries) -> Command {
        let program = binaries.kubectl.to_string_lossy().into_owned();
        let mut command = process::member(&self.cgroup.entrance(), &[program]);
        self.give_access(&mut command);
        command
    }

    fn give_access(&self, kubectl: &mut Command) {
        // A proxy of this machine cannot reach an address that only this machine knows.
        kubectl.env("KUBECONFIG", self.kubeconfig()).env("NO_PROXY", self.config.node_address().to_string());
    }

    fn import(&self, holder: &Process, archive: &Path) -> Result<(), ClusterError> {
        // Through standard input: inside the namespaces, the archive's path may lead elsewhere.
        let file = File::open(archive).map_err(failed_to("open the image archive", archive))?;
        let ctr = ["ctr", "--namespace", "k8s.io", "images", "import", "-"];
        command::output(namespace::command_inside(holder, &self.cgroup.entrance(), &ctr).stdin(file))?;
        Ok(())
    }

    fn take_down(&self) -> Result<(), ClusterError> {
        // No order and no polite signals: nothing outlives the namespaces, and the data is about to be removed.
        self.cgroup.destroy()?;
        namespace::disconnect(&self.config)?;
        files::remove_folder(self.layout.folder())?;
        // The folder above stays only while it holds other clusters.
        if let Some(clusters) = self.layout.folder().parent() {
            match std::fs::remove_dir(clusters) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {}
                Err(error) => return Err(failed_to("remove the folder", clusters)(error).into()),
            }
        }
        Ok(())
    }

    fn lock(&self) -> Result<File, FileError> {
        cache::lock(&format!("cluster-{}", self.config.name))
    }
}
