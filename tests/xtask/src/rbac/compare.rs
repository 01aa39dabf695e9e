//! What was used against what is granted: pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    grants::{Bound, Grant, qualified},
    requests::Request,
    unused::Kept,
};

/// One installation of the chart.
#[derive(Debug)]
pub(crate) struct Install {
    /// Its service account, `system:serviceaccount:NAMESPACE:NAME`.
    pub(crate) user: String,
    /// What the chart's roles grant it.
    pub(crate) grants: Vec<Bound>,
    /// Whether its rights lie in the namespace that it serves, and go with that while it still runs: what it is refused in its last moment is no fault.
    pub(crate) goes_with_its_namespace: bool,
}

/// What is wrong, and what is to be known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Asked for and refused; or asked for by an installation that nobody told of.
    pub(crate) refused: BTreeSet<String>,
    /// Allowed, and not by the chart's roles: by something that the chart does not bring along.
    pub(crate) ungranted: BTreeSet<String>,
    /// Granted, never used, and not on the list of those to keep.
    pub(crate) unused: BTreeSet<String>,
    /// On the list, and used or not granted at all.
    pub(crate) stale: BTreeSet<String>,
    /// Refused to installations that went with their namespaces, all of it granted by the chart.
    pub(crate) last_moments: BTreeSet<String>,
}

/// What everybody who is logged in may ask for.
const EVERYBODY: &[(&str, &str)] = &[
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
];

/// Compares. Without `kept`, only whether all that was used is granted: a part of the tests uses a part of the rights.
pub(crate) fn compare(installs: &[Install], requests: &BTreeSet<Request>, kept: Option<&[Kept]>) -> Findings {
    let mut findings = Findings::default();
    // By grant, whether anybody used it.
    let mut used: BTreeMap<&Grant, bool> = BTreeMap::new();
    for bound in installs.iter().flat_map(|install| &install.grants).filter(|bound| bound.ours) {
        used.entry(&bound.grant).or_default();
    }
    for request in requests {
        let Some(install) = installs.iter().find(|install| install.user == request.user) else {
            findings.refused.insert(format!("{}: nobody told of this installation", request.user));
            continue;
        };
        let covering: Vec<&Bound> = install.grants.iter().filter(|bound| bound.covers(request)).collect();
        let granted = !covering.is_empty();
        if !request.allowed {
            let last = granted && install.goes_with_its_namespace;
            let list = if last { &mut findings.last_moments } else { &mut findings.refused };
            list.insert(describe(request));
            continue;
        }
        let by_all = EVERYBODY.contains(&(request.group.as_str(), request.resource.as_str()));
        if !granted && !by_all {
            findings.ungranted.insert(describe(request));
        }
        for bound in covering.iter().filter(|bound| bound.ours) {
            used.insert(&bound.grant, true);
        }
    }
    if let Some(kept) = kept {
        let unused = used.iter().filter(|(_, used)| !**used).map(|(grant, _)| *grant);
        let listed = |grant: &Grant| kept.iter().any(|entry| entry.names(grant));
        findings.unused = unused.clone().filter(|grant| !listed(grant)).map(ToString::to_string).collect();
        for entry in kept {
            for &verb in entry.verbs {
                if !unused.clone().any(|grant| grant.verb == verb && entry.names(grant)) {
                    findings.stale.insert(format!("{verb} {}", qualified(entry.group, entry.resource)));
                }
            }
        }
    }
    findings
}

fn describe(request: &Request) -> String {
    let place = match (&request.namespace, &request.name) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        (Some(namespace), None) => format!("namespace {namespace}"),
        (None, Some(name)) => name.clone(),
        (None, None) => "the whole cluster".to_owned(),
    };
    format!("{}: {} {} in {place}", request.user, request.verb, qualified(&request.group, &request.resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: &str = "system:serviceaccount:chat-system:chat-operator";
    const APART: &str = "system:serviceaccount:apart:chat-operator";

    fn bound(group: &str, resource: &str, verb: &str, namespace: Option<&str>) -> Bound {
        let grant = Grant { group: group.into(), resource: resource.into(), verb: verb.into(), names: Vec::new() };
        Bound { grant, namespace: namespace.map(str::to_owned), ours: true }
    }

    fn installs() -> Vec<Install> {
        let rules = |namespace: Option<&str>| {
            vec![bound("", "pods", "get", namespace), bound("apps", "deployments/scale", "patch", namespace)]
        };
        vec![
            Install { user: WIDE.into(), grants: rules(None), goes_with_its_namespace: false },
            Install { user: APART.into(), grants: rules(Some("apart")), goes_with_its_namespace: true },
        ]
    }

    fn asked(user: &str, verb: &str, (group, resource): (&str, &str), namespace: &str, allowed: bool) -> Request {
        Request {
            user: user.into(),
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            namespace: Some(namespace.into()),
            name: Some("one".into()),
            allowed,
        }
    }

    const PODS: (&str, &str) = ("", "pods");
    const SCALE: (&str, &str) = ("apps", "deployments/scale");
    const KEPT: &[Kept] = &[Kept { group: "apps", resource: "deployments/scale", verbs: &["patch"], why: "test" }];

    fn found(requests: &[Request], kept: Option<&[Kept]>) -> Findings {
        compare(&installs(), &requests.iter().cloned().collect(), kept)
    }

    #[test]
    fn a_run_that_uses_everything_and_nothing_else_is_fine() {
        // Together: what one installation does not use, another one may.
        let all = [asked(WIDE, "get", PODS, "a", true), asked(APART, "patch", SCALE, "apart", true)];
        assert_eq!(found(&all, Some(&[])), Findings::default());
    }

    #[test]
    fn what_was_used_must_be_granted_by_the_chart() {
        let all = [asked(WIDE, "delete", PODS, "a", true), asked(APART, "get", PODS, "elsewhere", true)];
        let ungranted = found(&all, None).ungranted;
        assert_eq!(
            Vec::from_iter(ungranted),
            [format!("{APART}: get pods in elsewhere/one"), format!("{WIDE}: delete pods in a/one")]
        );
    }

    #[test]
    fn a_refusal_is_a_fault_but_for_the_last_moments_of_who_goes_with_his_namespace() {
        let refused = |user, resource, namespace| found(&[asked(user, "get", resource, namespace, false)], None);
        assert_eq!(refused(WIDE, PODS, "a").refused.len(), 1, "granted, and refused all the same");
        assert_eq!(refused(APART, SCALE, "apart").refused.len(), 1, "not granted: no role went away");
        let last = refused(APART, PODS, "apart");
        assert!(last.refused.is_empty() && last.last_moments.len() == 1);
    }

    #[test]
    fn an_installation_that_nobody_told_of_is_a_fault() {
        let stranger = asked("system:serviceaccount:new:chat-operator", "get", PODS, "new", true);
        assert_eq!(found(&[stranger], None).refused.len(), 1);
    }

    #[test]
    fn a_grant_that_nobody_used_is_to_be_on_the_list() {
        let some = [asked(WIDE, "get", PODS, "a", true)];
        assert_eq!(Vec::from_iter(found(&some, Some(&[])).unused), ["patch deployments/scale.apps"]);
        assert_eq!(found(&some, Some(KEPT)), Findings::default());
        assert_eq!(found(&some, None), Findings::default(), "a part of the tests uses a part");
        // Refused is not used.
        let refused = [asked(WIDE, "get", PODS, "a", true), asked(APART, "patch", SCALE, "apart", false)];
        assert_eq!(found(&refused, Some(&[])).unused.len(), 1);
    }

    #[test]
    fn an_entry_of_the_list_that_is_used_or_not_granted_is_stale() {
        let all = [asked(WIDE, "get", PODS, "a", true), asked(WIDE, "patch", SCALE, "a", true)];
        assert_eq!(Vec::from_iter(found(&all, Some(KEPT)).stale), ["patch deployments/scale.apps"]);
        let elsewhere = [Kept { group: "", resource: "nodes", verbs: &["get", "list"], why: "test" }];
        assert_eq!(Vec::from_iter(found(&all, Some(&elsewhere)).stale), ["get nodes", "list nodes"]);
    }
}
