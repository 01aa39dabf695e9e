//! The HTTPRoute in front of the gateways' Service, for a Gateway that is there already. Its types are no part of Kubernetes itself.

use kube::api::{DynamicObject, ObjectMeta};
use serde_json::json;

use super::{
    meta::{self, Role},
    resources::Kind,
};
use crate::{
    names::{Component, port},
    reconcile::{Expose, ValidatedCluster},
};

pub(super) fn build_http_route(cluster: &ValidatedCluster) -> Option<DynamicObject> {
    let Expose::HttpRoute(route) = &cluster.gateways.expose else { return None };
    let owned = meta::owned(cluster, Role::of(Component::Gateway), cluster.names.gateway());
    let metadata = ObjectMeta { annotations: route.annotations.clone(), ..owned };
    let mut object = DynamicObject::new(&cluster.names.gateway(), &Kind::HttpRoute.api_resource());
    object.metadata = metadata;
    // What the API server would add is named, so that nothing differs from what was asked for.
    let parents: Vec<_> = route
        .parent_refs
        .iter()
        .map(|parent| {
            let mut reference = json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": parent.name });
            if let Some(namespace) = &parent.namespace {
                reference["namespace"] = json!(namespace);
            }
            if let Some(section) = &parent.section_name {
                reference["sectionName"] = json!(section);
            }
            reference
        })
        .collect();
    let backend = json!({
        "group": "", "kind": "Service", "name": cluster.names.gateway(), "port": port::GATEWAY_SERVICE, "weight": 1,
    });
    let matches = json!([{ "path": { "type": "PathPrefix", "value": "/" } }]);
    let mut spec = json!({ "parentRefs": parents, "rules": [{ "matches": matches, "backendRefs": [backend] }] });
    if !route.hostnames.is_empty() {
        spec["hostnames"] = json!(route.hostnames);
    }
    object.data = json!({ "spec": spec });
    Some(object)
}
