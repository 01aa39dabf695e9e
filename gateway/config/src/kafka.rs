//! How a gateway reaches Apache Kafka.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{ClientCertificate, ConfigError};

/// Longest name of a topic that Kafka takes.
const LONGEST_TOPIC: usize = 249;

/// Apache Kafka 3.9 or newer: which servers, which topic, and how a gateway proves who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kafka {
    /// `host:port` of servers to ask first, at least one unless they are in a file; these name all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bootstrap_servers: Vec<String>,
    /// File with these addresses in place of the list, separated by commas; read again for every session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_servers_file: Option<PathBuf>,
    /// Topic of this cluster and no other. Default: `chatcluster.`, the namespace, `.`, the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Partitions of the topic when the gateway has to create it, 1 to 1000; one that exists is taken as it is.
    #[serde(default = "default_partitions")]
    pub partitions: u16,
    /// Copies of each partition when the gateway has to create the topic; the server's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_factor: Option<u16>,
    /// What Kafka calls `security.protocol`.
    #[serde(default)]
    pub security_protocol: SecurityProtocol,
    /// PEM file of the authorities that may vouch for the servers, instead of those that browsers trust; for protocols with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Who the gateway is; for protocols with SASL, which need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
    /// What the gateway shows to servers that ask for a certificate; for protocols with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
}

fn default_partitions() -> u16 {
    Kafka::PARTITIONS
}

/// Whether connections are encrypted and whether a gateway signs in, under Kafka's own names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecurityProtocol {
    /// Neither.
    #[default]
    #[serde(rename = "PLAINTEXT")]
    Plaintext,
    /// TLS.
    #[serde(rename = "SSL")]
    Ssl,
    /// SASL without encryption.
    #[serde(rename = "SASL_PLAINTEXT")]
    SaslPlaintext,
    /// SASL inside TLS.
    #[serde(rename = "SASL_SSL")]
    SaslSsl,
}

impl SecurityProtocol {
    /// Whether connections are encrypted.
    #[must_use]
    pub fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Whether a gateway signs in.
    #[must_use]
    pub fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// Credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sasl {
    /// How the password is proven.
    pub mechanism: SaslMechanism,
    /// The user.
    pub username: String,
    /// File with the password; read again for every session.
    pub password_file: PathBuf,
}

/// A way to prove a password, under its registered name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SaslMechanism {
    /// The password itself is sent.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Challenge and response by SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// Challenge and response by SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Kafka {
    /// Partitions of a topic that a gateway creates, unless told otherwise: the most servers that share the work of one chat cluster.
    pub const PARTITIONS: u16 = 12;

    /// The topic of this cluster, given as `namespace/name`.
    #[must_use]
    pub fn topic(&self, cluster: &str) -> String {
        self.topic.clone().unwrap_or_else(|| format!("chatcluster.{}", cluster.replace('/', ".")))
    }

    /// Checks what the types cannot say; `cluster` is `namespace/name`.
    pub(crate) fn validate(&self, cluster: &str) -> Result<(), ConfigError> {
        let fail = |field, message: &str| Err(ConfigError { field, message: message.to_owned() });
        if self.bootstrap_servers_file.is_some() != self.bootstrap_servers.is_empty() {
            return fail(
                "broker.kafka.bootstrapServers",
                "must be one or more addresses of the form host:port, or in bootstrapServersFile and not in both",
            );
        }
        if !self.bootstrap_servers.iter().all(|server| is_address(server)) {
            return fail("broker.kafka.bootstrapServers", "must be one or more addresses of the form host:port");
        }
        if !is_topic(&self.topic(cluster)) {
            return fail(
                "broker.kafka.topic",
                "must be 1 to 249 letters, digits, dots, hyphens and underscores; set it when `cluster` has others",
            );
        }
        if !(1..=1_000).contains(&self.partitions) {
            return fail("broker.kafka.partitions", "must be 1 to 1000");
        }
        if self.replication_factor == Some(0) {
            return fail("broker.kafka.replicationFactor", "must be at least 1, or absent for the server's default");
        }
        if self.ca_file.is_some() && !self.security_protocol.has_tls() {
            return fail("broker.kafka.caFile", "is for securityProtocol SSL and SASL_SSL; remove it or change that");
        }
        if self.client_certificate.is_some() && !self.security_protocol.has_tls() {
            let message = "is for securityProtocol SSL and SASL_SSL; remove it or change that";
            return fail("broker.kafka.clientCertificate", message);
        }
        match (&self.sasl, self.security_protocol.has_sasl()) {
            (None, true) => fail("broker.kafka.sasl", "is needed by securityProtocol SASL_PLAINTEXT and SASL_SSL"),
            (Some(_), false) => fail(
                "broker.kafka.sasl",
                "is for securityProtocol SASL_PLAINTEXT and SASL_SSL; remove it or change that",
            ),
            (Some(sasl), true) if sasl.username.is_empty() => fail("broker.kafka.sasl.username", "must not be empty"),
            _ => Ok(()),
        }
    }
}

/// Whether this is `host:port`, with an IPv6 address in brackets.
#[must_use]
pub fn is_address(server: &str) -> bool {
    server.rsplit_once(':').is_some_and(|(host, port)| {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let bare = bare.map_or_else(|| !host.contains(':'), |inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
        // A comma would smuggle in a second server.
        let plain = !host.is_empty() && !host.contains(|c: char| c == ',' || c == '/' || c.is_whitespace());
        bare && plain && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn is_topic(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=LONGEST_TOPIC).contains(&name.len()) && name.chars().all(legal) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Kafka, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn little_is_needed_and_the_rest_has_defaults() {
        let kafka = read(r#"{"bootstrapServers":["a:9092","[::1]:9092"]}"#).unwrap();
        assert_eq!(kafka.validate("ns/demo"), Ok(()));
        assert_eq!(kafka.topic("ns/demo"), "chatcluster.ns.demo");
        assert_eq!((kafka.partitions, kafka.security_protocol), (12, SecurityProtocol::Plaintext));
        assert_eq!(read(r#"{"bootstrapServersFile":"/servers"}"#).unwrap().validate("ns/demo"), Ok(()));
    }

    #[test]
    fn every_bad_value_names_its_field() {
        let sasl = r#""sasl":{"mechanism":"PLAIN","username":"u","passwordFile":"/p"}"#;
        let nobody = sasl.replace("\"u\"", "\"\"");
        for (rest, field) in [
            (r#""bootstrapServers":[]"#.to_owned(), "bootstrapServers"),
            (r#""bootstrapServers":["a"]"#.to_owned(), "bootstrapServers"),
            (r#""bootstrapServers":["a:1"],"bootstrapServersFile":"/s""#.to_owned(), "bootstrapServers"),
            (
                r#""bootstrapServersFile":"/s","clientCertificate":{"certificateFile":"/c","keyFile":"/k"}"#.to_owned(),
                "clientCertificate",
            ),
            (r#""bootstrapServers":["a:0"]"#.to_owned(), "bootstrapServers"),
            (r#""bootstrapServers":["::1:9092"]"#.to_owned(), "bootstrapServers"),
            (r#""bootstrapServers":["a:9092,b:9092"]"#.to_owned(), "bootstrapServers"),
            (r#""bootstrapServers":["a:1"],"topic":"a/b""#.to_owned(), "topic"),
            (r#""bootstrapServers":["a:1"],"topic":"""#.to_owned(), "topic"),
            (r#""bootstrapServers":["a:1"],"partitions":0"#.to_owned(), "partitions"),
            (r#""bootstrapServers":["a:1"],"replicationFactor":0"#.to_owned(), "replicationFactor"),
            (r#""bootstrapServers":["a:1"],"caFile":"/ca""#.to_owned(), "caFile"),
            (r#""bootstrapServers":["a:1"],"securityProtocol":"SASL_SSL""#.to_owned(), "sasl"),
            (format!(r#""bootstrapServers":["a:1"],{sasl}"#), "sasl"),
            (format!(r#""bootstrapServers":["a:1"],"securityProtocol":"SASL_SSL",{nobody}"#), "sasl.username"),
        ] {
            let error = read(&format!("{{{rest}}}")).unwrap().validate("ns/demo").unwrap_err();
            assert_eq!(error.field, format!("broker.kafka.{field}"), "{rest}");
        }
        assert!(read(r#"{"bootstrapServers":["a:1"],"securityProtocol":"TLS"}"#).unwrap_err().contains("SASL_SSL"));
        assert!(read(r#"{"bootstrapServers":["a:1"],"acks":"all"}"#).unwrap_err().contains("acks"));
    }

    #[test]
    fn a_cluster_whose_name_is_no_topic_needs_one() {
        let mut kafka = read(r#"{"bootstrapServers":["a:1"]}"#).unwrap();
        assert_eq!(kafka.validate("ns/dämo").unwrap_err().field, "broker.kafka.topic");
        kafka.topic = Some("chat".into());
        assert_eq!(kafka.validate("ns/dämo"), Ok(()));
    }
}
