//! How new gateways take the place of old ones, and what they have to pass: what a spec says about it, checked.

use std::time::Duration;

use chat_crds::chat_cluster as crd;

use super::{References, ValidateError, invalid, unsigned};
use crate::{
    poll::Consultation,
    prometheus::Source,
    reconcile::validated::{Rollout, SecretKey},
    rollout::{Limits, Query},
};

const PROMETHEUS: &str = "spec.gateways.rollout.analysis.prometheus";

pub(super) fn rollout(spec: &crd::ChatClusterSpec, secrets: &References<'_>) -> Result<Rollout, ValidateError> {
    let watch = unsigned("spec.gateways.rollout.analysisSeconds", spec.effective_analysis_seconds())?;
    let progress_deadline = spec.effective_progress_deadline_seconds();
    let deadline = unsigned("spec.gateways.rollout.progressDeadlineSeconds", progress_deadline)?;
    Ok(Rollout {
        waves: spec.effective_waves(),
        rollback: spec.effective_rollback() == crd::Rollback::Automatic,
        paused: spec.is_rollout_paused(),
        progress_deadline,
        limits: Limits {
            most: spec.effective_analysis(),
            watch: Duration::from_secs(watch.into()),
            deadline: Duration::from_secs(deadline.into()),
            same_broker: false,
        },
        consultation: spec.analysis_prometheus().map(|prometheus| consultation(prometheus, secrets)).transpose()?,
    })
}

fn consultation(prometheus: &crd::Prometheus, secrets: &References<'_>) -> Result<Consultation, ValidateError> {
    // No rest pattern: a new field must not be accepted and then ignored.
    let crd::Prometheus { url, token_secret_ref, ca_secret_ref, queries } = prometheus;
    let token = token_secret_ref.as_ref().map(|from| {
        let at = SecretKey { secret: from.name.clone(), key: from.key_or_default().to_owned() };
        secrets.get(&format!("{PROMETHEUS}.tokenSecretRef"), &at)
    });
    let authorities = ca_secret_ref
        .as_ref()
        .map(|from| secrets.certificates(&format!("{PROMETHEUS}.caSecretRef"), from).map(|(_, content)| content));
    let source = Source { url: url.clone(), token: token.transpose()?, authorities: authorities.transpose()? };
    if !url.starts_with("https://") && (source.token.is_some() || source.authorities.is_some()) {
        return Err(invalid(&format!("{PROMETHEUS}: tokenSecretRef and caSecretRef are for https; use an https URL")));
    }
    Ok(Consultation { source, queries: queries.iter().map(query).collect::<Result<_, _>>()? })
}

fn query(query: &crd::Query) -> Result<Query, ValidateError> {
    let crd::Query { name, query: text, min, max } = query;
    let bound = |field: &str, text: &Option<String>| {
        let no_number = || invalid(&format!("{PROMETHEUS}.queries: {field} of {name} must be a decimal number"));
        text.as_ref().map(|text| text.parse::<f64>().map_err(|_| no_number())).transpose()
    };
    let (min, max) = (bound("min", min)?, bound("max", max)?);
    if min.is_none() && max.is_none() {
        return Err(invalid(&format!("{PROMETHEUS}.queries: {name} has no bounds; set min, max or both")));
    }
    Ok(Query { name: name.clone(), text: text.clone(), min, max })
}
