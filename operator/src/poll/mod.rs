//! Asks every gateway for its statistics every few seconds and keeps the answers in memory.
//!
//! A cluster is reconciled when the answers say something else than before; nothing here writes to the API server.

mod client;
mod clocks;
mod consultant;
mod gauges;
mod loads;
mod orders;
mod peers;
mod pods;
mod target;
#[cfg(test)]
mod tests;
mod view;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chat_gateway_config::stats::GatewayStats;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

#[cfg(test)]
pub(crate) use self::view::tests as testing;
use self::{
    client::Place,
    orders::Order,
    peers::News,
    pods::{Question, ending_proxy, report},
    target::Target,
};
pub use self::{
    consultant::Consultation,
    loads::{Carried, Expected},
    orders::Drains,
    peers::AddressTemplate,
    target::Scaling,
    view::{ClusterView, Opinion},
};
pub(crate) use self::{gauges::Gauges, pods::is_ready, view::camel_case};
use crate::{
    autoscale::{Answer, Reason, Report},
    cache::Cache,
    metrics::Metrics,
    names::{ClusterKey, Component, label},
    rollout::Limits,
    sensitive::Sensitive,
};

/// Pause between two rounds. With the gateways' own detection this keeps "within ten seconds" with room to spare, and an autoscaler decides
/// within five seconds of what it decides on.
const PERIOD: Duration = Duration::from_secs(2);
/// Questions at the same time. A question is one small request, so this bounds sockets, not work.
const CONCURRENCY: usize = 64;

/// Keeps the views of all clusters.
#[derive(Debug)]
pub struct Poller {
    // A std mutex: held for map operations, never across an await.
    targets: Mutex<HashMap<ClusterKey, Target>>,
    changed: mpsc::Sender<ClusterKey>,
    metrics: Arc<Metrics>,
}

impl Poller {
    /// A poller that sends the key of every cluster whose view changed to `changed`.
    #[must_use]
    pub fn new(changed: mpsc::Sender<ClusterKey>, metrics: Arc<Metrics>) -> Self {
        Self { targets: Mutex::default(), changed, metrics }
    }

    /// Asks the gateways of `key` with `token` from the next round on. Where the operator decides how many there are, tells how many.
    pub fn watch(&self, key: &ClusterKey, token: &Sensitive, scaling: Option<Scaling>) -> Option<i32> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let target = targets.entry(key.clone()).or_insert_with(|| Target::new(token));
        target.token.clone_from(token);
        target.scale(scaling, Instant::now(), Timestamp::now());
        target.view.scaling.as_ref().map(|decision| decision.desired)
    }

    /// From the next round on empties these gateways, and no others.
    pub fn drain(&self, key: &ClusterKey, drains: Drains, limits: Limits) {
        if let Some(target) = self.targets.lock().unwrap_or_else(PoisonError::into_inner).get_mut(key) {
            target.drains = drains;
            target.limits = Some(limits);
        }
    }

    /// From the next round on asks a Prometheus this about the new gateways of a rollout, or nothing.
    pub fn consult(&self, key: &ClusterKey, consultation: Option<Consultation>) {
        if let Some(target) = self.targets.lock().unwrap_or_else(PoisonError::into_inner).get_mut(key) {
            target.consultant.instruct(consultation);
        }
    }

    /// Asks no more.
    pub fn forget(&self, key: &ClusterKey) {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// What the gateways of `key` said last.
    #[must_use]
    pub fn view(&self, key: &ClusterKey) -> ClusterView {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.get(key).map(|target| target.view.clone()).unwrap_or_default()
    }

    /// Asks round after round until `stop`.
    pub async fn run(&self, cache: &Cache, stop: CancellationToken) {
        // Without the pods a first round would find no gateways, and say so.
        tokio::select! {
            () = stop.cancelled() => return,
            () = cache.filled_with_pods() => {}
        }
        let mut ticks = tokio::time::interval(PERIOD);
        // A round that took long must not be followed by a burst of rounds.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.round(cache.all_pods()) => {}
            }
        }
    }

    async fn round(&self, pods: impl Iterator<Item = Pod>) {
        let mut reports: HashMap<ClusterKey, Vec<Report>> = HashMap::new();
        let mut views: HashMap<ClusterKey, ClusterView> = HashMap::new();
        let mut questions: Vec<Question> = Vec::new();
        for pod in pods {
            if let Some((cluster, report)) = report(&pod) {
                reports.entry(cluster).or_default().push(report);
            }
            if let Some((cluster, address)) = ending_proxy(&pod) {
                views.entry(cluster).or_default().ending_proxies.insert(address);
            }
            questions.extend(self.question(&pod));
        }
        let places: HashMap<String, Place> =
            questions.iter().map(|question| (question.whole_name(), question.place.clone())).collect();
        let mut answers = stream::iter(questions)
            .map(|question| async move {
                let asked = Timestamp::now();
                let answer = question.place.stats().await;
                (question, answer, (asked, Timestamp::now()))
            })
            .buffer_unordered(CONCURRENCY);
        while let Some((question, answer, moments)) = answers.next().await {
            let view = views.entry(question.cluster.clone()).or_default();
            let result = match answer {
                Ok(mut stats) => {
                    self.put_right(&question.cluster, &mut stats, moments);
                    let asked = reports.get_mut(&question.cluster).into_iter().flatten();
                    if let Some(report) = asked.into_iter().find(|report| report.pod == question.pod) {
                        let (connections, accepted) = (i64::from(stats.connections), stats.messages.accepted);
                        let refused = stats.health.turned_away;
                        report.answer = Some(Answer { connections, accepted, refused });
                    }
                    if question.ready {
                        view.ready.insert(question.pod.clone());
                    }
                    view.gateways.insert(question.pod, stats);
                    "answered"
                }
                Err(error) => {
                    // A gateway that starts or ends need not answer; a ready one must.
                    if question.ready {
                        view.silent.insert(question.pod.clone(), error.to_string());
                    }
                    view.deaf.insert(question.pod);
                    "failed"
                }
            };
            self.metrics.polls.with_label_values(&[result]).inc();
        }
        drop(answers);
        let closing = self.order(&views, &places).await;
        let introductions = self.introductions(&News { views: &views, places: &places, closing: &closing });
        for key in self.store(views, &reports) {
            // A full channel means that the controller is behind; the change is seen when it gets to the cluster.
            if let Err(error) = self.changed.try_send(key) {
                tracing::debug!(%error, "the controller is behind");
            }
        }
        peers::tell(introductions).await;
    }

    fn put_right(&self, key: &ClusterKey, stats: &mut GatewayStats, (asked, answered): (Timestamp, Timestamp)) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = targets.get_mut(key) {
            target.clocks.put_right(stats, asked, answered);
        }
    }

    /// Tells gateways what follows from a round; returns the whole names of those that were told to take nobody new.
    async fn order(
        &self,
        views: &HashMap<ClusterKey, ClusterView>,
        places: &HashMap<String, Place>,
    ) -> HashSet<String> {
        let now = Instant::now();
        let orders: Vec<(ClusterKey, Order)> = {
            let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
            let all = views.iter().filter_map(|(key, view)| {
                let Target { drains, pace, scaler, .. } = targets.get_mut(key)?;
                pace.shrinks = scaler.as_ref().is_some_and(|scaler| scaler.decision().reason == Reason::Stabilizing);
                let orders = orders::orders(drains, view, pace, now);
                Some(orders.into_iter().map(|order| (key.clone(), order)))
            });
            all.flatten().collect()
        };
        let closing = orders.iter().filter(|(_, order)| matches!(order, Order::Cordon(_)));
        let closing = closing.map(|(key, order)| format!("{}/{}", key.namespace, order.pod())).collect();
        let given = stream::iter(orders).map(|(key, order)| async move {
            let asked = match places.get(&format!("{}/{}", key.namespace, order.pod())) {
                Some(place) => order.give(place).await,
                None => 0,
            };
            (key, asked)
        });
        let given: Vec<(ClusterKey, u32)> = given.buffer_unordered(CONCURRENCY).collect().await;
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, asked) in given.into_iter().filter(|(_, asked)| *asked > 0) {
            self.metrics.moves.with_label_values(&[&key.namespace]).inc_by(asked.into());
            if let Some(target) = targets.get_mut(&key) {
                target.pace.budget.spend(asked);
                target.pace.steering.moved(asked, now);
            }
        }
        closing
    }

    /// Keeps the views of a round and tells which clusters have news.
    fn store(
        &self,
        mut views: HashMap<ClusterKey, ClusterView>,
        reports: &HashMap<ClusterKey, Vec<Report>>,
    ) -> Vec<ClusterKey> {
        let (now, wall) = (Instant::now(), Timestamp::now());
        let mut news = Vec::new();
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, target) in targets.iter_mut() {
            let reports = reports.get(key).map_or(&[][..], Vec::as_slice);
            if target.take(views.remove(key).unwrap_or_default(), reports, now, wall) {
                news.push(key.clone());
            }
        }
        news
    }

    fn question(&self, pod: &Pod) -> Option<Question> {
        let labels = pod.labels();
        if labels.get(label::COMPONENT)? != Component::Gateway.label() {
            return None;
        }
        let cluster = ClusterKey::new(pod.namespace()?, labels.get(label::CLUSTER)?);
        let status = pod.status.as_ref()?;
        let address = status.pod_ip.clone().filter(|_| status.phase.as_deref() == Some("Running"))?;
        let token = self.targets.lock().unwrap_or_else(PoisonError::into_inner).get(&cluster)?.token.clone();
        Some(Question { cluster, pod: pod.name_any(), place: Place { address, token }, ready: is_ready(pod) })
    }
}
