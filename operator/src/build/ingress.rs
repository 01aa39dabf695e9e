//! The Ingress in front of the gateways' Service, for a controller that runs already.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec,
    IngressTLS, ServiceBackendPort,
};
use kube::api::ObjectMeta;

use super::meta::{self, Role};
use crate::{
    names::Component,
    reconcile::{Expose, ValidatedCluster},
};

pub(super) fn build_ingress(cluster: &ValidatedCluster) -> Option<Ingress> {
    let Expose::Ingress(ingress) = &cluster.gateways.expose else { return None };
    let service = IngressServiceBackend {
        name: cluster.names.gateway(),
        port: Some(ServiceBackendPort { name: Some("http".to_owned()), number: None }),
    };
    let path = HTTPIngressPath {
        backend: IngressBackend { service: Some(service), resource: None },
        path: Some("/".to_owned()),
        path_type: "Prefix".to_owned(),
    };
    let tls = |secret: &chat_crds::chat_cluster::TlsSecretRef| IngressTLS {
        hosts: Some(vec![ingress.host.clone()]),
        secret_name: Some(secret.name.clone()),
    };
    let owned = meta::owned(cluster, Role::of(Component::Gateway), cluster.names.gateway());
    Some(Ingress {
        metadata: ObjectMeta { annotations: ingress.annotations.clone(), ..owned },
        spec: Some(IngressSpec {
            ingress_class_name: ingress.ingress_class_name.clone(),
            rules: Some(vec![IngressRule {
                host: Some(ingress.host.clone()),
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            tls: ingress.tls_secret_ref.as_ref().map(|secret| vec![tls(secret)]),
            ..IngressSpec::default()
        }),
        status: None,
    })
}
