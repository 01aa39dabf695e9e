//! From a host, a port and credentials to what the client library connects by.

use chat_gateway_config::{Credentials, HostPort, stats::Component};
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo, io::tcp::TcpSettings};

use super::{certificates::Certificates, reason::describe};

/// Commands are small and waited for: Nagle's algorithm would add up to 40 ms to some.
pub(super) fn at_once() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// An address.
pub(super) fn addr((host, port): &HostPort, tls: bool) -> ConnectionAddr {
    if tls {
        ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host.clone(), *port)
    }
}

/// How to connect to one server of several.
pub(crate) fn connection_info(
    at: &HostPort,
    tls: bool,
    credentials: &Credentials,
    certificates: &Certificates,
) -> Result<ConnectionInfo, Component> {
    let mut redis = RedisConnectionInfo::default();
    if let Some(username) = &credentials.username {
        redis = redis.set_username(username);
    }
    if let Some(password) = &credentials.password {
        redis = redis.set_password(password);
    }
    let info = addr(at, tls).into_connection_info().map_err(|error| describe(&error))?;
    certificates.on(info.set_tcp_settings(at_once()).set_redis_settings(redis))
}
