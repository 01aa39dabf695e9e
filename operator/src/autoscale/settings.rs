//! What a ChatCluster says about its autoscaling, with nothing absent.

use std::time::Duration;

use chat_crds::chat_cluster::{ChatClusterSpec, DEFAULT_SCALE_DOWN_WINDOW_SECONDS, DEFAULT_TARGET_UTILIZATION};
use jiff::Timestamp;

use super::schedule::Floor;
use crate::recurrence::RecurrenceError;

/// Bounds and targets of the native autoscaler.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Fewest gateways.
    pub min: i32,
    /// Most gateways.
    pub max: i32,
    /// Connections that a gateway accepts.
    pub connections: i64,
    /// Messages a second that a gateway takes; `None` when they do not count.
    pub messages: Option<i64>,
    /// Percent of both that gateways are to have on average.
    pub target: i64,
    /// For how long fewer gateways must have been enough before one goes.
    pub window: Duration,
    /// Floors for known times.
    pub floors: Vec<Floor>,
}

impl Settings {
    /// The settings of a spec; `None` when the operator does not decide.
    ///
    /// # Errors
    /// When a schedule cannot be read, or never comes.
    pub fn of(spec: &ChatClusterSpec, now: Timestamp) -> Result<Option<Self>, RecurrenceError> {
        let Some(autoscaling) = spec.native_autoscaling() else { return Ok(None) };
        let min = autoscaling.effective_min_replicas();
        let window =
            autoscaling.scale_down.and_then(|down| down.window_seconds).unwrap_or(DEFAULT_SCALE_DOWN_WINDOW_SECONDS);
        Ok(Some(Self {
            min,
            // The schema demands it; one that is older than the operator might not.
            max: autoscaling.max_replicas.unwrap_or(min),
            connections: i64::from(spec.effective_connections_per_gateway().max(1)),
            messages: autoscaling.messages_per_gateway.map(|messages| i64::from(messages.max(1))),
            target: i64::from(autoscaling.target_utilization.unwrap_or(DEFAULT_TARGET_UTILIZATION).max(1)),
            window: Duration::from_secs(u64::try_from(window).unwrap_or_default()),
            floors: autoscaling
                .schedules
                .iter()
                .map(|schedule| Floor::read(schedule, now))
                .collect::<Result<_, _>>()?,
        }))
    }
}
