//! How people reach the gateways.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    TlsSecretRef,
    gateways::{annotations_schema, resources_schema},
};

/// How people reach the gateways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.loadBalancer) || self.type == 'LoadBalancer'").message(
    "spec.gateways.expose.loadBalancer: is for type LoadBalancer; set type to LoadBalancer, or remove loadBalancer"
))]
#[x_kube(validation = Rule::new("!has(self.haproxy) || self.type == 'HAProxy'").message(
    "spec.gateways.expose.haproxy: is for type HAProxy; set type to HAProxy, or remove haproxy"
))]
#[x_kube(validation = Rule::new("has(self.ingress) == (self.type == 'Ingress')").message(
    "spec.gateways.expose.ingress: goes with type Ingress, which needs it, and with no other; set type to Ingress and ingress.host, or remove ingress"
))]
#[x_kube(validation = Rule::new("has(self.httpRoute) == (self.type == 'HTTPRoute')").message(
    "spec.gateways.expose.httpRoute: goes with type HTTPRoute, which needs it, and with no other; set type to HTTPRoute and httpRoute.parentRefs, or remove httpRoute"
))]
#[x_kube(validation = Rule::new("!has(self.hints) || self.type != 'HAProxy'").message(
    "spec.gateways.expose.hints: HAProxy lets nobody reach a single gateway; set another type, or remove hints"
))]
pub struct Expose {
    /// ClusterIP: a Service for this Kubernetes only. LoadBalancer: the same Service with a load balancer of the provider's. HAProxy: a tier of HAProxy that the operator runs, which gives each gateway connections by its capacity and load; other pods reach gateways through it only. Ingress: an Ingress, for a controller that runs already. HTTPRoute: a route of the Gateway API, for a Gateway that is there already.
    #[serde(rename = "type")]
    pub type_: ExposeType,

    /// The load balancer, with type LoadBalancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,

    /// The tier, with type HAProxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub haproxy: Option<HaProxy>,

    /// The Ingress, with type Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,

    /// The HTTPRoute, with type HTTPRoute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route: Option<HttpRoute>,

    /// How clients that can choose reach a single gateway: asked with `GET /v1/connect`, any gateway names those that have room. Not with type HAProxy. Gateways name none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hints: Option<Hints>,
}

/// How clients reach a single gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hints {
    /// Address of one gateway, such as `wss://{pod}.chat.example.com` or `ws://{podIP}:{port}`: `{pod}` stands for the name of its pod, `{podIP}` for the pod's address, `{port}` for the port for clients. A path may follow, without a slash at its end. Whatever leads from there to the pod is the user's.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(
        "self.matches('^wss?://([a-zA-Z0-9.-]|[{]pod[}]|[{]podIP[}])+(:([0-9]{1,5}|[{]port[}]))?(/([a-zA-Z0-9._~-]|[{]pod[}]|[{]podIP[}]|[{]port[}])+)*$')"
    ).message(
        "spec.gateways.expose.hints.address: is no address of a WebSocket with placeholders; use ws:// or wss:// with a host, and maybe a port and a path, and no other placeholders than {pod}, {podIP} and {port}"
    ))]
    #[x_kube(validation = Rule::new("self.contains('{pod}') || self.contains('{podIP}')").message(
        "spec.gateways.expose.hints.address: is the same for all gateways; put {pod} or {podIP} into it"
    ))]
    pub address: String,
}

/// What stands in front of the gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExposeType {
    /// A Service for this Kubernetes only.
    ClusterIP,
    /// A Service with a load balancer of the provider's.
    LoadBalancer,
    /// A tier of HAProxy.
    HAProxy,
    /// An Ingress.
    Ingress,
    /// A route of the Gateway API.
    HTTPRoute,
}

/// A load balancer of the provider's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// Who makes the load balancer, such as `service.k8s.aws/nlb`; the provider's default if absent. Kubernetes lets nobody change it later: set type to ClusterIP for a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-zA-Z0-9]([-._/a-zA-Z0-9]*[a-zA-Z0-9])?$"))]
    pub load_balancer_class: Option<String>,

    /// Annotations of the Service, by which providers are told the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "annotations_schema")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// A tier of HAProxy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HaProxy {
    /// How many; 2 if absent. With one, everybody loses the connection when its node goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50))]
    pub replicas: Option<i32>,

    /// Certificate for TLS on port 443; port 80 without TLS if absent. A renewed one is taken within a minute or so, while HAProxy runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret_ref: Option<TlsSecretRef>,

    /// Whether the load balancer in front speaks the PROXY protocol, version 1 or 2; false if absent. If true, nobody gets in without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<bool>,

    /// Seconds that a stopping HAProxy leaves its connections open, while the others take the new ones; 600 if absent, which is what autoscalers of nodes wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub drain_seconds: Option<i32>,

    /// The Service in front of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<TierService>,

    /// CPU and memory of each; 100m CPU and 128Mi requested, 512Mi at most if absent. It takes one connection for each 32 KiB of its memory limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "resources_schema")]
    pub resources: Option<ResourceRequirements>,
}

/// The Service in front of a tier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "!has(self.loadBalancer) || (has(self.type) && self.type == 'LoadBalancer')"
).message(
    "spec.gateways.expose.haproxy.service.loadBalancer: is for type LoadBalancer; set service.type to LoadBalancer, or remove loadBalancer"
))]
pub struct TierService {
    /// ClusterIP or LoadBalancer; ClusterIP if absent.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    pub type_: Option<TierServiceType>,

    /// The load balancer, with type LoadBalancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
}

/// Type of the Service in front of a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TierServiceType {
    /// For this Kubernetes only.
    ClusterIP,
    /// With a load balancer of the provider's.
    LoadBalancer,
}

/// An Ingress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// Name by which people reach the gateways.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^(\*\.)?[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub host: String,

    /// Which controller it is for; the default one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub ingress_class_name: Option<String>,

    /// Certificate for TLS, which the controller reads; no TLS if absent. It need not exist: some controllers make it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret_ref: Option<TlsSecretRef>,

    /// Annotations, by which controllers are told the rest, such as how long an idle WebSocket stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "annotations_schema")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// A route of the Gateway API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpRoute {
    /// The Gateways, or their listeners, that the route is attached to.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub parent_refs: Vec<ParentRef>,

    /// Names by which people reach the gateways; those of the listeners if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 253), regex(pattern = r"^(\*\.)?[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub hostnames: Vec<String>,

    /// Annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "annotations_schema")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// A Gateway, or one of its listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// Name of the Gateway.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// Namespace of the Gateway; that of the ChatCluster if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,

    /// Name of the listener; all that fit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub section_name: Option<String>,
}
