//! How soon the people of a gateway that died count as offline.

use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// Presence over several gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Presence {
    /// Seconds without a sign of life after which a gateway counts as dead, 3 to 300. Five signs fit into it.
    pub gateway_seconds: u32,
}

impl Default for Presence {
    /// Longer than Redis or a gateway is away for in passing; by then clients of a dead gateway have long connected elsewhere.
    fn default() -> Self {
        Self { gateway_seconds: 15 }
    }
}

impl Presence {
    /// Whether these are the defaults.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn validate(self) -> Result<(), ConfigError> {
        if (3..=300).contains(&self.gateway_seconds) {
            return Ok(());
        }
        Err(ConfigError { field: "presence.gatewaySeconds", message: "must be 3 to 300".to_owned() })
    }
}
