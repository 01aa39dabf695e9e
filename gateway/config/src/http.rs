//! The client port: whom to believe about addresses, and how often an address or a name may knock.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{AllowedOrigin, ConfigError, Timeouts, origins::MAX_ORIGINS};

/// The client port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Http {
    /// Networks of the proxies whose `X-Forwarded-For` or `Forwarded` header tells the client's address. Nobody else is believed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<Cidr>,
    /// Origins of pages on other hosts whose scripts may connect from a browser, at most [`MAX_ORIGINS`]. A page that came from the
    /// host that it connects to needs no entry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_origins: Vec<AllowedOrigin>,
    /// Token buckets.
    #[serde(skip_serializing_if = "Rates::is_default")]
    pub rates: Rates,
    /// Times.
    #[serde(skip_serializing_if = "Timeouts::is_default")]
    pub timeouts: Timeouts,
}

impl Http {
    /// Whether nothing was set.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if let Some((field, _)) = self.rates.all().into_iter().find(|(_, bucket)| bucket.burst == 0) {
            let message = "burst must be at least 1; for no limit set perMinute to 0".to_owned();
            return Err(ConfigError { field, message });
        }
        if self.allowed_origins.len() > MAX_ORIGINS {
            let message = format!("has at most {MAX_ORIGINS} origins");
            return Err(ConfigError { field: "http.allowedOrigins", message });
        }
        self.timeouts.validate()
    }
}

/// Size and speed of a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bucket {
    /// Tokens a minute; 0 lifts the limit.
    pub per_minute: u32,
    /// Tokens that a full bucket holds, at least 1.
    pub burst: u32,
}

/// The buckets of the client port, shared by all gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rates {
    /// Sign-ups, sign-ins and password changes from one address.
    pub sign_in_per_address: Bucket,
    /// Sign-ups, sign-ins and password changes under one name.
    pub sign_in_per_name: Bucket,
    /// Uses of refresh tokens, and questions about sessions, from one address.
    pub refresh_per_address: Bucket,
    /// Uses of refresh tokens, and questions about sessions, of one user.
    pub refresh_per_user: Bucket,
    /// WebSocket handshakes from one address.
    pub handshake_per_address: Bucket,
    /// Messages, and changes of messages, rooms, members and mutes, from one address.
    pub write_per_address: Bucket,
}

impl Default for Rates {
    /// Generous to addresses, since many people may come through one, and all of them at once when a gateway has gone; strict to
    /// names: ten guesses a minute are no way to find a password, and a person does not notice.
    fn default() -> Self {
        Self {
            sign_in_per_address: Bucket { per_minute: 1_200, burst: 200 },
            sign_in_per_name: Bucket { per_minute: 10, burst: 10 },
            refresh_per_address: Bucket { per_minute: 6_000, burst: 2_000 },
            refresh_per_user: Bucket { per_minute: 60, burst: 60 },
            handshake_per_address: Bucket { per_minute: 30_000, burst: 20_000 },
            write_per_address: Bucket { per_minute: 300_000, burst: 50_000 },
        }
    }
}

impl Rates {
    /// Whether these are the defaults.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Every bucket with its field.
    fn all(&self) -> [(&'static str, Bucket); 6] {
        [
            ("http.rates.signInPerAddress", self.sign_in_per_address),
            ("http.rates.signInPerName", self.sign_in_per_name),
            ("http.rates.refreshPerAddress", self.refresh_per_address),
            ("http.rates.refreshPerUser", self.refresh_per_user),
            ("http.rates.handshakePerAddress", self.handshake_per_address),
            ("http.rates.writePerAddress", self.write_per_address),
        ]
    }
}

/// A network such as `10.0.0.0/8` or `fd00::/8`; an address alone is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// All addresses of both versions of IP.
    pub const ALL: [Self; 2] = [
        Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 0 },
        Self { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix: 0 },
    ];

    /// Whether an address is in the network. An IPv4 address in IPv6 form counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same(network.to_bits().into(), address.to_bits().into(), 32, self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => same(network.to_bits(), address.to_bits(), 128, self.prefix),
            _ => false,
        }
    }
}

/// Whether two numbers of `width` bits begin with the same `prefix` bits.
fn same(a: u128, b: u128, width: u8, prefix: u8) -> bool {
    prefix == 0 || (a ^ b) >> (width - prefix) == 0
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CidrError(String);

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no network; write it like 10.0.0.0/8 or fd00::/8", self.0)
    }
}

impl std::error::Error for CidrError {}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || CidrError(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), str::parse).map_err(|_| wrong())?;
        if prefix > width {
            return Err(wrong());
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        network.parse::<Cidr>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("0.0.0.0/0", "203.0.113.9") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("fd00::/8", "fdff::1") && !holds("fd00::/8", "fe80::1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"), "IPv4 in IPv6 form");
        for bad in ["", "10.0.0.0/33", "fd00::/129", "10.0.0/8", "a/8", "10.0.0.0/", "10.0.0.0/-1"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_not_set_is_not_written() {
        assert_eq!(serde_json::to_string(&Http::default()).unwrap(), "{}");
        let http: Http = serde_json::from_str(r#"{"trustedProxies":["10.0.0.0/8"]}"#).unwrap();
        assert_eq!(serde_json::to_string(&http).unwrap(), r#"{"trustedProxies":["10.0.0.0/8"]}"#);
    }
}
