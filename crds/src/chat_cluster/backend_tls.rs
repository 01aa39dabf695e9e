//! Certificates for a RabbitMQ or a Redis that runs already.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{CaSecretRef, TlsSecretRef};

/// Certificates for a RabbitMQ that runs already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RabbitMqTls {
    /// Authorities that may vouch for the server's certificate, beside those that browsers trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,

    /// The certificate that gateways show; none if absent. With `?auth_mechanism=external` at the end of the URI it says who they are, in place of user and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_secret_ref: Option<TlsSecretRef>,
}

/// Certificates for a Redis that runs already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedisTls {
    /// Authorities that may vouch for the servers' certificates; those that browsers trust if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,

    /// The certificate that gateways show to servers, sentinels and all nodes of a cluster; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_secret_ref: Option<TlsSecretRef>,
}
