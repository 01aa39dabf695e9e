//! What is asked for, by the path, and the right that it takes. Pure.

use k8s_openapi::api::authorization::v1::{NonResourceAttributes, ResourceAttributes};

use crate::names::ClusterKey;

/// A group that is served, with its one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Group {
    /// `custom.metrics.k8s.io`, of which a cluster has one server.
    Custom,
    /// The operator's own.
    Own,
}

impl Group {
    pub(super) const ALL: [Self; 2] = [Self::Custom, Self::Own];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Custom => "custom.metrics.k8s.io",
            Self::Own => "metrics.chatcluster.dev",
        }
    }

    pub(super) const fn version(self) -> &'static str {
        match self {
            Self::Custom => "v1beta2",
            Self::Own => "v1alpha1",
        }
    }

    /// How its objects are called in paths and rights.
    pub(super) const fn resource(self) -> &'static str {
        match self {
            Self::Custom => "chatclusters.chatcluster.dev",
            Self::Own => "chatclusters",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name)
    }
}

/// A metric of a ChatCluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Metric {
    /// Open connections over all gateways.
    Connections,
    /// Messages that all gateways take in a second.
    MessagesPerSecond,
    /// Percent of `connectionsPerGateway` that ready gateways have on average.
    Utilization,
}

impl Metric {
    pub(super) const ALL: [Self; 3] = [Self::Connections, Self::MessagesPerSecond, Self::Utilization];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::MessagesPerSecond => "messages_per_second",
            Self::Utilization => "utilization",
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Question {
    /// Which groups there are.
    Groups,
    /// Which versions a group has.
    Group(Group),
    /// What is in its version.
    Resources(Group),
    /// A metric of a ChatCluster.
    Value(ClusterKey, Metric),
    /// All that there is to know about a ChatCluster's load.
    Load(ClusterKey),
}

impl Question {
    /// The question of a path; `None` when nothing is there.
    pub(super) fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let [root, parts @ ..] = parts.as_slice() else { return None };
        if *root != "apis" {
            return None;
        }
        let [group, parts @ ..] = parts else { return Some(Self::Groups) };
        let group = Group::named(group)?;
        let [version, parts @ ..] = parts else { return Some(Self::Group(group)) };
        if *version != group.version() {
            return None;
        }
        match *parts {
            [] => Some(Self::Resources(group)),
            ["namespaces", namespace, resource, name, ref rest @ ..] if resource == group.resource() => {
                let cluster = ClusterKey::new(name_of(namespace)?, name_of(name)?);
                match (group, rest) {
                    (Group::Own, []) => Some(Self::Load(cluster)),
                    (Group::Custom, [metric]) => {
                        let metric = Metric::ALL.into_iter().find(|known| known.name() == *metric)?;
                        Some(Self::Value(cluster, metric))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The right to get it, as the API server itself has understood the path.
    pub(super) fn right(&self) -> Right {
        let resource = |group: Group, cluster: &ClusterKey, subresource: Option<&str>| ResourceAttributes {
            group: Some(group.name().to_owned()),
            version: Some(group.version().to_owned()),
            resource: Some(group.resource().to_owned()),
            subresource: subresource.map(str::to_owned),
            namespace: Some(cluster.namespace.clone()),
            name: Some(cluster.name.clone()),
            verb: Some("get".to_owned()),
            ..ResourceAttributes::default()
        };
        let path = match self {
            Self::Value(cluster, metric) => {
                return Right::Resource(Box::new(resource(Group::Custom, cluster, Some(metric.name()))));
            }
            Self::Load(cluster) => return Right::Resource(Box::new(resource(Group::Own, cluster, None))),
            Self::Groups => "/apis".to_owned(),
            Self::Group(group) => format!("/apis/{}", group.name()),
            Self::Resources(group) => format!("/apis/{}/{}", group.name(), group.version()),
        };
        Right::Path(NonResourceAttributes { path: Some(path), verb: Some("get".to_owned()) })
    }
}

/// A right to get something.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Right {
    /// Something in a namespace.
    Resource(Box<ResourceAttributes>),
    /// What is no object.
    Path(NonResourceAttributes),
}

/// A part of a path that can be the name of an object, and so needs no decoding.
fn name_of(part: &str) -> Option<&str> {
    let usual = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.';
    (!part.is_empty() && part.len() <= 253 && part.bytes().all(usual)).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_questions() {
        let demo = ClusterKey::new("chat", "demo");
        let metric =
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/chat/chatclusters.chatcluster.dev/demo/connections";
        let load = "/apis/metrics.chatcluster.dev/v1alpha1/namespaces/chat/chatclusters/demo";
        assert_eq!(Question::of(metric), Some(Question::Value(demo.clone(), Metric::Connections)));
        assert_eq!(Question::of(load), Some(Question::Load(demo)));
        assert_eq!(Question::of("/apis"), Some(Question::Groups));
        assert_eq!(Question::of("/apis/"), Some(Question::Groups));
        assert_eq!(Question::of("/apis/custom.metrics.k8s.io"), Some(Question::Group(Group::Custom)));
        assert_eq!(Question::of("/apis/metrics.chatcluster.dev/v1alpha1"), Some(Question::Resources(Group::Own)));
        for nothing in [
            "/",
            "/healthz",
            "/openapi/v2",
            "/apis/apps",
            "/apis/custom.metrics.k8s.io/v1beta1",
            &metric.replace("connections", "secrets"),
            &metric.replace("/demo", "/*"),
            &metric.replace("/demo", "/%2e%2e"),
            &metric.replace("/demo", "/"),
            &metric.replace("chatclusters.chatcluster.dev", "pods"),
            &format!("{metric}/more"),
            &format!("{load}/connections"),
            &load.replace("/demo", ""),
        ] {
            assert_eq!(Question::of(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_right_is_the_one_that_roles_name() {
        let of = |path: &str| Question::of(path).unwrap().right();
        let Right::Resource(metric) =
            of("/apis/custom.metrics.k8s.io/v1beta2/namespaces/chat/chatclusters.chatcluster.dev/demo/utilization")
        else {
            panic!("a metric is in a namespace")
        };
        assert_eq!(metric.group.as_deref(), Some("custom.metrics.k8s.io"));
        assert_eq!(metric.resource.as_deref(), Some("chatclusters.chatcluster.dev"));
        assert_eq!(metric.subresource.as_deref(), Some("utilization"));
        assert_eq!((metric.namespace.as_deref(), metric.name.as_deref()), (Some("chat"), Some("demo")));
        assert_eq!(metric.verb.as_deref(), Some("get"));
        let Right::Path(path) = of("/apis/metrics.chatcluster.dev") else { panic!("a group is no object") };
        assert_eq!(path.path.as_deref(), Some("/apis/metrics.chatcluster.dev"));
    }
}
