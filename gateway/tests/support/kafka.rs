//! One server of Apache Kafka 4 that is broker and controller, on ports of its own: one without credentials, one with SASL, one with SASL
//! inside TLS, one that asks for certificates.

use std::{num::NonZeroU32, path::PathBuf};

use chat_gateway_config::{ClientCertificate, Kafka as Config, Sasl, SaslMechanism, SecurityProtocol};
use krafka::{
    admin::{
        AdminClient, AlterClientQuotasOptions, AlterUserScramCredentialsOptions, ClientQuotaAlteration,
        ClientQuotaEntity, CreatePartitionsOptions, CreateTopicsOptions, DeleteRecordsOptions, DeleteTopicsOptions,
        ListOffsetsOptions, NewTopic, OffsetSpec, ScramCredentialUpsertion, TopicPartition,
    },
    auth::ScramMechanism,
};
use tempfile::TempDir;

use super::{
    authority::{Authority, Identity, write_certificates},
    free_port,
    kafka_program::{COMMON, format, server},
    server::{Server, Service},
    write_once,
};

/// The user that may do everything, and the one that may do nothing; their password is `secret`.
pub const USER: &str = "gateway";
pub const STRANGER: &str = "stranger";

pub struct Kafka {
    server: Server,
    plain: u16,
    sasl: u16,
    tls: u16,
    mutual: u16,
    controller: u16,
    /// The port of a listener, and where that sends clients.
    proxied: (u16, u16),
    dir: TempDir,
    authority: Authority,
}

impl Service for Kafka {
    /// Formats storage first.
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [plain, sasl, tls, mutual, controller, behind, proxy] = [0; 7].map(|_| free_port());
        let server = Server::new("Kafka", dir.path().join("log"), vec![plain, sasl, tls, mutual, behind]);
        let authority = write_certificates(dir.path(), "127.0.0.1");
        let kafka = Self { server, plain, sasl, tls, mutual, controller, proxied: (behind, proxy), dir, authority };
        kafka.write_config();
        kafka.format();
        kafka.up().await;
        kafka
    }

    /// On the data that is there.
    async fn up(&self) {
        let mut command = server(self.dir.path(), "server.properties");
        self.server.launch(&mut command);
        self.server.listens().await;
    }

    fn servers(&self) -> Vec<&Server> {
        vec![&self.server]
    }
}

impl Kafka {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_config(&self) {
        let Self { plain, sasl, tls, mutual, controller, proxied: (behind, proxy), .. } = self;
        let open = format!(
            "PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},SASL_SSL://127.0.0.1:{tls},MUTUAL://127.0.0.1:{mutual}"
        );
        let dir = self.dir.path().display();
        let listener = |name| {
            format!(
                "listener.name.{name}.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"secret\" user_{STRANGER}=\"secret\";\n\
                 listener.name.{name}.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
            )
        };
        let config = format!(
            "{COMMON}\
             # The only server that there is loses its partitions when its heartbeats stop for so long, which a busy machine does.\n\
             broker.session.timeout.ms=9000\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners={open},PROXIED://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners={open},PROXIED://127.0.0.1:{proxy}\n\
             log.dirs={dir}/data\n\
             sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512\n\
             ssl.keystore.type=PEM\n\
             ssl.keystore.location={dir}/server.pem\n\
             listener.name.mutual.ssl.client.auth=required\n\
             listener.name.mutual.ssl.keystore.type=PEM\n\
             listener.name.mutual.ssl.keystore.location={dir}/server.pem\n\
             listener.name.mutual.ssl.truststore.type=PEM\n\
             listener.name.mutual.ssl.truststore.location={dir}/ca.pem\n\
             authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             super.users=User:ANONYMOUS;User:{USER};User:CN={USER}\n\
             {}",
            ["sasl_plaintext", "sasl_ssl", "proxied"].map(listener).concat(),
        );
        std::fs::write(self.path("server.properties"), config).unwrap();
    }

    fn format(&self) {
        let users = [USER, STRANGER].map(|user| format!("SCRAM-SHA-512=[name={user},password=secret]"));
        let more: Vec<String> = users.into_iter().flat_map(|user| ["--add-scram".to_owned(), user]).collect();
        format(self.dir.path(), "server.properties", &more);
    }

    /// How to reach it without credentials.
    pub fn config(&self) -> Config {
        Config {
            bootstrap_servers: vec![format!("127.0.0.1:{}", self.plain)],
            topic: None,
            partitions: 3,
            replication_factor: None,
            security_protocol: SecurityProtocol::Plaintext,
            ca_file: None,
            sasl: None,
            bootstrap_servers_file: None,
            client_certificate: None,
        }
    }

    /// How to reach it with SASL; the right password is `secret`.
    pub fn sasl_config(&self, mechanism: SaslMechanism, username: &str, password: &str) -> Config {
        let password_file = self.path(&format!("{mechanism:?}-{username}-{}", password.len()));
        write_once(&password_file, password);
        Config {
            bootstrap_servers: vec![format!("127.0.0.1:{}", self.sasl)],
            security_protocol: SecurityProtocol::SaslPlaintext,
            sasl: Some(Sasl { mechanism, username: username.into(), password_file }),
            ..self.config()
        }
    }

    /// How to reach it with SASL inside TLS, by its own authority's certificate.
    pub fn tls_config(&self) -> Config {
        Config {
            bootstrap_servers: vec![format!("127.0.0.1:{}", self.tls)],
            security_protocol: SecurityProtocol::SaslSsl,
            ca_file: Some(self.path("ca.pem")),
            ..self.sasl_config(SaslMechanism::ScramSha512, USER, "secret")
        }
    }

    /// How to reach it with a certificate and no password, all of it from files of these names, which are not there yet.
    pub fn mutual_config(&self) -> Config {
        Config {
            bootstrap_servers: Vec::new(),
            bootstrap_servers_file: Some(self.path("mutual-servers")),
            security_protocol: SecurityProtocol::Ssl,
            ca_file: Some(self.path("ca.pem")),
            client_certificate: Some(ClientCertificate {
                certificate_file: self.path("mutual.crt"),
                key_file: self.path("mutual.key"),
            }),
            ..self.config()
        }
    }

    /// Where [`Kafka::mutual_config`] leads to.
    pub fn mutual_address(&self) -> String {
        format!("127.0.0.1:{}", self.mutual)
    }

    /// A certificate of [`USER`], by the authority that it trusts.
    pub fn identity(&self) -> Identity {
        self.authority.client(USER, 7)
    }

    /// Where clients of one listener are sent, and the port that it has.
    pub fn proxied_listener(&self) -> (u16, u16) {
        let (behind, proxy) = self.proxied;
        (proxy, behind)
    }

    async fn admin(&self) -> AdminClient {
        krafka::Kafka::builder(format!("127.0.0.1:{}", self.plain)).connect().await.unwrap().admin()
    }

    /// Makes a topic as somebody else would.
    pub async fn make_topic(&self, topic: &str, max_message_bytes: u32) {
        let new = NewTopic::new(topic, 3, 1).unwrap().with_config("max.message.bytes", max_message_bytes.to_string());
        let admin = self.admin().await;
        admin.create_topics([new], CreateTopicsOptions::default()).await.unwrap().remove(topic).unwrap().unwrap();
    }

    /// Deletes a topic as somebody else would.
    pub async fn delete_topic(&self, topic: &str) {
        let admin = self.admin().await;
        admin.delete_topics([topic], DeleteTopicsOptions::default()).await.unwrap().remove(topic).unwrap().unwrap();
    }

    /// Deletes all records of a topic, as its retention does in time.
    pub async fn delete_records(&self, topic: &str, partitions: std::ops::Range<i32>) {
        let all = partitions.map(|partition| (TopicPartition::new(topic, partition), -1));
        let answers = self.admin().await.delete_records(all, DeleteRecordsOptions::default()).await.unwrap();
        assert!(answers.into_values().all(|answer| answer.is_ok()));
    }

    /// How many records were written to these partitions of a topic.
    pub async fn written(&self, topic: &str, partitions: std::ops::Range<i32>) -> i64 {
        let asked = partitions.map(|partition| (TopicPartition::new(topic, partition), OffsetSpec::Latest));
        let answers = self.admin().await.list_offsets(asked, ListOffsetsOptions::default()).await.unwrap();
        answers.into_values().map(|answer| answer.unwrap().offset).sum()
    }

    /// Allows [`USER`] to write so many bytes a second, or as many as it likes.
    pub async fn set_quota(&self, bytes_per_second: Option<f64>) {
        let user = ClientQuotaEntity([("user".to_owned(), Some(USER.to_owned()))].into());
        let change = ClientQuotaAlteration::new(user, vec![("producer_byte_rate".into(), bytes_per_second)]);
        let answers = self.admin().await.alter_client_quotas(vec![change], AlterClientQuotasOptions::default()).await;
        assert!(answers.unwrap().into_values().all(|answer| answer.is_ok()));
    }

    /// Gives [`USER`] another password; who is connected stays so.
    pub async fn change_password(&self, password: &str) {
        let (salt, iterations) = (b"any salt".to_vec(), 4_096);
        let mut salted = vec![0; 64];
        let rounds = NonZeroU32::new(iterations).unwrap();
        ring::pbkdf2::derive(ring::pbkdf2::PBKDF2_HMAC_SHA512, rounds, &salt, password.as_bytes(), &mut salted);
        let change = ScramCredentialUpsertion {
            name: USER.into(),
            mechanism: ScramMechanism::Sha512,
            iterations: iterations.try_into().unwrap(),
            salt: salt.into(),
            salted_password: salted.into(),
        };
        let options = AlterUserScramCredentialsOptions::default();
        let answers = self.admin().await.alter_user_scram_credentials(Vec::new(), vec![change], options).await;
        answers.unwrap().remove(USER).unwrap().unwrap();
    }

    /// Raises a topic's number of partitions.
    pub async fn set_partitions(&self, topic: &str, partitions: i32) {
        let admin = self.admin().await;
        let mut answers =
            admin.create_partitions([(topic, partitions)], CreatePartitionsOptions::default()).await.unwrap();
        answers.remove(topic).unwrap().unwrap();
    }
}
