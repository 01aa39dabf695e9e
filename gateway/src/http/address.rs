//! The address of a client, behind proxies or not.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use chat_gateway_config::Cidr;

use super::Http;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whom a limit on addresses is about: the client's address; of IPv6 the /64 network, of which one person has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Of a request that came from `peer`. Headers count only as far as trusted proxies wrote them: from the right, each address is
    /// believed when the one after it is a trusted proxy's. Where `X-Forwarded-For` and `Forwarded` disagree neither counts: a proxy
    /// writes one of them and passes the other on as the client sent it.
    #[must_use]
    pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> Self {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        let peer = peer.to_canonical();
        if !is_trusted(peer) {
            return Self(network(peer));
        }
        let walk = |hops: Vec<Option<IpAddr>>| {
            let mut client = peer;
            for hop in hops.into_iter().rev() {
                // An address that cannot be read hides all before it.
                let (true, Some(address)) = (is_trusted(client), hop) else { break };
                client = address.to_canonical();
            }
            client
        };
        let client = match (x_forwarded_for(headers), forwarded(headers)) {
            (Some(hops), None) | (None, Some(hops)) => walk(hops),
            (Some(one), Some(other)) => {
                let (one, other) = (walk(one), walk(other));
                if one == other { one } else { peer }
            }
            (None, None) => peer,
        };
        Self(network(client))
    }
}

impl std::fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl FromRequestParts<Http> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        // The listener adds the peer to every request; without it the strictest answer is one bucket for all.
        let peer = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
        Ok(Self::of(peer, &parts.headers, &http.services.config.get().http.trusted_proxies))
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// The elements of all lines of a list header, in order; `None` when there is no line.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Vec<&'a str>> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    // A line that is no text becomes an element that is no address.
    Some(lines.flat_map(|line| line.to_str().unwrap_or("?").split(',').map(str::trim)).collect())
}

fn x_forwarded_for(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    Some(elements(headers, &X_FORWARDED_FOR)?.into_iter().map(node).collect())
}

/// RFC 7239: the `for` of each element.
fn forwarded(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    let hop = |element: &str| {
        let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let value =
            pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for")).map(|(_, value)| value.trim()).next()?;
        node(value.trim_matches('"'))
    };
    Some(elements(headers, &header::FORWARDED)?.into_iter().map(hop).collect())
}

/// An address, with a port or not; IPv6 in brackets or not. Obfuscated names of RFC 7239 are none.
fn node(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let trusted: Vec<Cidr> = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).into();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        ClientAddress::of(peer.parse().unwrap(), &map, &trusted).to_string()
    }

    #[test]
    fn a_header_of_somebody_untrusted_is_not_believed() {
        assert_eq!(client("203.0.113.5", &[]), "203.0.113.5");
        assert_eq!(client("203.0.113.5", &[("x-forwarded-for", "198.51.100.1")]), "203.0.113.5");
        assert_eq!(client("203.0.113.5", &[("forwarded", "for=198.51.100.1")]), "203.0.113.5");
    }

    #[test]
    fn the_last_address_that_no_trusted_proxy_has_is_the_client() {
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "198.51.100.1")]), "198.51.100.1");
        // What stands before it was written by the client itself.
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, 198.51.100.1, 10.9.9.9")]), "198.51.100.1");
        assert_eq!(
            client("10.0.0.1", &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "198.51.100.1")]),
            "198.51.100.1"
        );
        assert_eq!(client("::ffff:10.0.0.1", &[("x-forwarded-for", "198.51.100.1:4711")]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "10.0.0.2, 10.0.0.3")]), "10.0.0.2");
        // An address that cannot be read hides those before it.
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "198.51.100.1, unknown, 10.0.0.3")]), "10.0.0.3");
    }

    #[test]
    fn the_standard_header_says_the_same() {
        let header = r#"for=1.1.1.1, For="198.51.100.1:80";proto=https;by=10.0.0.4, for=10.9.9.9"#;
        assert_eq!(client("10.0.0.1", &[("forwarded", header)]), "198.51.100.1");
        assert_eq!(client("fd00::1", &[("forwarded", r#"for="[2001:db8:1:2:3::4]:99""#)]), "2001:db8:1:2::");
        assert_eq!(client("10.0.0.1", &[("forwarded", "for=_hidden, for=10.0.0.7")]), "10.0.0.7");
    }

    #[test]
    fn a_second_header_cannot_be_smuggled_through() {
        let spoofed = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=1.1.1.1")];
        assert_eq!(client("10.0.0.1", &spoofed), "10.0.0.1");
        let agreeing = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=198.51.100.1")];
        assert_eq!(client("10.0.0.1", &agreeing), "198.51.100.1");
    }

    #[test]
    fn one_person_has_a_whole_network_of_ipv6() {
        assert_eq!(client("2001:db8:1:2:3:4:5:6", &[]), "2001:db8:1:2::");
    }
}
