//! Who is believed about who somebody is.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::CaSecretRef;

/// An OpenID Connect issuer whose access tokens gateways accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Oidc {
    /// The issuer, exactly as in the claim `iss`: an https URL without query and fragment. Gateways read `<issuer>/.well-known/openid-configuration`, so they must reach it.
    #[schemars(length(min = 9, max = 512), regex(pattern = r"^https://[^/?#@\s][^?#@\s]*$"))]
    pub issuer: String,

    /// What the claim `aud` of an access token must name.
    #[schemars(length(min = 1, max = 512))]
    pub audience: String,

    /// Claim with the name that others see; `name` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub name_claim: Option<String>,

    /// Client id of the page: a public client with authorization code and PKCE. Without it the page offers no sign-in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub client_id: Option<String>,

    /// Authorities that may vouch for the issuer's certificate; those that browsers trust if absent. Gateways take a change while they run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,
}
