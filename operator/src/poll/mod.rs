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
mod prober;
mod round;
mod slots;
mod target;
#[cfg(test)]
mod tests;
mod view;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

#[cfg(test)]
pub(crate) use self::view::tests as testing;
use self::{client::Place, orders::Order, peers::News, prober::Places, round::Heard, target::Target};
pub use self::{
    consultant::Consultation,
    loads::{Carried, Expected},
    orders::Drains,
    peers::AddressTemplate,
    prober::{Delivery, STANDS, Verified},
    target::Scaling,
    view::{ClusterView, Opinion},
};
pub(crate) use self::{gauges::Gauges, pods::is_ready, view::camel_case};
use crate::{
    audit::Cause,
    autoscale::{Reason, Report},
    cache::Cache,
    metrics::Metrics,
    names::ClusterKey,
    probe::{Failure, Front},
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
    // Boxed: the map has room for up to twice as many.
    targets: Mutex<HashMap<ClusterKey, Box<Target>>>,
    changed: mpsc::Sender<ClusterKey>,
    metrics: Arc<Metrics>,
    probes: Places,
}

impl Poller {
    /// A poller that sends the key of every cluster whose view changed to `changed`.
    #[must_use]
    pub fn new(changed: mpsc::Sender<ClusterKey>, metrics: Arc<Metrics>) -> Self {
        Self { targets: Mutex::default(), changed, metrics, probes: Places::default() }
    }

    /// Asks the gateways of `key` with `token` from the next round on. Where the operator decides how many there are, tells how many.
    pub fn watch(&self, key: &ClusterKey, token: &Sensitive, scaling: Option<Scaling>) -> Option<i32> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let target = targets.entry(key.clone()).or_insert_with(|| Box::new(Target::new(token)));
        target.token.clone_from(token);
        target.scale(scaling, Instant::now(), Timestamp::now());
        target.view.scaling.as_ref().map(|decision| decision.desired)
    }

    /// From the next round on empties these gateways, and no others.
    pub fn drain(&self, key: &ClusterKey, drains: Drains, limits: Limits) {
        if let Some(target) = self.targets.lock().unwrap_or_else(PoisonError::into_inner).get_mut(key) {
            target.instruct(drains, Instant::now());
            target.limits = Some(limits);
        }
    }

    /// From the next round on asks a Prometheus this about the new gateways of a rollout, or nothing.
    pub fn consult(&self, key: &ClusterKey, consultation: Option<Consultation>) {
        if let Some(target) = self.targets.lock().unwrap_or_else(PoisonError::into_inner).get_mut(key) {
            target.consultant.instruct(consultation);
        }
    }

    /// From the next round on probes delivery through this door, or not at all.
    pub fn probe(&self, key: &ClusterKey, front: Option<Front>) {
        if let Some(target) = self.targets.lock().unwrap_or_else(PoisonError::into_inner).get_mut(key) {
            target.prober.instruct(front);
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
        let round = self.survey(pods);
        let places: HashMap<String, Place> =
            round.questions.iter().map(|question| (question.whole_name(), question.place.clone())).collect();
        let Heard { views, reports } = self.hear(round).await;
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
                let Target { drains, pace, scaler, .. } = &mut **targets.get_mut(key)?;
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
                Some(place) => Cause::named(&key).has(order.give(place)).await,
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

    /// Goes on with the probes of one ChatCluster.
    fn verify(&self, target: &mut Target, view: &mut ClusterView, clusters: usize, (now, wall): (Instant, Timestamp)) {
        let ended = target.prober.ended();
        if let Some(result) = &ended {
            let result = match result {
                Ok(()) => "verified",
                Err(Failure::Violation(_)) => "violated",
                Err(Failure::Trouble(_)) => "failed",
            };
            self.metrics.probes.with_label_values(&[result]).inc();
        }
        let round = prober::Round { view: &*view, clusters, places: &self.probes, now, wall };
        let delivery = target.prober.round(&round, ended);
        view.delivery = delivery;
    }

    /// Keeps the views of a round and tells which clusters have news. Who came while it was under way is left to whoever asks it first.
    fn store(
        &self,
        mut views: HashMap<ClusterKey, ClusterView>,
        reports: &HashMap<ClusterKey, Vec<Report>>,
    ) -> Vec<ClusterKey> {
        let (now, wall) = (Instant::now(), Timestamp::now());
        let mut news = Vec::new();
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let clusters = targets.len();
        for (key, target) in targets.iter_mut() {
            let view = views.remove(key);
            if view.is_none() && !target.view.asked {
                continue;
            }
            let reports = reports.get(key).map_or(&[][..], Vec::as_slice);
            let mut view = view.unwrap_or_default();
            target.prepare(&mut view, now);
            self.verify(target, &mut view, clusters, (now, wall));
            if target.take(view, reports, now, wall) {
                news.push(key.clone());
            }
        }
        news
    }
}
