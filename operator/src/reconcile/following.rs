//! What gateways follow while they run is no part of what names their revision, once they say that they follow it. Pure.
//!
//! The token of the admin port and the authorities of issuers were part of it, since gateways read them at their start. Gateways that follow them must not be
//! restarted for a change, and nobody is to be restarted for a better name: so a revision keeps the name that it was given, and its Deployment remembers what
//! else that name is made of.

use chat_gateway_config::stats::Taken;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::ResourceExt;

use super::{live::Live, observed, validated::Followed};
use crate::{
    adoption::{Lasting, Record},
    build::Kind,
    hash::Hasher,
    names::{Component, annotation, label},
    poll::ClusterView,
};

/// How the revision was named that gateways are of who follow the files, where the spec is still the one that it was made of. `None` where nobody has said that
/// they follow them: then a change of the contents is another revision.
pub(super) fn followed(live: &Live, lasting: &Lasting) -> Option<Followed> {
    let mut known: Vec<(Deployment, Record)> = live
        .all_typed::<Deployment>(Kind::Deployment)
        .into_iter()
        .filter(is_gateways)
        .filter_map(|deployment| {
            let record = Record::read(deployment.annotations().get(annotation::RENDERING))?;
            let is_of_this = record.lasting.as_ref().is_some_and(|noted| noted.inputs == lasting.inputs);
            is_of_this.then_some((deployment, record))
        })
        .collect();
    // The newest is the one that people have, or are on their way to.
    known.sort_by_key(|(deployment, _)| deployment.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let (_, record) = known.pop()?;
    let named = config_hash(&record)?;
    let is_same = record.lasting.as_ref() == Some(lasting);
    // Another operator may write the configuration otherwise. That is another revision; what gateways follow is no part of its name either.
    let config_hash = if is_same { named } else { Hasher::new().text(&lasting.config).text(&named).finish() };
    Some(Followed { config_hash, inputs: record.inputs })
}

fn is_gateways(deployment: &Deployment) -> bool {
    deployment.labels().get(label::COMPONENT).is_some_and(|value| value == Component::Gateway.label())
}

fn config_hash(record: &Record) -> Option<String> {
    record.template["metadata"]["annotations"][annotation::CONFIG_HASH].as_str().map(str::to_owned)
}

/// Whether there are gateways of this template, and all of them say that they follow the files.
pub(super) fn say_so(record: &Record, pods: &[Pod], view: &ClusterView) -> bool {
    let hash = record.template["metadata"]["annotations"][annotation::TEMPLATE_HASH].as_str();
    let is_of_it = |pod: &&Pod| {
        observed::stays(pod)
            && hash.is_some()
            && pod.annotations().get(annotation::TEMPLATE_HASH).map(String::as_str) == hash
    };
    let mut of_it = pods.iter().filter(is_of_it).peekable();
    of_it.peek().is_some() && of_it.all(|pod| said(pod, view).is_some_and(|taken| !taken.admin_tokens.is_empty()))
}

/// What the gateway in `pod` said that it has taken; nothing while it has not spoken, and from one that follows nothing.
fn said<'a>(pod: &Pod, view: &'a ClusterView) -> Option<&'a Taken> {
    view.gateways.get(&pod.name_any())?.live.as_ref()
}
