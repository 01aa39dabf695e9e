//! Keys, certificates and kubeconfig files: one authority for the cluster, one for requests that the API server
//! forwards, and one certificate for each component that talks to the API server.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::{
    config::ClusterConfig,
    files::{self, FileError},
    layout::Layout,
};

/// Members of this group may do everything.
const MASTERS: &str = "system:masters";

/// A key, certificate or kubeconfig file that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The certificate could not be made.
    #[error("failed to make a certificate")]
    Generate(#[from] rcgen::Error),
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// Makes all of them.
pub(crate) fn create(config: &ClusterConfig, layout: &Layout) -> Result<(), CertificateError> {
    files::make_folder(&layout.pki())?;
    let admin = layout.kubeconfig("admin");
    if let Some(folder) = admin.parent() {
        files::make_folder(folder)?;
    }
    let cluster = authority(layout, "ca", "localkube")?;
    let front_proxy = authority(layout, "front-proxy-ca", "localkube front proxy")?;
    store(layout, "front-proxy-client", &client(&front_proxy, "front-proxy-client", None)?)?;
    store(layout, "kubelet-client", &client(&cluster, "kube-apiserver-kubelet-client", Some(MASTERS))?)?;
    store(layout, "apiserver", &server(&cluster, config)?)?;

    let accounts = KeyPair::generate()?;
    write_secret(layout, "service-accounts.key", &accounts.serialize_pem())?;
    files::write(&layout.pki().join("service-accounts.pub"), &accounts.public_key_pem())?;

    let node = format!("system:node:{}", config.node());
    let users = [
        ("admin", "admin", Some(MASTERS)),
        ("provisioner", "localkube:provisioner", Some(MASTERS)),
        ("kube-controller-manager", "system:kube-controller-manager", None),
        ("kube-scheduler", "system:kube-scheduler", None),
        ("kube-proxy", "system:kube-proxy", None),
        ("kubelet", &node, Some("system:nodes")),
    ];
    for (file, user, group) in users {
        kubeconfig(config, layout, &cluster, file, &client(&cluster, user, group)?)?;
    }
    Ok(())
}

struct Pair {
    certificate: String,
    key: String,
}

fn authority(layout: &Layout, file: &str, name: &str) -> Result<Authority, CertificateError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let certificate = params.self_signed(&key)?.pem();
    store(layout, file, &Pair { certificate: certificate.clone(), key: key.serialize_pem() })?;
    Ok(Authority { certificate, issuer: Issuer::new(params, key) })
}

fn client(authority: &Authority, user: &str, group: Option<&str>) -> Result<Pair, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    sign(authority, params)
}

fn server(authority: &Authority, config: &ClusterConfig) -> Result<Pair, CertificateError> {
    let names = [
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
        "kubernetes.default.svc.cluster.local".to_owned(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        config.api_service().to_string(),
        config.node_address().to_string(),
    ];
    // Names that are addresses become addresses.
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    sign(authority, params)
}

fn sign(authority: &Authority, mut params: CertificateParams) -> Result<Pair, CertificateError> {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &authority.issuer)?.pem();
    Ok(Pair { certificate, key: key.serialize_pem() })
}

fn store(layout: &Layout, name: &str, pair: &Pair) -> Result<(), FileError> {
    files::write(&layout.pki().join(format!("{name}.crt")), &pair.certificate)?;
    write_secret(layout, &format!("{name}.key"), &pair.key)
}

fn write_secret(layout: &Layout, name: &str, content: &str) -> Result<(), FileError> {
    files::write_secret(&layout.pki().join(name), content)
}

fn kubeconfig(
    config: &ClusterConfig,
    layout: &Layout,
    authority: &Authority,
    file: &str,
    pair: &Pair,
) -> Result<(), FileError> {
    let text = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": config.name,
            "cluster": {
                "server": config.api_url(),
                "certificate-authority-data": BASE64_STANDARD.encode(&authority.certificate),
            },
        }],
        "users": [{
            "name": file,
            "user": {
                "client-certificate-data": BASE64_STANDARD.encode(&pair.certificate),
                "client-key-data": BASE64_STANDARD.encode(&pair.key),
            },
        }],
        "contexts": [{"name": config.name, "context": {"cluster": config.name, "user": file}}],
        "current-context": config.name,
    });
    files::write_secret(&layout.kubeconfig(file), &format!("{text:#}\n"))
}
