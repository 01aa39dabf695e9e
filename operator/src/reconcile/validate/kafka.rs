//! Apache Kafka as the broker: what a spec says about it, checked.

use chat_crds::chat_cluster as crd;
use chat_gateway_config::{SaslMechanism, SecurityProtocol, is_address};

use super::{References, ValidateError, invalid};
use crate::reconcile::validated::{Kafka, Sasl, SecretKey};

/// Where Kafka is, and how gateways prove who they are.
pub(super) fn kafka(kafka: &crd::Kafka, secrets: &References<'_>) -> Result<Kafka, ValidateError> {
    // No rest pattern: a new field must not be accepted and then ignored.
    let crd::Kafka { bootstrap_servers, topic, partitions, replication_factor, security_protocol, ca_secret_ref, sasl } =
        kafka;
    let protocol = match security_protocol.unwrap_or_default() {
        crd::SecurityProtocol::Plaintext => SecurityProtocol::Plaintext,
        crd::SecurityProtocol::Ssl => SecurityProtocol::Ssl,
        crd::SecurityProtocol::SaslPlaintext => SecurityProtocol::SaslPlaintext,
        crd::SecurityProtocol::SaslSsl => SecurityProtocol::SaslSsl,
    };
    if sasl.is_some() != protocol.has_sasl() {
        return Err(invalid("spec.broker.kafka.sasl: goes with securityProtocol SASL_SSL or SASL_PLAINTEXT"));
    }
    if ca_secret_ref.is_some() && !protocol.has_tls() {
        return Err(invalid("spec.broker.kafka.caSecretRef: goes with securityProtocol SSL or SASL_SSL"));
    }
    if bootstrap_servers.is_empty() || !bootstrap_servers.iter().all(|server| is_address(server)) {
        return Err(invalid("spec.broker.kafka.bootstrapServers: must be one or more addresses of the form host:port"));
    }
    let number = |field: &str, value: i32| {
        let positive = u16::try_from(value).ok().filter(|value| *value > 0);
        positive.ok_or_else(|| invalid(&format!("spec.broker.kafka.{field}: must be 1 or more")))
    };
    let ca = ca_secret_ref.as_ref().map(|from| secrets.certificates("spec.broker.kafka.caSecretRef", from));
    Ok(Kafka {
        bootstrap_servers: bootstrap_servers.clone(),
        topic: topic.clone(),
        partitions: partitions.map(|value| number("partitions", value)).transpose()?,
        replication_factor: replication_factor.map(|value| number("replicationFactor", value)).transpose()?,
        protocol,
        ca: ca.transpose()?.map(|(from, _)| from),
        sasl: sasl.as_ref().map(|sasl| self::sasl(secrets, sasl)).transpose()?,
    })
}

/// Who gateways are to Kafka, and where the password is.
fn sasl(secrets: &References<'_>, sasl: &crd::Sasl) -> Result<Sasl, ValidateError> {
    let crd::Sasl { mechanism, username, password_secret_ref: from } = sasl;
    let password = SecretKey { secret: from.name.clone(), key: from.key_or_default().to_owned() };
    secrets.get("spec.broker.kafka.sasl.passwordSecretRef", &password)?;
    let mechanism = match mechanism {
        crd::SaslMechanism::Plain => SaslMechanism::Plain,
        crd::SaslMechanism::ScramSha256 => SaslMechanism::ScramSha256,
        crd::SaslMechanism::ScramSha512 => SaslMechanism::ScramSha512,
    };
    Ok(Sasl { mechanism, username: username.clone(), password })
}
