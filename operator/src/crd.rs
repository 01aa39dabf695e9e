//! Whether the API server serves ChatClusters and ShardRebalances that have every field of this operator. An older CRD would drop fields
//! silently: the operator does not start with one.

use std::collections::BTreeSet;

use chat_crds::{ChatCluster, ShardRebalance};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Client, CustomResourceExt};
use serde_json::Value;

use crate::api;

/// The CRD cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// The API server does not know one of the kinds.
    #[error("the API server does not serve chatcluster.dev/v1alpha1 {0}; install the chart chat-operator-crds")]
    Absent(&'static str),
    /// Fields of this operator are missing in the served schema.
    #[error(
        "the installed CRD of {0} is older than this operator (it lacks {1}); upgrade the chart chat-operator-crds"
    )]
    Older(&'static str, String),
    /// The API server did not answer.
    #[error("failed to read the schemas of chatcluster.dev: {0}")]
    Api(#[from] kube::Error),
}

/// Compares the served schema with the operator's own. Reads the OpenAPI document, which everybody may read, so that no
/// right on CRDs is needed.
///
/// # Errors
/// See [`CrdError`].
pub async fn check(client: &Client) -> Result<(), CrdError> {
    let request = http_request("/openapi/v3/apis/chatcluster.dev/v1alpha1");
    let document: Value = match client.request(request).await {
        Ok(document) => document,
        Err(kube::Error::Api(status)) if status.code == 404 => return Err(CrdError::Absent(api::KIND)),
        Err(error) => return Err(error.into()),
    };
    compare(&document, api::KIND, ChatCluster::crd())?;
    compare(&document, "ShardRebalance", ShardRebalance::crd())
}

fn compare(document: &Value, kind: &'static str, own: CustomResourceDefinition) -> Result<(), CrdError> {
    let served = document["components"]["schemas"]
        .as_object()
        .and_then(|schemas| schemas.values().find(|schema| is_of(schema, kind)))
        .ok_or(CrdError::Absent(kind))?;
    let own = serde_json::to_value(own).unwrap_or_default();
    let own = &own["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    match missing(own, served).into_iter().next() {
        Some(field) => Err(CrdError::Older(kind, field)),
        None => Ok(()),
    }
}

fn http_request(path: &str) -> hyper::Request<Vec<u8>> {
    let mut request = hyper::Request::new(Vec::new());
    // The path is a constant of this file; a wrong one would give "/" and then Absent.
    *request.uri_mut() = path.parse().unwrap_or_default();
    request
}

fn is_of(schema: &Value, wanted: &str) -> bool {
    schema["x-kubernetes-group-version-kind"]
        .as_array()
        .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] == wanted))
}

/// Fields of spec and status that `own` has and `served` lacks.
fn missing(own: &Value, served: &Value) -> Vec<String> {
    let paths = |schema: &Value| {
        let mut paths = BTreeSet::new();
        for part in ["spec", "status"] {
            collect(&schema["properties"][part], part, &mut paths);
        }
        paths
    };
    paths(own).difference(&paths(served)).cloned().collect()
}

fn collect(schema: &Value, path: &str, paths: &mut BTreeSet<String>) {
    paths.insert(path.to_owned());
    // OpenAPI wraps a reference or a default into allOf.
    for schema in schema["allOf"].as_array().into_iter().flatten() {
        collect(schema, path, paths);
    }
    if let Some(properties) = schema["properties"].as_object() {
        for (name, property) in properties {
            collect(property, &format!("{path}.{name}"), paths);
        }
    }
    if schema["items"].is_object() {
        collect(&schema["items"], path, paths);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_the_first_field_that_an_older_schema_lacks() {
        let object = |spec: Value| json!({ "properties": { "spec": { "properties": spec }, "status": {} } });
        let own = object(json!({ "paused": {}, "shards": { "items": { "properties": { "name": {} } } } }));
        assert_eq!(missing(&own, &own), Vec::<String>::new());
        let older = object(json!({ "paused": {}, "shards": { "items": { "properties": {} } } }));
        assert_eq!(missing(&own, &older), ["spec.shards.name"]);
    }

    #[test]
    fn the_own_schema_has_fields() {
        let own = serde_json::to_value(ChatCluster::crd()).unwrap();
        let own = &own["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let lacking = missing(own, &json!({}));
        assert!(lacking.contains(&"spec.gateways.replicas".to_owned()), "{lacking:?}");
        assert!(lacking.contains(&"status.conditions.observedGeneration".to_owned()), "{lacking:?}");
    }
}
