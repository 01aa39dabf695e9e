//! The port's certificate and the authorities of its clients, both of which change while the operator runs.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

use super::front_proxy::{FrontProxy, FrontProxyError};

/// Where the API server says how it is known.
const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
/// Pause between two looks at what may change. The kubelet takes a minute to bring a new certificate, and issuers renew days ahead.
const LOOK: Duration = Duration::from_secs(30);
/// The same while the port cannot serve.
const RETRY: Duration = Duration::from_secs(2);

/// The port cannot serve.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("failed to read {}", .file.display())]
    File {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("failed to read the ConfigMap {NAMESPACE}/{NAME}")]
    Api(#[source] Box<kube::Error>),
    #[error(transparent)]
    FrontProxy(#[from] FrontProxyError),
    #[error("{what} is no PEM")]
    Pem {
        what: &'static str,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    #[error("the authorities of the API server's front proxy cannot be used")]
    Authorities(#[source] rustls::server::VerifierBuilderError),
    #[error("the certificate or its key cannot be used")]
    Certificate(#[from] rustls::Error),
}

/// All that a connection is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sources {
    certificate: Vec<u8>,
    key: Vec<u8>,
    proxy: FrontProxy,
}

/// What holds for a connection that is made now.
#[derive(Clone)]
pub(super) struct Present {
    pub(super) config: Arc<ServerConfig>,
    pub(super) proxy: Arc<FrontProxy>,
}

/// The certificate and the authorities as they are now.
pub(super) struct Tls {
    folder: PathBuf,
    // A std mutex: held for a clone, never across an await.
    present: Mutex<Option<(Sources, Present)>>,
}

impl Tls {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, present: Mutex::default() }
    }

    /// What holds now; `None` while there is no certificate, or nobody is known who may connect.
    pub(super) fn present(&self) -> Option<Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, present)| present.clone())
    }

    /// Follows files and ConfigMap. Never returns. While they cannot be read, what held goes on.
    pub(super) async fn keep(&self, client: &Client) {
        let mut trouble = String::new();
        loop {
            match self.look(client).await {
                Ok(()) => trouble.clear(),
                Err(error) => {
                    let now = format!("{:#}", anyhow::Error::from(error));
                    // Once for each trouble, not for each look.
                    if now != trouble {
                        tracing::warn!(error = now, "the metrics APIs have trouble with their certificates");
                        trouble = now;
                    }
                }
            }
            tokio::time::sleep(if self.present().is_some() { LOOK } else { RETRY }).await;
        }
    }

    pub(super) async fn look(&self, client: &Client) -> Result<(), TlsError> {
        let map = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE).get(NAME).await;
        let proxy = FrontProxy::read(&map.map_err(|error| TlsError::Api(Box::new(error)))?)?;
        let (certificate, key) = (self.read("tls.crt").await?, self.read("tls.key").await?);
        self.take(Sources { certificate, key, proxy })
    }

    async fn read(&self, name: &str) -> Result<Vec<u8>, TlsError> {
        let file = self.folder.join(name);
        tokio::fs::read(&file).await.map_err(|source| TlsError::File { file, source })
    }

    fn take(&self, sources: Sources) -> Result<(), TlsError> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.as_ref().is_none_or(|(before, _)| *before != sources) {
            let config = Arc::new(config(&sources)?);
            let proxy = Arc::new(sources.proxy.clone());
            *present = Some((sources, Present { config, proxy }));
            tracing::info!("the metrics APIs serve with a new certificate or new authorities");
        }
        Ok(())
    }
}

/// Connections of the front proxy, and of nobody else.
fn config(sources: &Sources) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificates = |pem: &[u8], what| {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        read.map_err(|source| TlsError::Pem { what, source })
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates(sources.proxy.authorities.as_bytes(), "requestheader-client-ca-file")? {
        roots.add(authority)?;
    }
    // With no authority this fails, and a client without a certificate is refused.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(TlsError::Authorities)?;
    let chain = certificates(&sources.certificate, "tls.crt")?;
    let key = PrivateKeyDer::from_pem_slice(&sources.key);
    let key = key.map_err(|source| TlsError::Pem { what: "tls.key", source })?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
