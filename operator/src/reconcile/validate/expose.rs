//! What stands in front of the gateways.

use chat_crds::chat_cluster as crd;
use rustls::{
    InconsistentKeys,
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

use super::{Problem, References, ValidateError, invalid, unsigned};
use crate::{
    build::Kind,
    names::key,
    poll::AddressTemplate,
    reconcile::{
        exposed::{Certificate, Expose, LoadBalancer, Tier},
        validated::SecretKey,
    },
    sensitive::Sensitive,
};

/// Reason when the API server does not serve a kind that the spec needs.
pub(in crate::reconcile) const KIND_NOT_SERVED: &str = "KindNotServed";

/// Fewest places for gateways in a tier: most clusters never get to a change that replaces its pods.
const FEWEST_SLOTS: u32 = 64;

pub(super) fn expose(spec: &crd::ChatClusterSpec, secrets: &References<'_>) -> Result<Expose, ValidateError> {
    let expose = spec.gateways.as_ref().and_then(|gateways| gateways.expose.as_ref());
    let missing = |block: &str| invalid(&format!("spec.gateways.expose.{block}: the type needs it; set it"));
    Ok(match spec.effective_expose_type() {
        crd::ExposeType::ClusterIP => Expose::ClusterIp,
        crd::ExposeType::LoadBalancer => {
            Expose::LoadBalancer(load_balancer(expose.and_then(|expose| expose.load_balancer.clone())))
        }
        crd::ExposeType::HAProxy => Expose::HaProxy(Box::new(tier(spec, secrets)?)),
        crd::ExposeType::Ingress => {
            Expose::Ingress(expose.and_then(|expose| expose.ingress.clone()).ok_or_else(|| missing("ingress"))?)
        }
        crd::ExposeType::HTTPRoute => {
            let route = expose.and_then(|expose| expose.http_route.clone()).ok_or_else(|| missing("httpRoute"))?;
            if secrets.0.live.not_served.contains(&Kind::HttpRoute) {
                let message = "spec.gateways.expose.httpRoute: this Kubernetes does not serve HTTPRoute of \
                               gateway.networking.k8s.io/v1; install the Gateway API, or set another type";
                return Err(ValidateError::Unmet(Problem::new(KIND_NOT_SERVED, message.to_owned())));
            }
            Expose::HttpRoute(route)
        }
    })
}

fn load_balancer(given: Option<crd::LoadBalancer>) -> LoadBalancer {
    let crd::LoadBalancer { load_balancer_class, annotations } = given.unwrap_or_default();
    LoadBalancer { class: load_balancer_class, annotations: annotations.unwrap_or_default() }
}

fn tier(spec: &crd::ChatClusterSpec, secrets: &References<'_>) -> Result<Tier, ValidateError> {
    const FIELD: &str = "spec.gateways.expose.haproxy";
    // No rest pattern: a new field must not be accepted and then ignored.
    let crd::HaProxy { replicas, tls_secret_ref, proxy_protocol, drain_seconds, service, resources } =
        spec.haproxy().unwrap_or_default();
    let drain_seconds = drain_seconds.unwrap_or(crd::DEFAULT_TIER_DRAIN_SECONDS);
    let crd::TierService { type_, load_balancer: balancer } = service.unwrap_or_default();
    Ok(Tier {
        replicas: replicas.unwrap_or(crd::DEFAULT_TIER_REPLICAS),
        slots: slots(spec)?,
        certificate: tls_secret_ref.map(|from| secrets.certificate(&from)).transpose()?,
        proxy_protocol: proxy_protocol.unwrap_or(false),
        drain_seconds: unsigned(&format!("{FIELD}.drainSeconds"), drain_seconds)?,
        load_balancer: match type_ {
            Some(crd::TierServiceType::LoadBalancer) => Some(load_balancer(balancer)),
            Some(crd::TierServiceType::ClusterIP) | None => None,
        },
        resources,
    })
}

/// Twice the gateways that there may be, in steps that are taken rarely: in a rollout all of them may be there twice.
fn slots(spec: &crd::ChatClusterSpec) -> Result<u32, ValidateError> {
    let most = spec.native_autoscaling().and_then(|autoscaling| autoscaling.max_replicas);
    let most = unsigned("spec.gateways.replicas", most.unwrap_or_else(|| spec.effective_replicas()))?;
    Ok(most.saturating_mul(2).next_power_of_two().max(FEWEST_SLOTS))
}

/// How clients reach a single gateway.
pub(super) fn hints(spec: &crd::ChatClusterSpec) -> Option<AddressTemplate> {
    let hints = spec.gateways.as_ref()?.expose.as_ref()?.hints.as_ref()?;
    Some(AddressTemplate::new(hints.address.as_str()))
}

pub(super) fn proxies(spec: &crd::ChatClusterSpec) -> Result<Vec<chat_gateway_config::Cidr>, ValidateError> {
    let networks = spec.gateways.iter().flat_map(|gateways| &gateways.trusted_proxies);
    networks
        .map(|text| text.parse().map_err(|error| invalid(&format!("spec.gateways.trustedProxies: {error}"))))
        .collect()
}

/// Where the certificate of HAProxy is named.
const FIELD: &str = "spec.gateways.expose.haproxy.tlsSecretRef";

impl References<'_> {
    /// A certificate with its key.
    fn certificate(&self, from: &crd::TlsSecretRef) -> Result<Certificate, ValidateError> {
        let read = |name: &str, begins: &str, what: &str| -> Result<Sensitive, ValidateError> {
            let content = self.get(FIELD, &SecretKey { secret: from.name.clone(), key: name.to_owned() })?;
            if content.expose().contains(begins) {
                return Ok(content);
            }
            // The value itself is never shown: it may be a key.
            let message =
                format!("{FIELD}: the key {name} of Secret {} must be {what} as PEM; correct the value", from.name);
            Err(ValidateError::Unmet(Problem::new("SecretInvalid", message)))
        };
        let contents = [
            read(key::TLS_CERTIFICATE, "-----BEGIN CERTIFICATE-----", "a certificate")?,
            read(key::TLS_KEY, "PRIVATE KEY-----", "its private key")?,
        ];
        if is_of_another_key(&contents) {
            let message = format!(
                "{FIELD}: {} in Secret {} is the key of another certificate than {}; put both of one pair there",
                key::TLS_KEY,
                from.name,
                key::TLS_CERTIFICATE
            );
            return Err(ValidateError::Unmet(Problem::new("SecretInvalid", message)));
        }
        Ok(Certificate { secret: from.name.clone(), contents })
    }
}

/// Whether a key certainly is not that of a certificate. Of kinds that rustls does not know, but HAProxy may, nothing is said.
fn is_of_another_key([certificate, key]: &[Sensitive; 2]) -> bool {
    let chain = CertificateDer::pem_slice_iter(certificate.expose().as_bytes()).collect::<Result<Vec<_>, _>>();
    let (Ok(chain), Ok(key)) = (chain, PrivateKeyDer::from_pem_slice(key.expose().as_bytes())) else { return false };
    let Ok(key) = any_supported_type(&key) else { return false };
    let verdict = CertifiedKey::new(chain, key).keys_match();
    matches!(verdict, Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)))
}
