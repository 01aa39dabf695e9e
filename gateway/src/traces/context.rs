//! Names a span among all there are, as W3C Trace Context does: what crosses from gateway to gateway inside an envelope.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of a trace that is recorded. Of messages that are not recorded there is none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Context {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
}

/// A text that names no recorded span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoContext;

impl Context {
    /// The root of a new trace.
    pub(super) fn root() -> Self {
        // All zeros name nothing, and are drawn once in 2^64 messages.
        Self { trace: rand::random::<[u8; 16]>(), span: rand::random::<[u8; 8]>() }
    }

    /// Another span of the same trace.
    pub(super) fn sibling(self) -> Self {
        Self { span: rand::random(), ..self }
    }
}

impl fmt::Display for Context {
    /// The `traceparent` of version 00 with the flag that it is recorded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (u128::from_be_bytes(self.trace), u64::from_be_bytes(self.span));
        write!(f, "00-{trace:032x}-{span:016x}-01")
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Context {
    type Err = NoContext;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let (Some(version), Some(trace), Some(span), Some(flags)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoContext);
        };
        // A newer version may add parts at the end; 00 has none.
        let known = version != "ff" && (version != "00" || parts.next().is_none());
        let version = hex(version, 2)?;
        let (trace, span, flags) = (hex(trace, 32)?, hex(span, 16)?, hex(flags, 2)?);
        let span = u64::try_from(span).map_err(|_| NoContext)?;
        if !known || version > 0xff || trace == 0 || span == 0 || flags & 1 == 0 {
            return Err(NoContext);
        }
        Ok(Self { trace: trace.to_be_bytes(), span: span.to_be_bytes() })
    }
}

/// A number of so many digits, which are small letters in Trace Context.
fn hex(text: &str, digits: usize) -> Result<u128, NoContext> {
    let fits = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if fits { u128::from_str_radix(text, 16).map_err(|_| NoContext) } else { Err(NoContext) }
}

impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a context; what is none counts as none, since a message must not be lost for its trace.
///
/// # Errors
/// When it is not even JSON.
pub(crate) fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Context>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_written_is_read() {
        let context: Context = GOOD.parse().unwrap();
        assert_eq!(context.to_string(), GOOD);
        let drawn = Context::root();
        assert_eq!(drawn.to_string().parse(), Ok(drawn));
        assert_eq!(drawn.sibling().trace, drawn.trace);
        assert_ne!(drawn.sibling().span, drawn.span);
    }

    #[test]
    fn what_names_no_recorded_span_is_none() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b77-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(bad.parse::<Context>(), Err(NoContext), "{bad}");
        }
        // What a version to come adds at the end is passed over.
        assert!("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more".parse::<Context>().is_ok());
    }
}
