//! Certificates for the connections to Redis.

use chat_gateway_config::{Redis, stats::Component};
use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};

use super::reason::{describe, down};
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
        // The library takes a text without certificates for no authorities, and fails at the first connection.
        let client = Client::build_with_tls(info, certificates.clone()).map_err(|error| {
            let told = describe(&error).message;
            down("SecretMissing", format!("the certificates for Redis are of no use: {told}; they must be PEM"))
        })?;
        Ok(client.get_connection_info().clone())
    }
}
