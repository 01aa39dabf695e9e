//! Who may connect to whom, by the NetworkPolicies and the labels of live pods. The local network enforces none, so they are evaluated here as
//! the API defines them: a wrong selector would shut out a part, or let in a stranger, on the first cluster that does.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::world::OPERATOR_NAMESPACE;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Namespace, Pod},
        networking::v1::{NetworkPolicy, NetworkPolicyPeer},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::{
    Api, Client, ResourceExt as _,
    api::ListParams,
    core::{Selector, SelectorExt as _},
};

use crate::shared::{NAMESPACE, shared};

pub(crate) const COMPONENT: &str = "app.kubernetes.io/component";

type Labels = BTreeMap<String, String>;

/// A pod, as policies see it.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    pub(crate) namespace: String,
    pub(crate) labels: Labels,
}

/// The policies of a namespace, and the labels of all namespaces.
pub(crate) struct Rules {
    namespace: String,
    pub(crate) policies: Vec<NetworkPolicy>,
    namespaces: BTreeMap<String, Labels>,
}

impl Rules {
    pub(crate) async fn read(client: &Client, namespace: &str) -> Result<Self> {
        let policies = Api::namespaced(client.clone(), namespace).list(&ListParams::default()).await?.items;
        let namespaces = Api::<Namespace>::all(client.clone()).list(&ListParams::default()).await?;
        let labelled = |namespace: Namespace| (namespace.name_any(), namespace.metadata.labels.unwrap_or_default());
        let namespaces = namespaces.into_iter().map(labelled).collect();
        Ok(Self { namespace: namespace.to_owned(), policies, namespaces })
    }

    /// Whether `from` may open a connection to this port of `to`, a pod of the policies' namespace.
    pub(crate) fn allow(&self, from: &Party, to: &Party, port: i32) -> Result<bool> {
        let mut selected = false;
        for policy in &self.policies {
            let spec = policy.spec.as_ref().context("a policy without spec")?;
            if !matches(spec.pod_selector.as_ref(), &to.labels)? {
                continue;
            }
            selected = true;
            for rule in spec.ingress.iter().flatten() {
                let port = Some(IntOrString::Int(port));
                let on_port = rule.ports.as_ref().is_none_or(|ports| ports.iter().any(|rule| rule.port == port));
                let Some(peers) = &rule.from else {
                    if on_port {
                        return Ok(true);
                    }
                    continue;
                };
                for peer in peers {
                    if on_port && self.is(from, peer)? {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(!selected)
    }

    fn is(&self, party: &Party, peer: &NetworkPolicyPeer) -> Result<bool> {
        ensure!(peer.ip_block.is_none(), "addresses are not expected: {peer:?}");
        let namespace = match &peer.namespace_selector {
            None => party.namespace == self.namespace,
            Some(selector) => matches(Some(selector), &self.namespaces[&party.namespace])?,
        };
        Ok(namespace && matches(peer.pod_selector.as_ref(), &party.labels)?)
    }
}

/// An empty selector is everybody.
pub(crate) fn matches(selector: Option<&LabelSelector>, labels: &Labels) -> Result<bool> {
    let Some(selector) = selector else { return Ok(true) };
    Ok(Selector::try_from(selector.clone())?.matches(labels))
}

pub(crate) async fn parties(client: &Client, namespace: &str) -> Result<Vec<Party>> {
    let pods = Api::<Pod>::namespaced(client.clone(), namespace).list(&ListParams::default()).await?;
    let party = |pod: Pod| Party { namespace: namespace.to_owned(), labels: pod.metadata.labels.unwrap_or_default() };
    Ok(pods.into_iter().map(party).collect())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn network_policies_let_in_who_belongs_there_and_nobody_else() -> Result<()> {
    let cluster = shared().await?;
    let client = &cluster.world.client;
    let rules = Rules::read(client, NAMESPACE).await?;
    let pods = parties(client, NAMESPACE).await?;
    let of = |component: &str| -> Result<Vec<&Party>> {
        let found: Vec<_> =
            pods.iter().filter(|pod| pod.labels.get(COMPONENT).is_some_and(|own| own == component)).collect();
        ensure!(!found.is_empty(), "no pod of {component}");
        Ok(found)
    };
    let jobs = Api::<Job>::namespaced(client.clone(), NAMESPACE).list(&ListParams::default()).await?;
    let template = jobs.items.first().and_then(|job| job.spec.as_ref()?.template.metadata.clone());
    let labels = template.and_then(|template| template.labels).context("no migration")?;
    let migration = Party { namespace: NAMESPACE.to_owned(), labels };
    let operator = parties(client, OPERATOR_NAMESPACE).await?.pop().context("no operator")?;
    let stranger = Party { namespace: NAMESPACE.to_owned(), labels: Labels::new() };
    // The same labels in another namespace are somebody else's.
    let impostor =
        |party: &Party, namespace: &str| Party { namespace: namespace.to_owned(), labels: party.labels.clone() };
    let gateway = of("gateway")?[0].clone();
    let everybody = [&gateway, &migration, &operator, &stranger];
    let (away, false_operator) = (impostor(&gateway, "default"), impostor(&operator, "default"));
    for (component, port, welcome) in [
        ("gateway", 8080, vec![&gateway, &migration, &operator, &stranger]),
        ("gateway", 8081, vec![&operator]),
        ("broker", 5672, vec![&gateway]),
        ("cache", 6379, vec![&gateway]),
        ("database", 5432, vec![&gateway, &migration]),
        ("database", 8080, vec![]),
    ] {
        for target in of(component)? {
            for party in everybody {
                let expected = welcome.iter().any(|welcome| std::ptr::eq(*welcome, party));
                let allowed = rules.allow(party, target, port)?;
                ensure!(allowed == expected, "{party:?} may connect to {component}:{port}: {allowed}");
            }
            if port != 8080 || component != "gateway" {
                for party in [&away, &false_operator] {
                    ensure!(!rules.allow(party, target, port)?, "{party:?} may connect to {component}:{port}");
                }
            }
        }
    }
    Ok(())
}
