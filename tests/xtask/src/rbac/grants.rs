//! What the chart's roles grant the operator's service account, out of rendered manifests.

use anyhow::{Context as _, Result};
use serde::Deserialize as _;
use serde_json::Value;

use super::requests::Request;

/// One verb on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grant {
    /// Empty for the core group, `*` for all.
    pub(crate) group: String,
    /// `RESOURCE`, `RESOURCE/SUBRESOURCE`, `*/SUBRESOURCE`, or `*` for everything.
    pub(crate) resource: String,
    /// `*` for all.
    pub(crate) verb: String,
    /// Objects that it is limited to; empty for all.
    pub(crate) names: Vec<String>,
}

/// A grant, and where it holds.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    /// What is granted.
    pub(crate) grant: Grant,
    /// The namespace of the binding; None where it holds in the whole cluster.
    pub(crate) namespace: Option<String>,
    /// Whether the role is the chart's, and not one of Kubernetes' own that the chart binds.
    pub(crate) ours: bool,
}

impl Grant {
    /// Whether it covers a request, its namespace apart: the rules are those of Kubernetes' own authorizer.
    fn covers(&self, request: &Request) -> bool {
        let any = |own: &str, asked: &str| own == "*" || own == asked;
        let resource = any(&self.resource, &request.resource)
            || self.resource.strip_prefix("*/").is_some_and(|subresource| {
                request.resource.split_once('/').is_some_and(|(_, asked)| asked == subresource)
            });
        let named =
            self.names.is_empty() || request.name.as_ref().is_some_and(|name| self.names.iter().any(|own| own == name));
        any(&self.verb, &request.verb) && any(&self.group, &request.group) && resource && named
    }
}

impl Bound {
    /// Whether it covers a request.
    pub(crate) fn covers(&self, request: &Request) -> bool {
        let here = self.namespace.as_ref().is_none_or(|own| request.namespace.as_ref() == Some(own));
        here && self.grant.covers(request)
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, qualified(&self.group, &self.resource))?;
        if self.names.is_empty() { Ok(()) } else { write!(f, " named {}", self.names.join(", ")) }
    }
}

/// `RESOURCE.GROUP`, as kubectl writes it.
pub(crate) fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

/// The documents of what Helm rendered.
///
/// # Errors
/// One is no YAML.
pub(crate) fn documents(rendered: &str) -> Result<Vec<Value>> {
    let documents = serde_yaml_ng::Deserializer::from_str(rendered).map(Value::deserialize);
    Ok(documents.collect::<Result<_, _>>()?)
}

/// All that the bindings among `documents` grant the service account `namespace/name`; roles that are not among them are looked up in `known`.
///
/// # Errors
/// A binding refers to a role that is nowhere, or a role cannot be read.
pub(crate) fn grants(documents: &[Value], known: &[Value], namespace: &str, name: &str) -> Result<Vec<Bound>> {
    let mut granted = Vec::new();
    for binding in documents {
        let wide = match binding["kind"].as_str() {
            Some("ClusterRoleBinding") => true,
            Some("RoleBinding") => false,
            _ => continue,
        };
        let mut subjects = binding["subjects"].as_array().into_iter().flatten();
        if !subjects.any(|who| who["kind"] == "ServiceAccount" && who["name"] == name && who["namespace"] == namespace)
        {
            continue;
        }
        let held = binding["metadata"]["namespace"].as_str().unwrap_or(namespace);
        let (kind, role) = (&binding["roleRef"]["kind"], &binding["roleRef"]["name"]);
        let fits = |object: &&Value| {
            let here = kind == "ClusterRole" || object["metadata"]["namespace"] == held;
            object["kind"] == *kind && object["metadata"]["name"] == *role && here
        };
        let found = documents.iter().find(fits).map(|role| (role, true));
        let found = found.or_else(|| known.iter().find(fits).map(|role| (role, false)));
        let (found, ours) =
            found.with_context(|| format!("a binding in {held} refers to {kind} {role}, which is nowhere"))?;
        let rules = found["rules"].as_array().with_context(|| format!("{kind} {role} has no rules"))?;
        for grant in rules.iter().flat_map(expand) {
            granted.push(Bound { grant, namespace: (!wide).then(|| held.to_owned()), ours });
        }
    }
    Ok(granted)
}

/// Every verb on every resource of a rule.
fn expand(rule: &Value) -> Vec<Grant> {
    let words = |field: &str| -> Vec<String> {
        rule[field].as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let names = words("resourceNames");
    let mut all = Vec::new();
    for group in words("apiGroups") {
        for resource in words("resources") {
            for verb in words("verbs") {
                let (group, resource) = (group.clone(), resource.clone());
                all.push(Grant { group, resource, verb, names: names.clone() });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHART: &str = r#"
kind: ClusterRole
metadata: { name: wide }
rules:
  - apiGroups: ["", apps]
    resources: [pods, deployments/scale]
    verbs: [get, list]
---
kind: ClusterRoleBinding
metadata: { name: wide }
roleRef: { kind: ClusterRole, name: wide }
subjects: [{ kind: ServiceAccount, name: chat-operator, namespace: chat-system }]
---
kind: RoleBinding
metadata: { name: reader, namespace: kube-system }
roleRef: { kind: Role, name: theirs }
subjects: [{ kind: ServiceAccount, name: chat-operator, namespace: chat-system }]
---
kind: ClusterRoleBinding
metadata: { name: others }
roleRef: { kind: ClusterRole, name: nowhere }
subjects: [{ kind: ServiceAccount, name: somebody, namespace: chat-system }]
"#;
    const THEIRS: &str = r#"
kind: Role
metadata: { name: theirs, namespace: kube-system }
rules: [{ apiGroups: [""], resources: [configmaps], resourceNames: [one], verbs: [get] }]
"#;

    fn asked(verb: &str, group: &str, resource: &str, namespace: Option<&str>, name: Option<&str>) -> Request {
        let text = |text: &str| text.to_owned();
        let (namespace, name) = (namespace.map(text), name.map(text));
        Request {
            user: String::new(),
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            namespace,
            name,
            allowed: true,
        }
    }

    fn grant(group: &str, resource: &str, verb: &str, names: &[&str]) -> Grant {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Grant { group: group.into(), resource: resource.into(), verb: verb.into(), names }
    }

    #[test]
    fn rules_are_read_where_they_are_bound_to_the_account() {
        let (chart, theirs) = (documents(CHART).unwrap(), documents(THEIRS).unwrap());
        let granted = grants(&chart, &theirs, "chat-system", "chat-operator").unwrap();
        assert_eq!(granted.len(), 2 * 2 * 2 + 1);
        let covers = |request: &Request| granted.iter().any(|bound| bound.covers(request));
        assert!(covers(&asked("list", "apps", "deployments/scale", Some("anywhere"), None)));
        assert!(!covers(&asked("list", "apps", "deployments", Some("anywhere"), None)));
        assert!(covers(&asked("get", "", "configmaps", Some("kube-system"), Some("one"))));
        assert!(!covers(&asked("get", "", "configmaps", Some("kube-system"), Some("two"))));
        assert!(!covers(&asked("get", "", "configmaps", Some("elsewhere"), Some("one"))));
        let ours = granted.iter().filter(|bound| bound.ours).count();
        assert_eq!(ours, 8, "the role of Kubernetes' own is not the chart's to reduce");
    }

    #[test]
    fn a_role_that_is_nowhere_is_an_error() {
        let error = grants(&documents(CHART).unwrap(), &[], "chat-system", "chat-operator").unwrap_err();
        assert!(error.to_string().contains("theirs"), "{error}");
    }

    #[test]
    fn wildcards_cover_what_the_authorizer_lets_them() {
        let scale = asked("patch", "apps", "deployments/scale", None, None);
        assert!(grant("*", "*", "*", &[]).covers(&scale));
        assert!(grant("apps", "*/scale", "patch", &[]).covers(&scale));
        assert!(!grant("apps", "deployments/*", "patch", &[]).covers(&scale));
        assert!(!grant("apps", "deployments", "patch", &[]).covers(&scale));
        assert!(!grant("apps", "*/scale", "patch", &[]).covers(&asked("patch", "apps", "deployments", None, None)));
    }

    #[test]
    fn names_cover_no_collection_and_no_new_object() {
        let named = grant("", "secrets", "*", &["one"]);
        assert!(named.covers(&asked("get", "", "secrets", Some("a"), Some("one"))));
        assert!(!named.covers(&asked("list", "", "secrets", Some("a"), None)));
        assert!(!named.covers(&asked("create", "", "secrets", Some("a"), None)));
    }
}
