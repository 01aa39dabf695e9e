//! What a condition says of its ChatCluster: whether it is as it should be.

use chat_crds::chat_cluster::ConditionType;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Reasons of conditions that are True, and worth a look all the same.
const WORTH_A_LOOK: [&str; 2] = ["GatewaySilent", "ClockSkewed"];

/// How a condition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Good,
    /// As it should be, with a remark.
    Remarkable,
    /// Nobody knows yet.
    Unknown,
    Bad,
}

impl Health {
    pub(crate) fn of(condition: &Condition) -> Self {
        // These two say how the operator is, and are False where it has nothing to do.
        let reversed = [ConditionType::Reconciling, ConditionType::Stalled];
        let good = if reversed.iter().any(|type_| type_.as_str() == condition.type_) { "False" } else { "True" };
        match condition.status.as_str() {
            status if status == good && WORTH_A_LOOK.contains(&condition.reason.as_str()) => Self::Remarkable,
            status if status == good => Self::Good,
            "True" | "False" => Self::Bad,
            _ => Self::Unknown,
        }
    }

    /// What stands before a line about it, so that eyes find it.
    pub(crate) const fn mark(self) -> &'static str {
        match self {
            Self::Good => " ",
            Self::Remarkable | Self::Bad => "!",
            Self::Unknown => "?",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_operators_own_conditions_are_good_when_false() {
        let health = |type_: &str, status: &str, reason: &str| {
            let condition = json!({ "type": type_, "status": status, "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z" });
            Health::of(&serde_json::from_value(condition).unwrap())
        };
        assert_eq!(health("Ready", "True", "Ready"), Health::Good);
        assert_eq!(health("Ready", "False", "RollingOut"), Health::Bad);
        assert_eq!(health("Stalled", "False", "NotStalled"), Health::Good);
        assert_eq!(health("Reconciling", "True", "RollingOut"), Health::Bad);
        assert_eq!(health("DeliveryVerified", "Unknown", "NotProbed"), Health::Unknown);
        assert_eq!(health("GatewaysAvailable", "True", "ClockSkewed"), Health::Remarkable);
    }
}
