//! Engines that another operator runs in the same namespace, by the name of its custom resource.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::LoginSecretRef;

/// A custom resource of another operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EngineRef {
    /// Its name; it is in the same namespace.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
}

/// A database of a PostgreSQL that CloudNativePG runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudNativePg {
    /// The Cluster of postgresql.cnpg.io.
    pub cluster_ref: EngineRef,

    /// The database, which must not be another shard's; the application's database of the Cluster if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[-_.a-zA-Z0-9]+$"))]
    pub database: Option<String>,

    /// Who owns the database and migrates it; the application's user of the Cluster if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_secret_ref: Option<LoginSecretRef>,

    /// Who gateways are; the owner if absent. The migration gives the user what gateways need and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_secret_ref: Option<LoginSecretRef>,
}
