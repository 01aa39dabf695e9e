//! A RabbitMQ server on ports of its own, with an epmd of its own.

use std::path::PathBuf;

use images::{
    backends::RABBITMQ,
    servers::{Account, ServerRoot},
};
use tempfile::TempDir;

use super::{
    authority::{Authority, write_certificates},
    free_port,
    process::Process,
    server::{Server, Service},
    server_root, write_once,
};

/// Its tools must be who the server is, or Erlang's cookie keeps them out.
const ACCOUNT: Account = Account::Root;
/// File with the authorities of clients, where these have to show certificates.
const CLIENTS: &str = "clients.pem";

pub struct RabbitMq {
    server: Server,
    port: u16,
    tls: u16,
    epmd_port: u16,
    dist_port: u16,
    root: ServerRoot,
    dir: TempDir,
    // Started here, and not by the server, since that one would outlive the server as a daemon. Dropped last.
    epmd: Process,
}

impl Service for RabbitMq {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let epmd_port = free_port();
        let root = server_root(&RABBITMQ);
        let mut epmd = root.command(ACCOUNT, "epmd");
        epmd.args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"]);
        let epmd = Process::start(&mut epmd, &dir.path().join("epmd.log"));
        let (port, tls) = (free_port(), free_port());
        write_certificates(dir.path(), "localhost");
        let server = Server::new("RabbitMQ", dir.path().join("server.log"), vec![port, tls]);
        let rabbit = Self { server, port, tls, dist_port: free_port(), epmd_port, root, dir, epmd };
        rabbit.up().await;
        rabbit
    }

    async fn up(&self) {
        self.write_config();
        let mut command = self.root.command(ACCOUNT, "rabbitmq-server");
        command
            .envs(self.environment())
            .env("ERL_CRASH_DUMP", self.path("crash-dump"))
            .env("RABBITMQ_DIST_PORT", self.dist_port.to_string())
            .env("RABBITMQ_CONFIG_FILE", self.path("rabbitmq"))
            .env("RABBITMQ_MNESIA_BASE", self.path("mnesia"))
            .env("RABBITMQ_LOG_BASE", self.path("log"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.path("plugins"))
            .env("RABBITMQ_PID_FILE", self.path("pid"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none");
        self.server.launch(&mut command);
        self.server.listens().await;
    }

    fn servers(&self) -> Vec<&Server> {
        vec![&self.server]
    }
}

impl RabbitMq {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_config(&self) {
        let Self { port, tls, dir, .. } = self;
        let dir = dir.path().display();
        // Whom clients have to be of, once a test asks for it.
        let clients = self.path(CLIENTS);
        let demands = if clients.exists() {
            format!(
                "ssl_options.cacertfile = {}\n\
                 ssl_options.verify = verify_peer\n\
                 ssl_options.fail_if_no_peer_cert = true\n\
                 auth_mechanisms.1 = PLAIN\n\
                 auth_mechanisms.2 = EXTERNAL\n\
                 ssl_cert_login_from = common_name\n",
                clients.display()
            )
        } else {
            String::new()
        };
        let config = format!(
            "{demands}listeners.tcp.1 = 127.0.0.1:{port}\n\
             listeners.ssl.1 = 127.0.0.1:{tls}\n\
             ssl_options.certfile = {dir}/server.pem\n\
             ssl_options.keyfile = {dir}/server.pem\n\
             vm_memory_high_watermark.absolute = 512MB\n\
             disk_free_limit.absolute = 50MB\n\
             log.console = true\n"
        );
        std::fs::write(self.path("rabbitmq.conf"), config).unwrap();
        let plugins = if clients.exists() { "[rabbitmq_auth_mechanism_ssl].\n" } else { "[].\n" };
        std::fs::write(self.path("plugins"), plugins).unwrap();
    }

    /// Takes nobody by TLS without a certificate of one of these authorities, from its next start on. A certificate may say who
    /// somebody is.
    pub fn demand_certificates(&self, clients: &[&Authority]) {
        let clients: String = clients.iter().map(|authority| authority.certificate()).collect();
        std::fs::write(self.path(CLIENTS), clients).unwrap();
    }

    /// The certificate of the authority that vouches for the server, PEM.
    pub fn authority(&self) -> String {
        std::fs::read_to_string(self.path("ca.pem")).unwrap()
    }

    /// A file with a URI by way of TLS with these credentials, `user:password@` or nothing, and this query.
    pub fn tls_uri_file(&self, credentials: &str, query: &str) -> PathBuf {
        let uri = self.path(&format!("uri-tls-{}", query.len()));
        write_once(&uri, &format!("amqps://{credentials}localhost:{}/%2f{query}", self.tls));
        uri
    }

    /// A URI with this password; the right one is `guest`.
    pub fn uri(&self, password: &str) -> String {
        format!("amqp://guest:{password}@127.0.0.1:{}/%2f", self.port)
    }

    /// A file with the right URI by way of TLS, and one with the authority that vouches for the server.
    pub fn tls_files(&self) -> (PathBuf, PathBuf) {
        let uri = self.path("uri-tls");
        write_once(&uri, &format!("amqps://guest:guest@localhost:{}/%2f", self.tls));
        (uri, self.path("ca.pem"))
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A file with the right URI.
    pub fn uri_file(&self) -> PathBuf {
        self.uri_file_at(self.port)
    }

    /// The same, by way of another port.
    pub fn uri_file_at(&self, port: u16) -> PathBuf {
        let path = self.path(&format!("uri-{port}"));
        write_once(&path, &format!("amqp://guest:guest@127.0.0.1:{port}/%2f"));
        path
    }

    /// Tells it how much memory it may use before it takes no messages: 1 MB is less than it needs.
    pub fn allow_memory(&self, megabytes: u32) {
        self.ctl(&["set_vm_memory_high_watermark", "absolute", &format!("{megabytes}MB")]);
    }

    /// Runs `rabbitmqctl`, and wants success. It takes some seconds.
    pub fn ctl(&self, arguments: &[&str]) {
        self.asked(arguments);
    }

    /// The same, with what it answers.
    pub fn asked(&self, arguments: &[&str]) -> String {
        let told = self
            .root
            .command(ACCOUNT, "rabbitmqctl")
            .args(["-n", &self.node_name()])
            .args(arguments)
            .envs(self.environment())
            .output()
            .unwrap();
        assert!(told.status.success(), "rabbitmqctl {arguments:?}: {}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8_lossy(&told.stdout).into_owned()
    }

    fn node_name(&self) -> String {
        format!("test{}@localhost", self.port)
    }

    /// What the server and its tools find each other by.
    fn environment(&self) -> Vec<(&'static str, std::ffi::OsString)> {
        vec![
            ("HOME", self.dir.path().into()),
            ("ERL_EPMD_PORT", self.epmd_port.to_string().into()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
            ("RABBITMQ_NODENAME", self.node_name().into()),
            ("RABBITMQ_CONF_ENV_FILE", self.path("none").into()),
        ]
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.server.kill();
        self.epmd.kill();
    }
}
