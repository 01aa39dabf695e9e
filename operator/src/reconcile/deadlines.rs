//! When certificates of the user's end, for metrics: whoever renews them may have stopped, and nothing else would tell before it is too late.

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::validated::{Broker, GivenCertificate, ShardBackend, ValidatedCluster};

/// The Secret of each certificate, and when it ends, in seconds since 1970: of several in one Secret the first to end. What cannot be read is left out; who uses
/// it says so.
pub(super) fn deadlines(cluster: &ValidatedCluster) -> Vec<(String, i64)> {
    let tier = cluster.gateways.expose.tier().and_then(|tier| tier.certificate.as_ref());
    let shown = tier.iter().map(|certificate| (&certificate.secret, &certificate.contents[0]));
    let believed = cluster.oidc.iter().filter_map(|issuer| issuer.ca.as_ref()).map(|ca| (&ca.from.secret, &ca.content));
    let given: Vec<&GivenCertificate> = match &cluster.broker {
        Broker::Kafka(kafka) => kafka.client_certificate.iter().collect(),
        _ => Vec::new(),
    };
    let of_shards = cluster.shards().iter().flat_map(|shard| match &shard.backend {
        ShardBackend::Engine(engine) => engine.certificates.as_slice(),
        ShardBackend::Managed(_) | ShardBackend::External { .. } => &[],
    });
    let given = given.into_iter().chain(of_shards).map(|given| (&given.secret, &given.content));
    let all = shown.chain(believed).chain(given);
    all.filter_map(|(secret, content)| Some((secret.clone(), ends(content.expose())?))).collect()
}

fn ends(pem: &str) -> Option<i64> {
    let read = |certificate: CertificateDer<'_>| {
        let (_, parsed) = X509Certificate::from_der(&certificate).ok()?;
        Some(parsed.validity().not_after.timestamp())
    };
    CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(|certificate| read(certificate.ok()?)).min()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(year: i32) -> String {
        let mut params = CertificateParams::new(vec!["chat.example.org".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn of_a_chain_the_first_to_end_counts() {
        let second = |year: i32| date_time_ymd(year, 1, 1).unix_timestamp();
        assert_eq!(ends(&certificate(2040)), Some(second(2040)));
        assert_eq!(ends(&format!("{}{}", certificate(2041), certificate(2040))), Some(second(2040)));
        assert_eq!(ends("no certificate"), None);
        assert_eq!(ends("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), None);
    }
}
