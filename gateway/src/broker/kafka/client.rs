//! Connections to Kafka: with the settings and secrets of this moment, and with time limits that fit the gateway's own.

use std::{path::Path, sync::Arc, time::Duration};

use chat_gateway_config::{Kafka as Config, SaslMechanism, is_address};
use krafka::{
    CloseOptions, Kafka, Record,
    auth::{AuthConfig, TlsConfig},
    consumer::{AutoOffsetReset, Consumer},
    error::KrafkaError,
    producer::{Acks, Producer},
};

use super::{KafkaSettings, reason::SessionError};
use crate::settings;

/// Time for one connection, and for one exchange on it; a publish has time for one of each, and for one more try when the first fails at once.
const CONNECT_TIME: Duration = Duration::from_secs(2);
const ANSWER_TIME: Duration = Duration::from_secs(3);
/// Time for a publish with all tries; a little below `PUBLISH_BUDGET`, so that Kafka's own reason is the one that is heard.
const DELIVERY_TIME: Duration = Duration::from_millis(4_500);
/// Bytes of records that wait to be sent: several seconds of a busy gateway.
const WAITING_BYTES: usize = 16 * 1024 * 1024;
/// How old what is known of the topic's partitions may get.
const METADATA_AGE: Duration = Duration::from_secs(10);
/// Bytes in one answer to a reader, and of one partition in it; a record that is larger still comes, alone.
const FETCH_BYTES: i32 = 4 * 1024 * 1024;
const PARTITION_BYTES: i32 = 1024 * 1024;
/// How long the server holds a reader's question while there is nothing new; an answer with something comes at once.
const FETCH_WAIT: Duration = Duration::from_millis(500);
/// Time for a closing producer to see its last records off.
const CLOSE_TIME: Duration = Duration::from_millis(100);

/// Makes connections for one session, whose secrets were read once.
pub(super) struct Connector {
    servers: String,
    client: String,
    security: AuthConfig,
}

impl Connector {
    /// Reads the secrets.
    pub(super) fn new(settings: &KafkaSettings) -> Result<Self, SessionError> {
        let kafka = &settings.kafka;
        Ok(Self { servers: servers(kafka)?, client: settings.gateway.clone(), security: security(kafka)? })
    }

    /// A handle with connections of its own. Kafka answers the requests on a connection one after another, so whoever waits for news on one
    /// holds up everybody else on it: readers and the producer never share a handle.
    pub(super) async fn connect(&self) -> Result<Kafka, SessionError> {
        let connected = Kafka::builder(self.servers.as_str())
            .client_id(self.client.as_str())
            .security(self.security.clone())
            .connect_timeout(CONNECT_TIME)
            .request_timeout(ANSWER_TIME)
            .metadata_max_age(METADATA_AGE)
            // Every connection is used every few seconds, so there is nothing to evict; the task that would look outlives its handle.
            .connections_max_idle(None)
            .connect()
            .await?;
        Ok(connected)
    }

    /// A reader without partitions.
    pub(super) async fn reader(&self) -> Result<Consumer, SessionError> {
        let consumer = self
            .connect()
            .await?
            .consumer_without_group()
            .enable_auto_commit(false)
            // What is no longer there was missed, which the next session tells the hub.
            .auto_offset_reset(AutoOffsetReset::None)
            .fetch_max_bytes(FETCH_BYTES)
            .max_partition_fetch_bytes(PARTITION_BYTES)
            .fetch_max_wait(FETCH_WAIT)
            .metrics_push(false)
            .build()
            .await?;
        Ok(consumer)
    }
}

fn read(path: &Path) -> Result<String, SessionError> {
    settings::read(path).map_err(|error| SessionError::Secret(error.to_string()))
}

/// Addresses of this moment, separated by commas.
fn servers(kafka: &Config) -> Result<String, SessionError> {
    let Some(path) = &kafka.bootstrap_servers_file else {
        return Ok(kafka.bootstrap_servers.join(","));
    };
    let content = read(path)?;
    let servers: Vec<&str> = content.split(',').map(str::trim).collect();
    if servers.iter().all(|server| is_address(server)) {
        return Ok(servers.join(","));
    }
    let problem = "must have one or more addresses of the form host:port, separated by commas";
    Err(SessionError::Secret(format!("{} {problem}", path.display())))
}

fn security(kafka: &Config) -> Result<AuthConfig, SessionError> {
    let mut security = match &kafka.sasl {
        None => AuthConfig::plaintext(),
        Some(sasl) => {
            let password = read(&sasl.password_file)?;
            if password.is_empty() {
                return Err(SessionError::Secret(format!("{} is empty", sasl.password_file.display())));
            }
            match sasl.mechanism {
                SaslMechanism::Plain => AuthConfig::sasl_plain(&sasl.username, password),
                SaslMechanism::ScramSha256 => AuthConfig::sasl_scram_sha256(&sasl.username, password),
                SaslMechanism::ScramSha512 => AuthConfig::sasl_scram_sha512(&sasl.username, password),
            }
        }
    };
    if kafka.security_protocol.has_tls() {
        let tls = match &kafka.ca_file {
            None => TlsConfig::new(),
            Some(path) => TlsConfig::new().with_ca_cert_pem(read(path)?),
        };
        let tls = match &kafka.client_certificate {
            None => tls,
            Some(client) => {
                let key = read(&client.key_file)?.into_bytes();
                tls.with_client_cert_pem(read(&client.certificate_file)?, key)
            }
        };
        security = security.with_tls(tls);
    }
    Ok(security)
}

/// What publishes go through; closed when the last clone goes.
#[derive(Clone)]
pub(in crate::broker) struct Publishing(Arc<Open>);

struct Open(Arc<Producer>);

impl Publishing {
    pub(super) async fn new(kafka: &Kafka) -> Result<Self, SessionError> {
        let producer = kafka
            .producer()
            .acks(Acks::All)
            .idempotent(true)
            // Records gather while others of their partition are on their way; waiting for more would only delay a quiet room.
            .linger(Duration::ZERO)
            .delivery_timeout(DELIVERY_TIME)
            .max_block(DELIVERY_TIME)
            .buffer_memory(WAITING_BYTES)
            .metrics_push(false)
            .build()
            .await?;
        Ok(Self(Arc::new(Open(Arc::new(producer)))))
    }

    pub(super) async fn send(&self, record: Record) -> Result<(), KrafkaError> {
        drop(self.0.0.send(record).await?);
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Without a runtime the process is about to end, and its connections with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let producer = Arc::clone(&self.0);
            // Whoever waits for one of its records has given up or is told so here.
            runtime.spawn(async move { drop(producer.close_with(CloseOptions::new().timeout(CLOSE_TIME)).await) });
        }
    }
}
