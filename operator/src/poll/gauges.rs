//! What the gateways of each ChatCluster carry and how many there are to be, as metrics. They are made when somebody asks for them, of what
//! the poller knows then: a ChatCluster that is gone is in none.

use std::sync::{Mutex, PoisonError, Weak};

use chat_gateway_config::metrics::Family;
use prometheus::{
    IntGaugeVec,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::{Carried, Poller};
use crate::{
    metrics::{families, opts},
    names::ClusterKey,
};

/// Metrics of every ChatCluster, by `namespace` and `name`.
#[derive(Debug)]
pub(crate) struct Gauges {
    // Weak: the poller itself holds the metrics.
    poller: Weak<Poller>,
    // A std mutex, never held across an await: two who ask at the same time must not mix their values.
    vectors: Mutex<()>,
    desired: IntGaugeVec,
    ready: IntGaugeVec,
    stale: IntGaugeVec,
    connections: IntGaugeVec,
    messages: IntGaugeVec,
    verified: IntGaugeVec,
    reason: IntGaugeVec,
}

impl Gauges {
    /// The metrics of what `poller` knows.
    ///
    /// # Errors
    /// When a name cannot be one, which is a mistake in this file.
    pub(crate) fn new(poller: Weak<Poller>) -> prometheus::Result<Self> {
        let gauge = |family: Family| IntGaugeVec::new(opts(&family), family.labels);
        Ok(Self {
            poller,
            vectors: Mutex::default(),
            desired: gauge(families::GATEWAYS_DESIRED)?,
            ready: gauge(families::GATEWAYS_READY)?,
            stale: gauge(families::GATEWAYS_STALE)?,
            connections: gauge(families::CONNECTIONS)?,
            messages: gauge(families::MESSAGES_PER_SECOND)?,
            verified: gauge(families::DELIVERY_VERIFIED)?,
            reason: gauge(families::AUTOSCALER_REASON)?,
        })
    }

    fn vectors(&self) -> [&IntGaugeVec; 7] {
        [&self.desired, &self.ready, &self.stale, &self.connections, &self.messages, &self.verified, &self.reason]
    }

    fn set(&self, key: &ClusterKey, carried: &Carried) {
        let (namespace, name) = (key.namespace.as_str(), key.name.as_str());
        let Carried { load, expected, reason, verified } = carried;
        let known = [
            (&self.desired, Some(expected.gateways.into())),
            (&self.ready, Some(load.ready.into())),
            (&self.stale, Some(load.stale.into())),
            // What is not known is absent, never 0.
            (&self.connections, load.connections),
            (&self.messages, load.messages_per_second),
            (&self.verified, verified.map(i64::from)),
        ];
        for (vector, value) in known.into_iter().filter_map(|(vector, value)| Some((vector, value?))) {
            vector.with_label_values(&[namespace, name]).set(value);
        }
        if let Some(reason) = reason {
            self.reason.with_label_values(&[namespace, name, reason.as_str()]).set(1);
        }
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        self.vectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(poller) = self.poller.upgrade() else { return Vec::new() };
        let _one_at_a_time = self.vectors.lock().unwrap_or_else(PoisonError::into_inner);
        self.vectors().into_iter().for_each(IntGaugeVec::reset);
        for (key, carried) in poller.all_carried() {
            self.set(&key, &carried);
        }
        self.vectors().into_iter().flat_map(Collector::collect).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        autoscale::{Answer, Hold, Report, Settings},
        metrics::Metrics,
        poll::{Expected, Scaling},
        sensitive::Sensitive,
    };

    #[tokio::test(start_paused = true)]
    async fn inputs_and_decision_are_told_until_the_cluster_goes() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let poller = Arc::new(Poller::new(mpsc::channel(8).0, Arc::clone(&metrics)));
        metrics.tell_of(&poller).unwrap();
        let (native, external) = (ClusterKey::new("a", "native"), ClusterKey::new("b", "external"));
        let (window, floors) = (Duration::from_secs(1_800), Vec::new());
        let settings = Settings { min: 1, max: 5, connections: 10, messages: None, target: 70, window, floors };
        let scaling = Scaling { settings, hold: Hold::None, replicas: Some(1) };
        for key in [&native, &external] {
            poller.meet(key, &Sensitive::new("t"), &[]).await;
        }
        poller.watch(&native, &Sensitive::new("t"), Some(scaling));
        poller.watch(&external, &Sensitive::new("t"), None);
        poller.expect(&external, Expected { gateways: 4, connections_per_gateway: 10 });
        let report = |connections: Option<i64>| {
            let answer = connections.map(|connections| Answer { connections, ..Answer::default() });
            Report { pod: "g1".to_owned(), ready: true, leaving: false, answer }
        };
        let reports = [(native.clone(), vec![report(Some(9))]), (external.clone(), vec![report(None)])].into();
        poller.store([].into(), &reports);

        let text = metrics.encode();
        let sample = |line: &str| text.lines().any(|told| told == format!("chat_operator_{line}"));
        for line in [
            "gateways_desired{name=\"native\",namespace=\"a\"} 2",
            "gateways_desired{name=\"external\",namespace=\"b\"} 4",
            "gateways_ready{name=\"native\",namespace=\"a\"} 1",
            "gateways_stale{name=\"native\",namespace=\"a\"} 0",
            "connections{name=\"native\",namespace=\"a\"} 9",
            "autoscaler_reason{name=\"native\",namespace=\"a\",reason=\"DemandRose\"} 1",
        ] {
            assert!(sample(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("_connections{name=\"external\""), "nobody knows how many: {text}");
        assert!(!text.contains("_messages_per_second{"), "not counted for long enough: {text}");
        assert!(!text.contains("_autoscaler_reason{name=\"external\""), "somebody else decides: {text}");

        tokio::time::advance(Duration::from_secs(31)).await;
        poller.store([].into(), &reports);
        let text = metrics.encode();
        assert!(text.contains("messages_per_second{name=\"native\",namespace=\"a\"} 0"), "{text}");
        assert!(text.contains("gateways_stale{name=\"external\",namespace=\"b\"} 1"), "{text}");

        poller.forget(&native);
        let text = metrics.encode();
        assert!(!text.contains("name=\"native\"") && text.contains("name=\"external\""), "{text}");
    }
}
