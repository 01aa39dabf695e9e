//! Operators of engines, built from their Go modules like Kubernetes itself; only tests of engines by reference want them.

use std::path::PathBuf;

use crate::{
    binaries::{self, BinariesError},
    cache,
    module::Module,
};

/// Operators of other projects that run engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// CloudNativePG 1.27.
    CloudNativePg,
    /// The RabbitMQ Cluster Operator 2.16.
    RabbitMq,
}

const CLOUD_NATIVE_PG: Module = Module {
    folder: "cloudnative-pg",
    announcement: "building CloudNativePG (about a minute, the first time only) ...",
    link_flags: "-s -w",
    tags: "",
    programs: &[("manager", "github.com/cloudnative-pg/cloudnative-pg/cmd/manager")],
};

const RABBITMQ: Module = Module {
    folder: "rabbitmq-operator",
    announcement: "building the RabbitMQ Cluster Operator (about a minute, the first time only) ...",
    link_flags: "-s -w",
    tags: "",
    programs: &[("manager", "github.com/rabbitmq/cluster-operator/v2")],
};

/// An operator's image and its own manifests.
#[derive(Clone, Debug)]
pub struct BuiltManager {
    /// Archive of the image, which has the program alone, as `/manager`.
    pub image: PathBuf,
    /// The folder of the module for `kubectl kustomize`: definitions, roles and the Deployment.
    pub manifests: PathBuf,
}

impl Manager {
    /// Both.
    pub const ALL: [Self; 2] = [Self::CloudNativePg, Self::RabbitMq];

    /// The image that [`Self::build`] makes.
    #[must_use]
    pub const fn image(self) -> &'static str {
        match self {
            Self::CloudNativePg => "chatcluster.dev/cloudnative-pg:1.27.0",
            Self::RabbitMq => "chatcluster.dev/rabbitmq-operator:2.16.0",
        }
    }

    /// Builds it unless it is in the cache; no cluster needs it.
    ///
    /// # Errors
    /// As [`Binaries::build`](crate::Binaries::build).
    pub fn build(self, progress: &dyn Fn(&str)) -> Result<BuiltManager, BinariesError> {
        let (module, path, manifests) = match self {
            Self::CloudNativePg => (&CLOUD_NATIVE_PG, "github.com/cloudnative-pg/cloudnative-pg", "config/default"),
            Self::RabbitMq => (&RABBITMQ, "github.com/rabbitmq/cluster-operator/v2", "config/installation"),
        };
        let _lock = cache::lock(module.folder)?;
        let folder = binaries::build(module, progress)?;
        let unpacked =
            module.unpacked(path).map_err(|source| BinariesError::Module { module: module.folder, source })?;
        // CloudNativePG copies itself into the pods of its instances, and looks for itself under this name.
        let links: &[(&str, &str)] = match self {
            Self::CloudNativePg => {
                &[("operator/manager_amd64", "../manager"), ("operator/manager_arm64", "../manager")]
            }
            Self::RabbitMq => &[],
        };
        Ok(BuiltManager {
            image: binaries::image_linked(self.image(), &folder.join("manager"), links)?,
            manifests: unpacked.join(manifests),
        })
    }
}
