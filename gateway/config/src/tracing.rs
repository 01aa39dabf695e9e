//! Where spans of messages go, and of how many messages.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ConfigError;

/// Messages in a million that are traced if nothing else is said: one in a hundred.
pub const DEFAULT_SAMPLING_RATE_PER_MILLION: u32 = 10_000;

/// Traces for an OpenTelemetry Collector, or whatever else takes OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tracing {
    /// Where spans are sent to.
    pub endpoint: OtlpEndpoint,
    /// Messages in a million that are traced from their sender on; [`DEFAULT_SAMPLING_RATE_PER_MILLION`] if absent. A message that another gateway
    /// traces is traced here whatever stands here.
    #[serde(default = "default_rate")]
    pub sampling_rate_per_million: u32,
}

fn default_rate() -> u32 {
    DEFAULT_SAMPLING_RATE_PER_MILLION
}

impl Tracing {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if self.sampling_rate_per_million > 1_000_000 {
            let message = "must be 0 to 1000000; 1000000 traces every message".to_owned();
            return Err(ConfigError { field: "tracing.samplingRatePerMillion", message });
        }
        Ok(())
    }
}

/// The base of an OTLP receiver over HTTP, such as `http://collector.observability:4318`, as in `OTEL_EXPORTER_OTLP_ENDPOINT`: what kind of signal it
/// is follows behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpEndpoint(String);

/// A text that is no base of an OTLP receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpEndpointError(String);

impl fmt::Display for OtlpEndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no base of an OTLP receiver; write http:// or https://, a host, perhaps a port and a path, and nothing else, like \
             http://collector.observability:4318",
            self.0
        )
    }
}

impl std::error::Error for OtlpEndpointError {}

impl OtlpEndpoint {
    /// Bytes of the longest one.
    pub const MAX_BYTES: usize = 512;

    /// Where spans are posted to.
    #[must_use]
    pub fn traces(&self) -> String {
        format!("{}/v1/traces", self.0.trim_end_matches('/'))
    }
}

impl fmt::Display for OtlpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for OtlpEndpoint {
    type Err = OtlpEndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || OtlpEndpointError(text.to_owned());
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or_else(refused)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // No user and password, which would stand in a ConfigMap; no query, since a path follows.
        let is_path = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._~-".contains(&byte));
        if is_authority(authority) && is_path && text.len() <= Self::MAX_BYTES {
            Ok(Self(text.to_owned()))
        } else {
            Err(refused())
        }
    }
}

fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rfind(':') {
        // A colon inside brackets belongs to an IPv6 address.
        Some(at) if !text[at..].contains(']') => (&text[..at], text.get(at + 1..)),
        _ => (text, None),
    };
    let is_host = match host.strip_prefix('[') {
        Some(literal) => literal.strip_suffix(']').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|number| number > 0)
    };
    is_host && port.is_none_or(is_port)
}

impl Serialize for OtlpEndpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OtlpEndpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_base_over_http() {
        for (good, traces) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("https://otel.example.org/", "https://otel.example.org/v1/traces"),
            ("http://[2001:db8::1]:4318/a/b", "http://[2001:db8::1]:4318/a/b/v1/traces"),
        ] {
            assert_eq!(good.parse::<OtlpEndpoint>().unwrap().traces(), traces);
        }
        for bad in [
            "",
            "collector:4317",
            "grpc://collector:4317",
            "http://",
            "http://a:0",
            "http://a:70000",
            "http://a:b",
            "http://user:secret@a:4318",
            "http://a?x=1",
            "http://a/b#c",
            "http://[::1",
            "http://a b",
        ] {
            let error = bad.parse::<OtlpEndpoint>().unwrap_err().to_string();
            assert!(error.contains("http://collector.observability:4318"), "{bad}: {error}");
        }
    }

    #[test]
    fn one_message_in_a_hundred_is_traced_unless_another_rate_is_named() {
        let tracing: Tracing = serde_json::from_str(r#"{"endpoint":"http://collector:4318"}"#).unwrap();
        assert_eq!(tracing.sampling_rate_per_million, 10_000);
        assert!(tracing.validate().is_ok());
        let much = Tracing { sampling_rate_per_million: 1_000_001, ..tracing };
        assert_eq!(much.validate().unwrap_err().field, "tracing.samplingRatePerMillion");
        assert!(serde_json::from_str::<Tracing>(r#"{"endpoint":"http://c","headers":{}}"#).is_err());
    }
}
