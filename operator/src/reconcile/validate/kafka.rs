//! Apache Kafka as the broker: what a spec says about it, checked.

use chat_crds::chat_cluster as crd;
use chat_gateway_config::{SaslMechanism, SecurityProtocol, is_address};

use super::{References, ValidateError, invalid};
use crate::reconcile::validated::{GivenCertificate, Kafka, KafkaServers, Sasl, SecretKey};

/// Where Kafka is, and how gateways prove who they are.
pub(super) fn kafka(kafka: &crd::Kafka, secrets: &References<'_>) -> Result<Kafka, ValidateError> {
    // No rest pattern: a new field must not be accepted and then ignored.
    let crd::Kafka {
        bootstrap_servers,
        cluster_ref,
        listener,
        user_ref,
        topic_ref,
        topic,
        partitions,
        replication_factor,
        security_protocol,
        ca_secret_ref,
        sasl,
        client_certificate_secret_ref,
    } = kafka;
    let number = |field: &str, value: i32| {
        let positive = u16::try_from(value).ok().filter(|value| *value > 0);
        positive.ok_or_else(|| invalid(&format!("spec.broker.kafka.{field}: must be 1 or more")))
    };
    let partitions = partitions.map(|value| number("partitions", value)).transpose()?;
    let replication_factor = replication_factor.map(|value| number("replicationFactor", value)).transpose()?;
    if let Some(from) = cluster_ref {
        let own = [security_protocol.is_some(), ca_secret_ref.is_some(), sasl.is_some()];
        if !bootstrap_servers.is_empty() || client_certificate_secret_ref.is_some() || own.contains(&true) {
            return Err(invalid(
                "spec.broker.kafka: clusterRef says how gateways connect; remove bootstrapServers, securityProtocol, caSecretRef, sasl and clientCertificateSecretRef",
            ));
        }
        if topic.is_some() && topic_ref.is_some() {
            return Err(invalid("spec.broker.kafka: set topic or topicRef, and not both"));
        }
        let strimzi = secrets.strimzi(kafka, &from.name)?;
        return Ok(Kafka {
            servers: KafkaServers::Engine(strimzi.engine),
            topic: strimzi.topic.or_else(|| topic.clone()),
            partitions,
            replication_factor,
            protocol: strimzi.protocol,
            ca: strimzi.ca,
            sasl: strimzi.sasl,
            client_certificate: strimzi.client_certificate,
        });
    }
    if listener.is_some() || user_ref.is_some() || topic_ref.is_some() {
        return Err(invalid("spec.broker.kafka: listener, userRef and topicRef go with clusterRef; remove them"));
    }
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
    let client = client_certificate_secret_ref.as_ref().map(|from| from.name.as_str());
    if client.is_some() && !protocol.has_tls() {
        return Err(invalid(
            "spec.broker.kafka.clientCertificateSecretRef: goes with securityProtocol SSL or SASL_SSL",
        ));
    }
    let client = client.map(|secret| client_certificate(secrets, secret)).transpose()?;
    let ca = ca_secret_ref.as_ref().map(|from| secrets.certificates("spec.broker.kafka.caSecretRef", from));
    Ok(Kafka {
        servers: KafkaServers::Given(bootstrap_servers.clone()),
        topic: topic.clone(),
        partitions,
        replication_factor,
        protocol,
        ca: ca.transpose()?.map(|(from, _)| from),
        sasl: sasl.as_ref().map(|sasl| self::sasl(secrets, sasl)).transpose()?,
        client_certificate: client,
    })
}

/// The Secret with the certificate that gateways show, if it has one.
fn client_certificate(secrets: &References<'_>, secret: &str) -> Result<GivenCertificate, ValidateError> {
    let (content, _) = secrets.shown("spec.broker.kafka.clientCertificateSecretRef", secret)?;
    Ok(GivenCertificate { secret: secret.to_owned(), content })
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
