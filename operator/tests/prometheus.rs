//! Questions to a real Prometheus, which scrapes what stands in for gateways; with TLS and without.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

use std::{
    fs::{self, File, Permissions},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use chat_operator::{
    prometheus::{QueryError, Source},
    sensitive::Sensitive,
};
use images::{backends::PROMETHEUS, servers::Account};
use tempfile::TempDir;
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(60);

/// What gateways of two revisions would say.
const METRICS: &str = "\
# TYPE errors gauge
errors{pod=\"demo-gateway-old-1\"} 1
errors{pod=\"demo-gateway-new-1\"} 7
errors{pod=\"demo-gateway-new-2\"} 0.5
";

/// A process of Prometheus; it is killed when it is dropped.
struct Prometheus {
    child: Child,
    at: SocketAddr,
    dir: TempDir,
}

impl Prometheus {
    /// Scrapes `target`, and speaks TLS with this certificate and key if there are any.
    fn start(at: SocketAddr, target: SocketAddr, tls: Option<(&str, &str)>) -> Self {
        let root = images::servers::server_root(&PROMETHEUS, &|line| println!("{line}")).unwrap_or_else(|error| {
            panic!("Prometheus is needed, which `cargo xtask servers` unpacks as root: {error}")
        });
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = dir.path().join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
            file
        };
        let config = write(
            "prometheus.yml",
            &format!(
                "global: {{ scrape_interval: 1s }}\nscrape_configs:\n\
                 - {{ job_name: gateways, static_configs: [{{ targets: ['{target}'] }}] }}\n"
            ),
        );
        let log = File::create(dir.path().join("log")).unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        // It runs as another account than the test.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&data, Permissions::from_mode(0o777)).unwrap();
        let mut command = root.command(Account::App, "prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={at}"));
        if let Some((certificate, key)) = tls {
            let (certificate, key) = (write("tls.crt", certificate), write("tls.key", key));
            let text = format!(
                "tls_server_config: {{ cert_file: '{}', key_file: '{}' }}\n",
                certificate.display(),
                key.display()
            );
            command.arg(format!("--web.config.file={}", write("web.yml", &text).display()));
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Self { child, at, dir }
    }

    /// Waits until the query has one result, and returns it.
    async fn wait(&self, source: &Source, query: &str) -> f64 {
        let started = Instant::now();
        loop {
            match source.ask(query).await {
                Ok(value) => return value,
                Err(error) if started.elapsed() > PATIENCE => {
                    panic!("{error}\n{}", fs::read_to_string(self.dir.path().join("log")).unwrap_or_default())
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves [`METRICS`].
async fn gateways() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(
        async move { axum::serve(listener, Router::new().route("/metrics", get(|| async { METRICS }))).await },
    );
    address
}

/// A loopback address of a test's own.
fn own_address() -> SocketAddr {
    (Ipv4Addr::new(127, rand::random_range(1..=254), rand::random_range(0..=255), 9), 9090).into()
}

fn plain(url: String) -> Source {
    Source { url, token: None, authorities: None }
}

#[tokio::test]
async fn a_query_has_one_number_or_says_what_is_wrong() {
    let prometheus = Prometheus::start(own_address(), gateways().await, None);
    let source = plain(format!("http://{}", prometheus.at));
    let of = |revision: &str| format!(r#"sum(errors{{pod=~"demo-gateway-{revision}-.*"}})"#);
    assert_eq!(prometheus.wait(&source, &of("new")).await, 7.5);
    assert_eq!(source.ask(&of("old")).await.unwrap(), 1.0);
    assert_eq!(source.ask(&format!("{} / {}", of("new"), of("old"))).await.unwrap(), 7.5);
    assert_eq!(source.ask("scalar(vector(3))").await.unwrap(), 3.0);
    assert_eq!(source.ask("1e3 / 0").await.unwrap(), f64::INFINITY);
    assert_eq!(source.ask(&format!("{} or vector(0)", of("none"))).await.unwrap(), 0.0);
    assert!(matches!(source.ask(&of("none")).await, Err(QueryError::Nothing)));
    assert!(matches!(source.ask("errors").await, Err(QueryError::Several(3))));
    assert!(matches!(source.ask("0 / 0").await, Err(QueryError::NoNumber(_))));
    assert!(matches!(source.ask("errors[1m]").await, Err(QueryError::Json(_))), "a range is no number");
    let refused = source.ask("sum(errors").await.unwrap_err().to_string();
    assert!(
        refused.starts_with("answered with status 400 Bad Request: ") && refused.contains("parse error"),
        "{refused}"
    );
    let nowhere = plain(format!("{}/elsewhere/", source.url));
    assert!(matches!(nowhere.ask("1").await, Err(QueryError::Refused(..))));
    let at = prometheus.at;
    drop(prometheus);
    let away = plain(format!("http://{at}"));
    assert!(matches!(away.ask("1").await, Err(QueryError::Connect(_))));
}

#[tokio::test]
async fn its_certificate_is_checked_by_the_authorities_that_are_given() {
    let at = own_address();
    let certificate = |name: String| rcgen::generate_simple_self_signed(vec![name]).unwrap();
    let (own, another) = (certificate(at.ip().to_string()), certificate(at.ip().to_string()));
    let (pem, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let prometheus = Prometheus::start(at, gateways().await, Some((&pem, &key)));
    let by = |authorities: Option<&str>| Source {
        url: format!("https://{at}/"),
        // It asks for none, and takes one.
        token: Some(Sensitive::new("token\n")),
        authorities: authorities.map(Sensitive::new),
    };
    assert_eq!(prometheus.wait(&by(Some(&pem)), "vector(2)").await, 2.0);
    for authorities in [Some(another.cert.pem()), None] {
        let refused = by(authorities.as_deref()).ask("1").await.unwrap_err().to_string();
        assert!(refused.contains("certificate"), "{refused}");
    }
    assert!(matches!(by(Some("none")).ask("1").await, Err(QueryError::Connect(_))));
    let in_the_clear = plain(format!("http://{at}"));
    assert!(matches!(in_the_clear.ask("1").await, Err(QueryError::Refused(..))));
}
