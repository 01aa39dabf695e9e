//! The programs that a cluster consists of, built from Go modules and kept in the cache.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use images::{layer::Layer, oci};

use crate::{
    cache,
    files::{self, FileError, failed_to},
    module::{Module, ModuleError},
    settings::PAUSE_IMAGE,
};

/// The image of the cluster's name server.
pub(crate) const DNS_IMAGE: &str = "chatcluster.dev/localkube-coredns:1";

const KUBERNETES: Module = Module {
    folder: "kubernetes",
    announcement: "building Kubernetes from its Go modules (about 5 minutes on two cores, the first time only) ...",
    link_flags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4 \
                 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34",
    tags: "",
    programs: &[("localkube", "."), ("pause", "./pause")],
};

const COREDNS: Module = Module {
    folder: "coredns",
    announcement: "building CoreDNS (about a minute, the first time only) ...",
    link_flags: "-s -w",
    tags: "",
    programs: &[("coredns", ".")],
};

const HELM: Module = Module {
    folder: "helm",
    announcement: "building Helm (about a minute, the first time only) ...",
    // Without these, Helm renders charts for Kubernetes 1.20 wherever no cluster tells it better.
    link_flags: "-s -w -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 \
                 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34 \
                 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 \
                 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=34",
    tags: "",
    programs: &[("helm", "helm.sh/helm/v3/cmd/helm")],
};

const CRDIFY: Module = Module {
    folder: "crdify",
    announcement: "building crdify (about a minute, the first time only) ...",
    link_flags: "-s -w",
    tags: "",
    programs: &[("crdify", "sigs.k8s.io/crdify")],
};

const KSTATUS: Module = Module {
    folder: "kstatus",
    announcement: "building kstatus (about a minute, the first time only) ...",
    link_flags: "-s -w",
    tags: "",
    programs: &[("kstatus", ".")],
};

const ARGOCD_HEALTH: Module = Module {
    folder: "argocd-health",
    announcement: "building the interpreter of Argo CD's health scripts (some seconds, the first time only) ...",
    link_flags: "-s -w",
    tags: "",
    programs: &[("argocd-health", ".")],
};

const PROMTOOL: Module = Module {
    folder: "promtool",
    announcement: "building promtool (about two minutes, the first time only) ...",
    link_flags: "-s -w",
    // Nothing is discovered: rules are checked and tested.
    tags: "remove_all_sd",
    programs: &[("promtool", "github.com/prometheus/prometheus/cmd/promtool")],
};

/// Paths of the programs.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// All components of Kubernetes in one program; the first argument names the component.
    pub localkube: PathBuf,
    /// `kubectl`, the same program under another name.
    pub kubectl: PathBuf,
    /// The name server.
    pub coredns: PathBuf,
    /// Helm 3.
    pub helm: PathBuf,
    /// A program that sleeps until it is told to end.
    pub pause: PathBuf,
    /// Archives of the images that every cluster needs.
    pub(crate) images: Vec<PathBuf>,
}

/// A program or image that could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BinariesError {
    /// A Go module failed.
    #[error("failed to build the Go module {module}")]
    Module {
        /// Its folder.
        module: &'static str,
        /// What went wrong.
        #[source]
        source: ModuleError,
    },
    /// An image failed.
    #[error("failed to make a cluster image")]
    Image(#[from] images::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Binaries {
    /// Builds what is not in the cache, and tells `progress` before each long step. Waits while another process builds.
    ///
    /// # Errors
    /// [`BinariesError`] with what the compiler said.
    pub fn build(progress: &dyn Fn(&str)) -> Result<Self, BinariesError> {
        let _lock = cache::lock("binaries")?;
        let build = |module| build(module, progress);
        let (kubernetes, coredns, helm) = (build(&KUBERNETES)?, build(&COREDNS)?, build(&HELM)?);

        let kubectl = kubernetes.join("kubectl");
        link("localkube", &kubectl)?;
        let pause = kubernetes.join("pause");
        let dns = coredns.join("coredns");
        let images = vec![image(PAUSE_IMAGE, &pause)?, image(DNS_IMAGE, &dns)?];
        Ok(Self {
            localkube: kubernetes.join("localkube"),
            kubectl,
            coredns: dns,
            helm: helm.join("helm"),
            pause,
            images,
        })
    }
}

/// Builds crdify, which compares two versions of a CustomResourceDefinition; no cluster needs it.
///
/// # Errors
/// As [`Binaries::build`].
pub fn crdify(progress: &dyn Fn(&str)) -> Result<PathBuf, BinariesError> {
    let _lock = cache::lock("binaries")?;
    Ok(build(&CRDIFY, progress)?.join("crdify"))
}

/// Builds promtool, which checks and tests rules of Prometheus; no cluster needs it.
///
/// # Errors
/// As [`Binaries::build`].
pub fn promtool(progress: &dyn Fn(&str)) -> Result<PathBuf, BinariesError> {
    let _lock = cache::lock("promtool")?;
    Ok(build(&PROMTOOL, progress)?.join("promtool"))
}

/// Builds the program around kstatus; see [`Kstatus`](crate::Kstatus). Under a lock of its own: unit tests want it, and need not wait for
/// Kubernetes.
pub(crate) fn kstatus(progress: &dyn Fn(&str)) -> Result<PathBuf, BinariesError> {
    let _lock = cache::lock("kstatus")?;
    Ok(build(&KSTATUS, progress)?.join("kstatus"))
}

/// Builds the program around Argo CD's interpreter; see [`ArgoCdHealth`](crate::ArgoCdHealth). Under a lock of its own, as kstatus is.
pub(crate) fn argocd_health(progress: &dyn Fn(&str)) -> Result<PathBuf, BinariesError> {
    let _lock = cache::lock("argocd-health")?;
    Ok(build(&ARGOCD_HEALTH, progress)?.join("argocd-health"))
}

/// The folder with the programs of a module.
pub(crate) fn build(module: &Module, progress: &dyn Fn(&str)) -> Result<PathBuf, BinariesError> {
    let cache = cache::cache_dir().join(cache::BINARIES);
    files::make_folder(&cache)?;
    module.build(&cache, progress).map_err(|source| BinariesError::Module { module: module.folder, source })
}

fn link(target: &str, path: &Path) -> Result<(), FileError> {
    match symlink(target, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result.map_err(failed_to("make the link", path)),
    }
}

/// Makes the image of one static program, beside the program.
pub(crate) fn image(reference: &str, program: &Path) -> Result<PathBuf, BinariesError> {
    image_linked(reference, program, &[])
}

/// As [`image`], with other names of the program in the image: where, and what the link says.
pub(crate) fn image_linked(reference: &str, program: &Path, links: &[(&str, &str)]) -> Result<PathBuf, BinariesError> {
    let archive = program.with_extension("tar");
    if archive.exists() {
        return Ok(archive);
    }
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut layer = Layer::default();
    layer.file(&name, 0o755, fs::read(program).map_err(failed_to("read", program))?);
    for (path, target) in links {
        layer.symlink(path, target);
    }
    let settings = oci::Settings {
        reference: reference.to_owned(),
        entrypoint: vec![format!("/{name}")],
        ..oci::Settings::default()
    };
    oci::write_archive(&archive, &settings, &layer)?;
    Ok(archive)
}
