//! Issuers of tokens: what a spec says about them, checked.

use chat_crds::chat_cluster as crd;
use chat_gateway_config::Oidc;

use super::{References, ValidateError, invalid};
use crate::reconcile::validated::{Authorities, Issuer};

/// The issuers that gateways believe.
pub(super) fn issuers(spec: &crd::ChatClusterSpec, secrets: &References<'_>) -> Result<Vec<Issuer>, ValidateError> {
    let listed = spec.auth.iter().flat_map(|auth| &auth.oidc).enumerate();
    let issuers: Vec<Issuer> =
        listed.map(|(nth, issuer)| self::issuer(nth, issuer, secrets)).collect::<Result<_, _>>()?;
    let configs: Vec<Oidc> = issuers.iter().map(|issuer| issuer.config.clone()).collect();
    Oidc::check(&configs).map_err(|error| invalid(&format!("spec.{error}")))?;
    Ok(issuers)
}

fn issuer(nth: usize, issuer: &crd::Oidc, secrets: &References<'_>) -> Result<Issuer, ValidateError> {
    // No rest pattern: a new field must not be accepted and then ignored.
    let crd::Oidc { issuer, audience, name_claim, client_id, ca_secret_ref } = issuer;
    let field = format!("spec.auth.oidc[{nth}].caSecretRef");
    let ca = ca_secret_ref.as_ref().map(|from| secrets.certificates(&field, from)).transpose()?;
    let config = Oidc {
        issuer: issuer.clone(),
        audience: audience.clone(),
        name_claim: name_claim.clone().unwrap_or_else(Oidc::default_name_claim),
        client_id: client_id.clone(),
        ca_file: None,
    };
    Ok(Issuer { config, ca: ca.map(|(from, content)| Authorities { from, content }) })
}
