//! What stands in front of the gateways, checked.

use std::collections::BTreeMap;

use chat_crds::chat_cluster as crd;
use k8s_openapi::api::core::v1::ResourceRequirements;

use crate::{names::port, sensitive::Sensitive};

/// What stands in front of the gateways.
#[derive(Clone, Debug)]
pub enum Expose {
    /// Their Service, for this Kubernetes only.
    ClusterIp,
    /// Their Service with a load balancer.
    LoadBalancer(LoadBalancer),
    /// A tier of HAProxy.
    HaProxy(Box<Tier>),
    /// An Ingress.
    Ingress(crd::Ingress),
    /// A route of the Gateway API.
    HttpRoute(crd::HttpRoute),
}

/// A load balancer of the provider's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancer {
    /// Who makes it; `None` for the provider's default.
    pub class: Option<String>,
    /// Annotations of the Service.
    pub annotations: BTreeMap<String, String>,
}

/// A tier of HAProxy.
#[derive(Clone, Debug)]
pub struct Tier {
    /// How many pods.
    pub replicas: i32,
    /// Gateways that there may ever be at once, those that go included. A change of it replaces the pods, so it is far more than there are.
    pub slots: u32,
    /// Certificate for TLS; `None` for no TLS.
    pub certificate: Option<Certificate>,
    /// Whether connections begin with the PROXY protocol.
    pub proxy_protocol: bool,
    /// Seconds that a stopping pod leaves its connections open.
    pub drain_seconds: u32,
    /// A load balancer for its Service; `None` for this Kubernetes only.
    pub load_balancer: Option<LoadBalancer>,
    /// Requests and limits; `None` for the defaults.
    pub resources: Option<ResourceRequirements>,
}

/// A certificate with its key, in a Secret of the user's.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The Secret.
    pub secret: String,
    /// Certificate and key. HAProxies of an operator before this one read them at their start only.
    pub contents: [Sensitive; 2],
}

impl Expose {
    /// The tier of HAProxy, if there is one.
    #[must_use]
    pub fn tier(&self) -> Option<&Tier> {
        match self {
            Self::HaProxy(tier) => Some(tier),
            Self::ClusterIp | Self::LoadBalancer(_) | Self::Ingress(_) | Self::HttpRoute(_) => None,
        }
    }
}

impl Tier {
    /// Name and number of the port for clients.
    #[must_use]
    pub const fn port(&self) -> (&'static str, i32) {
        match self.certificate {
            Some(_) => ("https", port::TIER_HTTPS),
            None => ("http", port::TIER_HTTP),
        }
    }

    /// Port of its Service.
    #[must_use]
    pub const fn service_port(&self) -> i32 {
        match self.certificate {
            Some(_) => port::TIER_SERVICE_TLS,
            None => port::GATEWAY_SERVICE,
        }
    }
}
