//! Certificates for the connections to Redis.

use chat_gateway_config::{Redis, stats::Component};
use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};

use super::reason::down;
use crate::settings;

/// What is believed and what is shown; nothing where the configuration names no files. It holds a key, so there is no `Debug`.
#[derive(Clone, Default)]
pub(crate) struct Certificates(Option<TlsCertificates>);

impl Certificates {
    /// Reads them; done anew for each connection, since they are renewed.
    pub(super) fn read(redis: &Redis) -> Result<Self, Component> {
        let read = |path| match settings::read(path) {
            Ok(content) => Ok(content.into_bytes()),
            Err(error) => Err(down("SecretMissing", error.to_string())),
        };
        let root_cert = redis.ca_file.as_deref().map(read).transpose()?;
        let client_tls = match &redis.client_certificate {
            None => None,
            Some(shown) => Some(ClientTlsConfig {
                client_cert: read(&shown.certificate_file)?,
                client_key: read(&shown.key_file)?,
            }),
        };
        if root_cert.is_none() && client_tls.is_none() {
            return Ok(Self(None));
        }
        Ok(Self(Some(TlsCertificates { client_tls, root_cert })))
    }

    /// The same way with these certificates on it.
    pub(crate) fn on(&self, info: ConnectionInfo) -> Result<ConnectionInfo, Component> {
        let Some(certificates) = &self.0 else { return Ok(info) };
        if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            let right = "begin it with rediss://, rediss-sentinel:// or rediss-cluster://";
            return Err(down("InvalidUrl", format!("there are certificates for a Redis URL without TLS; {right}")));
        }
        // The library's words tell which file it is, and nothing of what is in it.
        let client = Client::build_with_tls(info, certificates.clone()).map_err(|error| {
            let right = "certificates and key must be PEM, and the key not encrypted";
            down("SecretMissing", format!("the certificates of the Redis's tls are of no use ({error}): {right}"))
        })?;
        Ok(client.get_connection_info().clone())
    }
}

#[cfg(test)]
mod tests {
    use chat_gateway_config::ClientCertificate;
    use redis::IntoConnectionInfo as _;

    use super::*;

    #[test]
    fn what_is_of_no_use_is_told_before_anybody_connects() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let shown = ClientCertificate { certificate_file: file("tls.crt"), key_file: file("tls.key") };
        let redis = Redis { url_file: file("url"), ca_file: None, client_certificate: Some(shown) };
        let problem = |url: &str| {
            let way = Certificates::read(&redis).and_then(|read| read.on(url.into_connection_info().unwrap()));
            way.map(drop).unwrap_err()
        };
        let missing = problem("rediss://h");
        assert!(missing.reason == "SecretMissing" && missing.message.contains("tls.crt"), "{missing:?}");
        std::fs::write(file("tls.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        std::fs::write(file("tls.key"), "hush").unwrap();
        let no_key = problem("rediss://h");
        assert!(no_key.message.contains("private key") && !no_key.message.contains("hush"), "{no_key:?}");
        let plain = problem("redis://h");
        assert!(plain.reason == "InvalidUrl" && plain.message.contains("rediss://"), "{plain:?}");
        let none = Certificates::read(&Redis::at(file("url"))).unwrap();
        assert!(none.on("redis://h".into_connection_info().unwrap()).is_ok());
    }
}
