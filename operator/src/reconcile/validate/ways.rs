//! The way to a RabbitMQ or a Redis that runs already: a URI, and certificates for it. Gateways read all of it anew for each connection.

use chat_crds::chat_cluster as crd;
use chat_gateway_config::RedisUrl;

use super::{Problem, References, SecretKey, ValidateError};
use crate::reconcile::validated::{Authorities, GivenCertificate, Way};

const AMQP: &str = "amqp://";
const AMQPS: &str = "amqps://";

impl References<'_> {
    /// The way to a RabbitMQ.
    pub(super) fn rabbitmq(
        &self,
        from: &crd::RabbitMqSecretRef,
        tls: Option<&crd::RabbitMqTls>,
    ) -> Result<Way, ValidateError> {
        const FIELD: &str = "spec.broker.rabbitmq";
        let at = SecretKey { secret: from.name.clone(), key: from.key_or_default().to_owned() };
        let schemes: &[&str] = if tls.is_some() { &[AMQPS] } else { &[AMQP, AMQPS] };
        let uri = self.uri(&format!("{FIELD}.uriSecretRef"), &at, schemes)?;
        let Some(tls) = tls else {
            return Ok(Way { uri: at, ca: None, client_certificate: None });
        };
        // No rest pattern: a new field must not be accepted and then ignored.
        let crd::RabbitMqTls { ca_secret_ref, client_certificate_secret_ref } = tls;
        if uri.expose().contains("auth_mechanism=external") && client_certificate_secret_ref.is_none() {
            let SecretKey { secret, key } = at;
            let message = format!(
                "{FIELD}.tls.clientCertificateSecretRef: the URI under the key {key} of Secret {secret} has auth_mechanism=external, by which a certificate says who gateways are; set the field, or take it out of the URI"
            );
            return Err(ValidateError::Unmet(Problem::new("SecretInvalid", message)));
        }
        self.way(FIELD, at, ca_secret_ref.as_ref(), client_certificate_secret_ref.as_ref())
    }

    /// The way to a Redis, whose URL `takes` must find fit; `field` is what has `urlSecretRef` and `tls`.
    pub(super) fn redis(
        &self,
        field: &str,
        from: &crd::RedisSecretRef,
        tls: Option<&crd::RedisTls>,
        takes: fn(&RedisUrl) -> Result<(), &'static str>,
    ) -> Result<Way, ValidateError> {
        let at = SecretKey { secret: from.name.clone(), key: from.key_or_default().to_owned() };
        let whole = format!("{field}.urlSecretRef");
        let url = RedisUrl::parse(self.get(&whole, &at)?.expose()).map_err(|error| error.to_string());
        let encrypted = |url: &RedisUrl| match tls {
            Some(_) if !url.has_tls() => Err(
                "with tls it must begin with rediss:// or rediss-sentinel://, or for messages with rediss-cluster://",
            ),
            _ => Ok(()),
        };
        let problem = match url.map(|url| takes(&url).and_then(|()| encrypted(&url))) {
            Ok(Ok(())) => None,
            Ok(Err(unfit)) => Some(unfit.to_owned()),
            Err(malformed) => Some(malformed),
        };
        if let Some(problem) = problem {
            // The value itself is never shown: it holds a password.
            let SecretKey { secret, key } = at;
            let message = format!("{whole}: the key {key} of Secret {secret} is no use: {problem}; correct the value");
            return Err(ValidateError::Unmet(Problem::new("SecretInvalid", message)));
        }
        // No rest pattern: a new field must not be accepted and then ignored.
        let Some(crd::RedisTls { ca_secret_ref, client_certificate_secret_ref }) = tls else {
            return Ok(Way { uri: at, ca: None, client_certificate: None });
        };
        self.way(field, at, ca_secret_ref.as_ref(), client_certificate_secret_ref.as_ref())
    }

    fn way(
        &self,
        field: &str,
        uri: SecretKey,
        ca: Option<&crd::CaSecretRef>,
        client: Option<&crd::TlsSecretRef>,
    ) -> Result<Way, ValidateError> {
        let believed = |from| {
            let (from, content) = self.certificates(&format!("{field}.tls.caSecretRef"), from)?;
            Ok::<_, ValidateError>(Authorities { from, content })
        };
        let shown = |from: &crd::TlsSecretRef| {
            let (content, _) = self.shown(&format!("{field}.tls.clientCertificateSecretRef"), &from.name)?;
            Ok::<_, ValidateError>(GivenCertificate { secret: from.name.clone(), content })
        };
        Ok(Way { uri, ca: ca.map(believed).transpose()?, client_certificate: client.map(shown).transpose()? })
    }
}
