//! What a gateway carries: its metrics, through the API server.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::time::{Instant, sleep};

use crate::admin_port;

/// Between two looks at a counter.
const APART: Duration = Duration::from_secs(1);

/// What a gateway carries now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Load {
    /// Open connections.
    pub(crate) connections: Option<i64>,
    /// Rooms with somebody on it.
    pub(crate) rooms: Option<i64>,
    /// Messages a second that it took from its clients.
    pub(crate) messages_per_second: Option<f64>,
}

/// Looks twice, a second apart.
pub(crate) async fn of(pods: Api<Pod>, pod: String) -> Result<Load> {
    let first = metrics(&pods, &pod).await?;
    let start = Instant::now();
    sleep(APART).await;
    let second = metrics(&pods, &pod).await?;
    Ok(between(&first, &second, start.elapsed()))
}

fn between(first: &str, second: &str, apart: Duration) -> Load {
    const ACCEPTED: &str = "chat_gateway_messages_accepted_total";
    let accepted = value(first, ACCEPTED).zip(value(second, ACCEPTED));
    Load {
        connections: value(second, "chat_gateway_connections").map(|number| number as i64),
        rooms: value(second, "chat_gateway_rooms").map(|number| number as i64),
        // A gateway that has started anew meanwhile counts from 0.
        messages_per_second: accepted.map(|(before, after)| (after - before).max(0.0) / apart.as_secs_f64()),
    }
}

/// A metric without labels, of the Prometheus text format.
fn value(metrics: &str, name: &str) -> Option<f64> {
    let mut values = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.next()?.split_whitespace().next()?.parse().ok()
}

async fn metrics(pods: &Api<Pod>, pod: &str) -> Result<String> {
    let body = admin_port::get(pods, pod, "/metrics", None).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read_by_their_whole_names() {
        let at = |accepted: u32| {
            format!(
                "# TYPE chat_gateway_connections gauge\nchat_gateway_connections 41\n\
                 chat_gateway_connections_closed_total{{code=\"1012\"}} 9\nchat_gateway_messages_accepted_total {accepted}\n"
            )
        };
        let load = between(&at(10), &at(30), Duration::from_secs(2));
        assert_eq!(load, Load { connections: Some(41), rooms: None, messages_per_second: Some(10.0) });
        assert_eq!(between(&at(30), &at(0), APART).messages_per_second, Some(0.0), "it has started anew");
        assert_eq!(between("", "", APART), Load::default());
    }
}
