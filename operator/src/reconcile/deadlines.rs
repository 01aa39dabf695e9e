//! When certificates of the user's end: whoever renews them may have stopped, and nothing else would tell before it is too late.

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::{
    dereference::Dereferenced,
    validated::{Broker, GivenCertificate, Redis, ShardBackend, ValidatedCluster},
};
use crate::sensitive::Sensitive;

/// What certificates for a Redis are: those that are believed, and the one that is shown.
const AT_REDIS: [&str; 2] = ["the authority of Redis", "the certificate of gateways at Redis"];

/// A certificate that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// What it is.
    pub what: &'static str,
    /// The Secret that it is in.
    pub secret: String,
    /// When it ends, in seconds since 1970: of several in one Secret the first to end.
    pub ends: i64,
}

/// The certificates in Secrets that the spec names. What cannot be read is left out; who uses it says so.
#[must_use]
pub fn deadlines(cluster: &ValidatedCluster, fetched: &Dereferenced) -> Vec<Deadline> {
    let tier = cluster.gateways.expose.tier().and_then(|tier| tier.certificate.as_ref());
    let shown = tier.map(|certificate| ("the certificate of HAProxy", &certificate.secret, &certificate.contents[0]));
    let believed = cluster.oidc.iter().filter_map(|issuer| issuer.ca.as_ref());
    let believed = believed.map(|ca| ("the authority of an issuer", &ca.from.secret, &ca.content));
    let (kafka, at_kafka) = match &cluster.broker {
        Broker::Kafka(kafka) => (kafka.ca.as_ref(), kafka.client_certificate.as_ref()),
        _ => (None, None),
    };
    let kafka = kafka.and_then(|at| {
        let content = fetched.secrets.get(&at.secret)?.as_ref()?.get(&at.key)?;
        Some(("the authority of Kafka", &at.secret, content))
    });
    let of_shards = cluster.shards().iter().flat_map(|shard| match &shard.backend {
        ShardBackend::Engine(engine) => engine.certificates.as_slice(),
        ShardBackend::Managed(_) | ShardBackend::External { .. } => &[],
    });
    let given = at_kafka.map(|given| ("the certificate of gateways at Kafka", given)).into_iter();
    let given = given.chain(of_shards.map(|given| ("a certificate for a shard", given)));
    let at_broker = match &cluster.broker {
        Broker::External(way) => Some((["the authority of RabbitMQ", "the certificate of gateways at RabbitMQ"], way)),
        Broker::Redis(way) => Some((AT_REDIS, way)),
        _ => None,
    };
    let at_redis = match &cluster.redis {
        Some(Redis::External(way)) => Some((AT_REDIS, way)),
        Some(Redis::Managed { .. }) | None => None,
    };
    let ways: Vec<_> = at_broker.into_iter().chain(at_redis).collect();
    let of_ways = ways.iter().filter_map(|([what, _], way)| Some((*what, way.ca.as_ref()?)));
    let believed = believed.chain(of_ways.map(|(what, ca)| (what, &ca.from.secret, &ca.content)));
    let given = given.chain(ways.iter().filter_map(|([_, what], way)| Some((*what, way.client_certificate.as_ref()?))));
    let given = given.map(|(what, GivenCertificate { secret, content, .. })| (what, secret, content));
    let all = shown.into_iter().chain(believed).chain(kafka).chain(given);
    let deadline = |(what, secret, content): (_, &String, &Sensitive)| {
        Some(Deadline { what, secret: secret.clone(), ends: ends(content.expose())? })
    };
    all.filter_map(deadline).collect()
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
