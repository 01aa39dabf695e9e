//! What a Prometheus is asked about the new gateways of a rollout.

use kube::ResourceExt;

use super::{live::Live, observed, rollout, validated::ValidatedCluster};
use crate::{
    names::{annotation, label},
    poll::Consultation,
    rollout::{Course, Query},
};

/// What to ask while clients go by `course`; `None` where there is nothing to ask, or nothing new to ask about.
pub(super) fn consultation(cluster: &ValidatedCluster, live: &Live, course: Option<&Course>) -> Option<Consultation> {
    let Consultation { source, queries } = cluster.gateways.rollout.consultation.clone()?;
    let course = course.filter(|course| !course.back)?;
    let deployments = rollout::deployments(live);
    let old = deployments
        .iter()
        .filter(|other| other.name_any() != course.revision && observed::wanted(other) > 0)
        .max_by_key(|other| other.annotations().get(annotation::ROLLED_OUT));
    let new = deployments.iter().find(|deployment| deployment.name_any() == course.revision);
    // Those of an operator that knew no revisions have none.
    let [revision, stable] = [new, old].map(|deployment| {
        deployment.and_then(|deployment| deployment.labels().get(label::REVISION)).map_or("", String::as_str)
    });
    let names = [
        ("{revision}", revision),
        ("{stable}", stable),
        ("{cluster}", cluster.key.name.as_str()),
        ("{namespace}", cluster.key.namespace.as_str()),
    ];
    let filled = |query: Query| Query { text: fill(&query.text, &names), ..query };
    Some(Consultation { source, queries: queries.into_iter().map(filled).collect() })
}

/// The text with the names in braces replaced. Braces with anything else between them are selectors.
fn fill(text: &str, names: &[(&str, &str)]) -> String {
    names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_braces_are_replaced_and_selectors_are_not() {
        let names = [("{revision}", "4fdb9fe9ce"), ("{cluster}", "demo")];
        let text = r#"rate(a{pod=~"{cluster}-gateway-{revision}-.*"}[1m]) / rate(a{revision="x"}[1m])"#;
        let filled = r#"rate(a{pod=~"demo-gateway-4fdb9fe9ce-.*"}[1m]) / rate(a{revision="x"}[1m])"#;
        assert_eq!(fill(text, &names), filled);
    }
}
