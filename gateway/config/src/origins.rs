//! Origins of pages: whose scripts may open connections from a browser.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Origins that one gateway admits at most.
pub const MAX_ORIGINS: usize = 64;

/// An origin as browsers write it (RFC 6454, section 6.2), such as `https://chat.example.org`: scheme, host, and the port unless it is
/// the scheme's own. Hosts of other scripts stand in their `xn--` form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: String,
    host: String,
    /// None when it is the scheme's own.
    port: Option<u16>,
}

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginError(String);

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no origin; write scheme, host and perhaps a port, and nothing else, like https://chat.example.org",
            self.0
        )
    }
}

impl std::error::Error for OriginError {}

impl Origin {
    /// Whether a request with this `Host` header goes to where the page came from. A port that is the scheme's own may stand there or
    /// not. Behind a proxy that speaks TLS the gateway does not see the scheme, so it is taken from the origin.
    #[must_use]
    pub fn is_of_host(&self, host: &str) -> bool {
        Self::new(&self.scheme, host).is_some_and(|here| here == *self)
    }

    fn new(scheme: &str, authority: &str) -> Option<Self> {
        let scheme = scheme.to_ascii_lowercase();
        let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let (host, port) = match authority.rfind(':') {
            // A colon inside brackets belongs to an IPv6 address.
            Some(at) if !authority[at..].contains(']') => (&authority[..at], Some(authority.get(at + 1..)?)),
            _ => (authority, None),
        };
        let host = host.to_ascii_lowercase();
        let fits = match host.strip_prefix('[') {
            Some(literal) => literal.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
        };
        let port = match port {
            None => None,
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(text.parse().ok()?),
            Some(_) => return None,
        };
        let own = match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        (named && fits && port != Some(0)).then(|| Self { host, port: port.filter(|port| own != Some(*port)), scheme })
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once("://");
        parts.and_then(|(scheme, authority)| Self::new(scheme, authority)).ok_or_else(|| OriginError(text.to_owned()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// An entry of the list of admitted origins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AllowedOrigin {
    /// `*`: all there are.
    Any,
    /// This one.
    One(Origin),
}

impl AllowedOrigin {
    /// Whether an origin is meant. `null`, which pages without an origin of their own send, is no origin: only [`AllowedOrigin::Any`]
    /// admits it.
    #[must_use]
    pub fn admits(&self, origin: Option<&Origin>) -> bool {
        match self {
            Self::Any => true,
            Self::One(allowed) => origin == Some(allowed),
        }
    }
}

impl FromStr for AllowedOrigin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" { Ok(Self::Any) } else { text.parse().map(Self::One) }
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::One(origin) => origin.fmt(f),
        }
    }
}

impl Serialize for AllowedOrigin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AllowedOrigin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        for (text, written) in [
            ("https://chat.example.org", "https://chat.example.org"),
            ("HTTPS://Chat.Example.ORG:443", "https://chat.example.org"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("http://[2001:db8::1]:80", "http://[2001:db8::1]"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(origin(text).to_string(), written);
        }
        for bad in [
            "",
            "null",
            "chat.example.org",
            "https://",
            "https://chat.example.org/",
            "https://chat.example.org/chat",
            "https://chat.example.org?x",
            "https://chat.example.org#x",
            "https://ann@chat.example.org",
            "https://*.example.org",
            "https://chät.example.org",
            "https://chat.example.org:0",
            "https://chat.example.org:65536",
            "https://chat.example.org:+443",
            "https://chat.example.org:",
            "https://[2001:db8::1",
            "https://a b",
            "1https://a",
            "https://a, https://b",
        ] {
            assert!(bad.parse::<Origin>().unwrap_err().to_string().contains("https://chat.example.org"), "{bad}");
        }
    }

    #[test]
    fn a_host_is_the_same_with_and_without_its_schemes_port() {
        for (page, host) in [
            ("https://chat.example.org", "chat.example.org"),
            ("https://chat.example.org", "CHAT.example.org:443"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert!(origin(page).is_of_host(host), "{page} {host}");
        }
        for (page, host) in [
            ("https://chat.example.org", "chat.example.org:8443"),
            ("https://chat.example.org", "chat.example.org:80"),
            ("https://chat.example.org", "example.org"),
            ("https://chat.example.org.evil.example", "chat.example.org"),
            ("http://127.0.0.1:8081", "127.0.0.1:8080"),
            ("https://a", ""),
            ("https://a", "a, b"),
        ] {
            assert!(!origin(page).is_of_host(host), "{page} {host}");
        }
    }

    #[test]
    fn a_list_admits_what_stands_in_it() {
        let listed: AllowedOrigin = serde_json::from_str(r#""https://a.example""#).unwrap();
        assert!(listed.admits(Some(&origin("https://a.example:443"))));
        assert!(!listed.admits(Some(&origin("http://a.example"))) && !listed.admits(None));
        let any: AllowedOrigin = serde_json::from_str(r#""*""#).unwrap();
        assert!(any.admits(None));
        assert_eq!(serde_json::to_string(&[any, listed]).unwrap(), r#"["*","https://a.example"]"#);
        assert!(serde_json::from_str::<AllowedOrigin>(r#""https://a.example/x""#).is_err());
    }
}
