//! One server of Apache Kafka 4, broker and controller, for one namespace: with what docs/examples/kafka.yaml refers to, SASL inside TLS by
//! an authority of its own.

use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    World,
    wait::{Seen, until},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    authority::write_certificates,
    kafka_program::{COMMON, format, server},
    port::free_port,
    process::Process,
};

/// Java starts in a few seconds, on a busy machine in some more.
const START_LIMIT: Duration = Duration::from_secs(90);

/// Name of its Service.
const SERVICE: &str = "kafka";
/// The user and the Secrets that the documented example names.
const USER: &str = "chat";
const PASSWORD: &str = "kept-by-a-secret";
const PASSWORD_SECRET: &str = "chat";
const CA_SECRET: &str = "my-cluster-cluster-ca-cert";

/// The server; ended with the test.
pub(crate) struct Kafka {
    folder: TempDir,
    /// Where pods reach it.
    address: (IpAddr, u16),
    /// `host:port` for a ChatCluster.
    pub(crate) bootstrap: String,
    process: Mutex<Option<Process>>,
}

impl Kafka {
    /// Makes its storage, starts it, and brings its name and its Secrets into the namespace.
    ///
    /// # Errors
    /// It ends, or the API server refuses.
    pub(crate) async fn start(world: &World, namespace: &str) -> Result<Self> {
        let host = super::address(world).await?;
        let name = super::name(SERVICE, namespace);
        let kafka = tokio::task::spawn_blocking(move || Self::prepare(host, &name)).await??;
        let read = |file: &str| std::fs::read_to_string(kafka.folder.path().join(file));
        let secrets = [
            super::secret(CA_SECRET, &json!({ "ca.crt": read("ca.pem")? })),
            super::secret(PASSWORD_SECRET, &json!({ "password": PASSWORD })),
        ];
        super::apply(world, namespace, &secrets).await?;
        super::introduce(world, namespace, SERVICE, host).await?;
        kafka.up().await?;
        Ok(kafka)
    }

    fn prepare(host: IpAddr, name: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        write_certificates(folder.path(), name);
        let [port, plain, controller] = [0; 3].map(|_| free_port());
        let bootstrap = format!("{name}:{port}");
        // Clients are sent on to the name, which only pods know; the server itself uses loopback.
        let inside = format!("PLAINTEXT://127.0.0.1:{plain}");
        let config = format!(
            "{COMMON}\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners={inside},SASL_SSL://{host}:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners={inside},SASL_SSL://{bootstrap}\n\
             log.dirs={dir}/data\n\
             sasl.enabled.mechanisms=SCRAM-SHA-512\n\
             listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             ssl.keystore.type=PEM\n\
             ssl.keystore.location={dir}/server.pem\n",
            dir = folder.path().display(),
        );
        std::fs::write(folder.path().join("server.properties"), config)?;
        let user = format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]");
        format(folder.path(), "server.properties", &["--add-scram".to_owned(), user]);
        Ok(Self { folder, address: (host, port), bootstrap, process: Mutex::default() })
    }

    /// Starts it on the data that is there, and waits until it listens.
    ///
    /// # Errors
    /// It ends instead, or does not listen in time; with what it printed.
    pub(crate) async fn up(&self) -> Result<()> {
        let log = self.folder.path().join("log");
        let mut command = server(self.folder.path(), "server.properties");
        *self.process() = Some(Process::start(&mut command, &log));
        until("Kafka", START_LIMIT, || async {
            if self.process().as_mut().is_none_or(Process::ended) {
                let printed = std::fs::read_to_string(&log).unwrap_or_default();
                return Ok(Seen::Yes(Err(anyhow::anyhow!("Kafka ended: {printed}"))));
            }
            tokio::net::TcpStream::connect(self.address).await.context("it does not listen yet")?;
            Ok(Seen::Yes(Ok(())))
        })
        .await?
    }

    /// Ends it at once (SIGKILL).
    ///
    /// # Errors
    /// It does not run: then a test cannot say that anything broke.
    pub(crate) fn kill(&self) -> Result<()> {
        let mut process = self.process().take().context("Kafka does not run")?;
        ensure!(!process.ended(), "Kafka ended by itself");
        process.kill();
        Ok(())
    }

    /// `spec.broker` of a ChatCluster that uses it: the documented example's, with this server's address.
    ///
    /// # Errors
    /// The example cannot be read.
    pub(crate) fn broker(&self) -> Result<Value> {
        Ok(e2e::manifest::kafka_for_load(&self.bootstrap)?["spec"]["broker"].clone())
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
