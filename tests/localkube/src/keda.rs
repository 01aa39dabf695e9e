//! KEDA, built from its Go module like Kubernetes itself; only tests of autoscaling want it.

use std::path::PathBuf;

use crate::{
    binaries::{self, BinariesError},
    cache,
    module::Module,
};

const MODULE: Module = Module {
    folder: "keda",
    announcement: "building KEDA (about 8 minutes on two cores, the first time only) ...",
    link_flags: "-s -w",
    tags: "",
    programs: &[
        ("keda-operator", "github.com/kedacore/keda/v2/cmd/operator"),
        ("keda-adapter", "github.com/kedacore/keda/v2/cmd/adapter"),
    ],
};

/// KEDA's images and its own manifests.
#[derive(Clone, Debug)]
pub struct Keda {
    /// Archives of the images `chatcluster.dev/keda-operator:2` and `chatcluster.dev/keda-adapter:2`, each with the program alone.
    pub images: Vec<PathBuf>,
    /// The folder `config` of the module: definitions, roles and Deployments.
    pub manifests: PathBuf,
}

impl Keda {
    /// Builds it unless it is in the cache; no cluster needs it.
    ///
    /// # Errors
    /// As [`Binaries::build`](crate::Binaries::build).
    pub fn build(progress: &dyn Fn(&str)) -> Result<Self, BinariesError> {
        let _lock = cache::lock("keda")?;
        let folder = binaries::build(&MODULE, progress)?;
        let image = |name| binaries::image(&format!("chatcluster.dev/{name}:2"), &folder.join(name));
        let module = MODULE
            .unpacked("github.com/kedacore/keda/v2")
            .map_err(|source| BinariesError::Module { module: MODULE.folder, source })?;
        Ok(Self { images: vec![image("keda-operator")?, image("keda-adapter")?], manifests: module.join("config") })
    }
}
