//! What the chart grants the operator and a whole run of the end-to-end tests does not use.

use super::grants::Grant;

/// Verbs on a resource that stay granted, and why.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Empty for the core group.
    pub(crate) group: &'static str,
    /// `RESOURCE`, or `RESOURCE/SUBRESOURCE`.
    pub(crate) resource: &'static str,
    /// At least one.
    pub(crate) verbs: &'static [&'static str],
    /// When they are needed.
    pub(crate) why: &'static str,
}

impl Kept {
    /// Whether a grant is one of these.
    pub(crate) fn names(&self, grant: &Grant) -> bool {
        grant.group == self.group && grant.resource == self.resource && self.verbs.contains(&grant.verb.as_str())
    }
}

/// An entry that a run uses after all fails the step `e2e`, as a grant does that is neither used nor here.
pub(crate) const KEPT: &[Kept] = &[
    Kept {
        group: "chatcluster.dev",
        resource: "chatclusters/finalizers",
        verbs: &["update"],
        why: "asked for by the admission plugin OwnerReferencesPermissionEnforcement, which the local Kubernetes does not run and OpenShift does",
    },
    Kept {
        group: "chatcluster.dev",
        resource: "shardrebalances",
        verbs: &["delete"],
        why: "for plans of its own that are over and more than are kept; no test makes so many",
    },
    Kept {
        group: "kafka.strimzi.io",
        resource: "kafkas",
        verbs: &["list", "watch"],
        why: "for clusterRef on a Kubernetes with Strimzi, whose images a run cannot have",
    },
    Kept {
        group: "kafka.strimzi.io",
        resource: "kafkausers",
        verbs: &["list", "watch"],
        why: "for clusterRef on a Kubernetes with Strimzi, whose images a run cannot have",
    },
    Kept {
        group: "kafka.strimzi.io",
        resource: "kafkatopics",
        verbs: &["list", "watch"],
        why: "for clusterRef on a Kubernetes with Strimzi, whose images a run cannot have",
    },
];
