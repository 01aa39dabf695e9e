//! What a Redis needs to speak TLS, and to ask everybody for a certificate.

use std::path::Path;

use super::authority::Authority;

/// Settings of a server of loopback that this authority vouches for and that takes clients of these; the files for it come into this folder.
pub fn demands(dir: &Path, authority: &Authority, clients: &[&Authority]) -> Vec<(&'static str, String)> {
    let write = |name: &str, content: &str| {
        let file = dir.join(name);
        std::fs::write(&file, content).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let server = authority.server("127.0.0.1");
    let clients: String = clients.iter().map(|authority| authority.certificate()).collect();
    vec![
        ("tls-cert-file", write("tls-server.crt", &server.certificate)),
        ("tls-key-file", write("tls-server.key", &server.key)),
        ("tls-ca-cert-file", write("tls-clients.crt", &clients)),
        ("tls-auth-clients", "yes".to_owned()),
    ]
}

/// The same as lines of a configuration file.
pub fn lines(settings: &[(&str, String)]) -> String {
    settings.iter().map(|(name, value)| format!("{name} {value}\n")).collect()
}
