//! A certificate on disk as the kubelet keeps it, and who shows it.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const HOST: &str = "chat.example.org";

/// A new certificate and its key.
pub(crate) fn pair() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(vec![HOST.to_owned()]).unwrap()
}

/// A mounted Secret: its files are changed all at once, by a link.
pub(crate) struct Mounted {
    folder: PathBuf,
    versions: AtomicUsize,
}

impl Mounted {
    pub(crate) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), versions: AtomicUsize::new(0) }
    }

    /// Writes what Kubernetes brings.
    pub(crate) fn put(&self, certificate: &str, key: &str) {
        let version = self.folder.join(format!("..{}", self.versions.fetch_add(1, Relaxed)));
        fs::create_dir_all(&version).unwrap();
        fs::write(version.join("tls.pem"), certificate).unwrap();
        fs::write(version.join("tls.pem.key"), key).unwrap();
        let (data, draft) = (self.folder.join("..data"), self.folder.join("..draft"));
        symlink(&version, &draft).unwrap();
        fs::rename(&draft, &data).unwrap();
        for name in ["tls.pem", "tls.pem.key"] {
            if !self.folder.join(name).exists() {
                symlink(format!("..data/{name}"), self.folder.join(name)).unwrap();
            }
        }
    }
}

/// A WebSocket over TLS, if who answers shows this certificate.
pub(crate) async fn connect(at: SocketAddr, shown: &CertifiedKey<KeyPair>) -> Result<TlsStream<TcpStream>, String> {
    let mut roots = RootCertStore::empty();
    roots.add(shown.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let said = |error: std::io::Error| error.to_string();
    let stream = TcpStream::connect(at).await.map_err(said)?;
    let mut stream = connector.connect(ServerName::try_from(HOST).unwrap(), stream).await.map_err(said)?;
    stream.write_all(crate::handshake("").as_bytes()).await.map_err(said)?;
    let head = crate::gateway::head(&mut stream).await.map_err(said)?;
    if head.starts_with("HTTP/1.1 101") { Ok(stream) } else { Err(head) }
}

/// Whether what is sent comes back.
pub(crate) async fn is_alive(stream: &mut TlsStream<TcpStream>) -> bool {
    let mut back = [0; 4];
    let echo = async { stream.write_all(b"ping").await.is_ok() && stream.read_exact(&mut back).await.is_ok() };
    tokio::time::timeout(crate::PATIENCE, echo).await == Ok(true)
}
