//! How long the client port waits for whom.

use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// Times of the client port, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timeouts {
    /// Time for the head of a request, 1 to 120: from the first moment a connection could send one. Ends connections that only hold a
    /// place, idle ones between two requests too.
    pub head_seconds: u32,
    /// Time for a whole request and its answer, 1 to 600. A full hash pool answers within a second or two.
    pub request_seconds: u32,
    /// A connection that did not become a WebSocket takes no further request after this time, at least `requestSeconds`; ends clients that do not
    /// take their answers.
    pub connection_seconds: u32,
    /// Time from the upgrade to `hello`, 1 to 120.
    pub hello_seconds: u32,
    /// Time between two pings, 1 to 300. A WebSocket without a sign of life for two of them is closed. The default is below the 30 s
    /// after which the most impatient of common middleboxes forget an idle connection.
    pub ping_seconds: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { head_seconds: 10, request_seconds: 30, connection_seconds: 300, hello_seconds: 10, ping_seconds: 25 }
    }
}

impl Timeouts {
    /// Whether these are the defaults.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let within = |field, value: u32, most: u32| {
            if (1..=most).contains(&value) {
                return Ok(());
            }
            Err(ConfigError { field, message: format!("must be 1 to {most}") })
        };
        within("http.timeouts.headSeconds", self.head_seconds, 120)?;
        within("http.timeouts.requestSeconds", self.request_seconds, 600)?;
        within("http.timeouts.helloSeconds", self.hello_seconds, 120)?;
        within("http.timeouts.pingSeconds", self.ping_seconds, 300)?;
        if !(self.request_seconds..=86_400).contains(&self.connection_seconds) {
            let message = "must be at least requestSeconds, and at most 86400".to_owned();
            return Err(ConfigError { field: "http.timeouts.connectionSeconds", message });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_bounded_and_a_connection_outlives_a_request() {
        Timeouts::default().validate().unwrap();
        let fault = |times: Timeouts| times.validate().unwrap_err().field;
        assert_eq!(fault(Timeouts { head_seconds: 0, ..Timeouts::default() }), "http.timeouts.headSeconds");
        assert_eq!(fault(Timeouts { ping_seconds: 301, ..Timeouts::default() }), "http.timeouts.pingSeconds");
        assert_eq!(
            fault(Timeouts { connection_seconds: 29, ..Timeouts::default() }),
            "http.timeouts.connectionSeconds"
        );
    }
}
