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
mod view;

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chat_gateway_config::stats::GatewayStats;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, runtime::reflector::Store};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

pub(crate) use self::gauges::Gauges;
pub(crate) use self::view::camel_case;
#[cfg(test)]
pub(crate) use self::view::tests as testing;
use self::{
    client::Place,
    clocks::Clocks,
    consultant::Consultant,
    orders::{Order, Pace},
    peers::News,
};
pub use self::{
    consultant::Consultation,
    loads::{Carried, Expected},
    orders::Drains,
    peers::AddressTemplate,
    view::{ClusterView, Opinion},
};
use crate::{
    autoscale::{Answer, Hold, Load, Meter, Reason, Report, Scaler, Settings},
    metrics::Metrics,
    names::{ClusterKey, Component, annotation, label},
    rollout::{self, Analyst, Limits},
    sensitive::Sensitive,
};

/// Pause between two rounds. With the gateways' own detection this keeps "within ten seconds" with room to spare, and an autoscaler decides
/// within five seconds of what it decides on.
const PERIOD: Duration = Duration::from_secs(2);
/// The number of connections changes all the time; status follows at most this often.
const CONNECTIONS_EVERY: Duration = Duration::from_secs(10);
/// Rounds that the last answer of a ready gateway stands for when it gives none: a busy machine is no broken gateway.
const PATIENCE: u32 = 3;
/// Time for which a process says nothing while others of its cluster do, from which on it counts as deaf to orders, too.
const DEAF: Duration = Duration::from_secs(30);
/// Questions at the same time. A question is one small request, so this bounds sockets, not work.
const CONCURRENCY: usize = 64;

/// A cluster that is asked.
#[derive(Debug)]
struct Target {
    token: Sensitive,
    view: ClusterView,
    published: Instant,
    /// Rounds in a row that a ready pod has not answered.
    missed: HashMap<String, u32>,
    /// Since when a pod has not answered, ready or not.
    unheard: HashMap<String, Instant>,
    /// Where the operator decides how many gateways there are.
    scaler: Option<Scaler>,
    meter: Meter,
    load: Load,
    expected: Expected,
    drains: Drains,
    pace: Pace,
    clocks: Clocks,
    analyst: Analyst,
    consultant: Consultant,
    limits: Option<Limits>,
    /// How clients reach a single gateway, where they are told.
    introduces: Option<AddressTemplate>,
}

/// What an autoscaler is told by the ChatCluster and its Deployment.
#[derive(Clone, Debug)]
pub struct Scaling {
    /// Bounds and targets.
    pub settings: Settings,
    /// What keeps the number from changing.
    pub hold: Hold,
    /// Gateways that the Deployment wants now; `None` while there is none.
    pub replicas: Option<i32>,
}

impl Target {
    /// Puts the last answer in place of a missing one, for a few rounds.
    fn bear_with(&mut self, view: &mut ClusterView) {
        self.missed.retain(|pod, _| view.silent.contains_key(pod));
        let (before, missed) = (&self.view.gateways, &mut self.missed);
        let mut stand_ins = Vec::new();
        view.silent.retain(|pod, _| {
            let rounds = missed.entry(pod.clone()).or_default();
            *rounds += 1;
            match before.get(pod).filter(|_| *rounds < PATIENCE) {
                Some(last) => {
                    stand_ins.push((pod.clone(), last.clone()));
                    false
                }
                None => true,
            }
        });
        view.gateways.extend(stand_ins);
        let before = &self.view;
        let said = |pod: &String| before.gateways.get(pod).and_then(|stats| stats.live.as_ref());
        let last = |pod: &String| said(pod).or_else(|| before.last_words.get(pod)).cloned();
        view.last_words = view.silent.keys().filter_map(|pod| Some((pod.clone(), last(pod)?))).collect();
    }

    /// Finds those who have not answered for long, where that is their own fault.
    fn listen_for(&mut self, view: &mut ClusterView, now: Instant) {
        if view.gateways.is_empty() {
            // Nobody answers: it may be the operator that cannot reach them.
            self.unheard.clear();
        }
        let unheard = std::mem::take(&mut view.deaf);
        self.unheard.retain(|pod, _| unheard.contains(pod));
        let is_deaf = |pod: &String| {
            let since = *self.unheard.entry(pod.clone()).or_insert(now);
            now.duration_since(since) >= DEAF
        };
        view.deaf = unheard.into_iter().filter(is_deaf).collect();
    }

    /// Takes what a spec says of its autoscaling.
    fn scale(&mut self, scaling: Option<Scaling>, now: Instant, wall: Timestamp) {
        let Some(Scaling { settings, hold, replicas }) = scaling else {
            (self.scaler, self.view.scaling) = (None, None);
            return;
        };
        let scaler = match &mut self.scaler {
            Some(scaler) => {
                scaler.adjust(settings, hold, now, wall);
                scaler
            }
            None => self.scaler.insert(Scaler::new(settings, hold, replicas, now)),
        };
        let published = self.view.scaling.as_ref().map(|decision| decision.desired);
        if published != Some(scaler.decision().desired) {
            self.view.scaling = Some(scaler.decision().clone());
        }
    }
}

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
        let target = targets.entry(key.clone()).or_insert_with(|| Target {
            token: token.clone(),
            view: ClusterView::default(),
            published: Instant::now(),
            missed: HashMap::new(),
            unheard: HashMap::new(),
            scaler: None,
            meter: Meter::default(),
            load: Load::default(),
            expected: Expected::default(),
            drains: Drains::default(),
            pace: Pace::new(Instant::now()),
            clocks: Clocks::default(),
            analyst: Analyst::default(),
            consultant: Consultant::default(),
            limits: None,
            introduces: None,
        });
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
    pub async fn run(&self, pods: Store<Pod>, stop: CancellationToken) {
        // Without the pods a first round would find no gateways, and say so.
        tokio::select! {
            () = stop.cancelled() => return,
            ready = pods.wait_until_ready() => if ready.is_err() { return },
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
                () = self.round(&pods) => {}
            }
        }
    }

    async fn round(&self, pods: &Store<Pod>) {
        let pods = pods.state();
        let mut reports: HashMap<ClusterKey, Vec<Report>> = HashMap::new();
        for (cluster, report) in pods.iter().filter_map(|pod| report(pod)) {
            reports.entry(cluster).or_default().push(report);
        }
        let questions: Vec<Question> = pods.iter().filter_map(|pod| self.question(pod)).collect();
        let mut views: HashMap<ClusterKey, ClusterView> = HashMap::new();
        for (cluster, address) in pods.iter().filter_map(|pod| ending_proxy(pod)) {
            views.entry(cluster).or_default().ending_proxies.insert(address);
        }
        drop(pods);
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
            let mut view = views.remove(key).unwrap_or_default();
            view.asked = true;
            target.listen_for(&mut view, now);
            target.bear_with(&mut view);
            target.clocks.retain(|pod| view.gateways.contains_key(pod));
            view.skewed = target.clocks.skewed();
            if let Some(limits) = &target.limits {
                let (course, steering) = (target.drains.course.as_ref(), &target.pace.steering);
                let due = course.is_some_and(|course| !course.back) && steering.is_filled();
                let answers = target.consultant.round(due, now);
                let round = rollout::Round {
                    gateways: &view.gateways,
                    silent: &view.silent,
                    consults: target.consultant.is_instructed(),
                    answers: answers.as_deref(),
                };
                target.analyst.round(course, round, steering, limits, now);
            }
            view.watched = target.analyst.watched();
            view.rebalancing = target.pace.rebalance.is_under_way();
            // Where nobody says anything, what was said last is nearer to the truth than none.
            let silent = view.gateways.is_empty() && !view.silent.is_empty();
            let open = if silent { target.view.connections } else { view.open_connections() };
            let reports = reports.get(key).map_or(&[][..], Vec::as_slice);
            target.load = target.meter.round(reports, now, wall);
            let decision = target.scaler.as_mut().map(|scaler| scaler.round(reports, now, wall).clone());
            let (moved, other) = match (&decision, &target.view.scaling) {
                (Some(now), Some(then)) => (now.desired != then.desired, now.reason != then.reason),
                (now, then) => (now.is_some() != then.is_some(), false),
            };
            let may = now.duration_since(target.published) >= CONNECTIONS_EVERY;
            let due = may && (open != target.view.connections || other);
            let changed = moved || view.says_something_else(&target.view);
            let rate = target.pace.budget.rate().round() as i64;
            view.budget = if due || changed { rate } else { target.view.budget };
            view.connections = if due || changed { open } else { target.view.connections };
            view.scaling = if due || changed { decision } else { target.view.scaling.clone() };
            if view.connections != target.view.connections || due {
                target.published = now;
            }
            target.view = view;
            if due || changed {
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

/// The address of a HAProxy that has been told to end: it takes nobody new, and cuts off who is left when its time is over.
fn ending_proxy(pod: &Pod) -> Option<(ClusterKey, IpAddr)> {
    let labels = pod.labels();
    let is_ending = pod.metadata.deletion_timestamp.is_some();
    if !is_ending || labels.get(label::COMPONENT)? != Component::Balancer.label() {
        return None;
    }
    let address = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
    Some((ClusterKey::new(pod.namespace()?, labels.get(label::CLUSTER)?), address))
}

/// A gateway's pod as an autoscaler sees it, its answer left out.
fn report(pod: &Pod) -> Option<(ClusterKey, Report)> {
    let labels = pod.labels();
    if labels.get(label::COMPONENT)? != Component::Gateway.label() {
        return None;
    }
    // What has ended, such as an evicted pod, is no gateway.
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    if matches!(phase, "Failed" | "Succeeded") {
        return None;
    }
    // Who is being emptied is on the way out, too.
    let leaving = pod.metadata.deletion_timestamp.is_some() || pod.annotations().contains_key(annotation::DRAINING);
    let report = Report { pod: pod.name_any(), ready: is_ready(pod), leaving, answer: None };
    Some((ClusterKey::new(pod.namespace()?, labels.get(label::CLUSTER)?), report))
}

/// Ready, and not about to go.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

struct Question {
    cluster: ClusterKey,
    pod: String,
    place: Place,
    ready: bool,
}

impl Question {
    /// Names of pods are unique in their namespace only.
    fn whole_name(&self) -> String {
        format!("{}/{}", self.cluster.namespace, self.pod)
    }
}

#[cfg(test)]
mod tests {
    use chat_gateway_config::stats::{GatewayStats, Taken};

    use super::{testing::stats, *};

    fn one(key: &ClusterKey, connections: u32) -> HashMap<ClusterKey, ClusterView> {
        let view = testing::view(&[stats("g1", connections, &[])]);
        HashMap::from([(key.clone(), ClusterView { connections: 0, ..view })])
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_may_miss_two_rounds() {
        let (sender, _receiver) = mpsc::channel(8);
        let poller = Poller::new(sender, Arc::new(Metrics::new().unwrap()));
        let key = ClusterKey::new("ns", "demo");
        poller.watch(&key, &Sensitive::new("t"), None);
        let silence = || {
            let silent = [("g1".to_owned(), "no answer".to_owned())].into();
            HashMap::from([(key.clone(), ClusterView { silent, ..ClusterView::default() })])
        };
        poller.store(one(&key, 1), &HashMap::new());
        for _ in 1..PATIENCE {
            assert_eq!(poller.store(silence(), &HashMap::new()), Vec::new(), "the last answer stands");
        }
        assert_eq!(poller.store(silence(), &HashMap::new()), vec![key.clone()]);
        assert_eq!(poller.view(&key).silent.len(), 1);
        assert_eq!(poller.store(one(&key, 1), &HashMap::new()), vec![key.clone()], "and it is back by itself");
    }

    /// A gateway that does not answer in a round.
    fn unheard(view: ClusterView, pod: &str) -> ClusterView {
        ClusterView { deaf: [pod.to_owned()].into(), ..view }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_asked_in_vain_for_half_a_minute_is_deaf_unless_nobody_answers() {
        let (sender, _receiver) = mpsc::channel(8);
        let poller = Poller::new(sender, Arc::new(Metrics::new().unwrap()));
        let key = ClusterKey::new("ns", "demo");
        poller.watch(&key, &Sensitive::new("t"), None);
        let round = |answers: &[GatewayStats]| {
            let view = unheard(testing::view(answers), "g2");
            poller.store(HashMap::from([(key.clone(), view)]), &HashMap::new())
        };
        let one = [stats("g1", 1, &[])];
        round(&one);
        tokio::time::advance(DEAF - PERIOD).await;
        assert_eq!((round(&one), poller.view(&key).deaf.len()), (Vec::new(), 0));
        tokio::time::advance(PERIOD).await;
        assert_eq!(round(&one), vec![key.clone()], "that is news");
        assert!(poller.view(&key).deaf.contains("g2"));
        for _ in 0..30 {
            tokio::time::advance(PERIOD).await;
            round(&[]);
        }
        assert!(poller.view(&key).deaf.is_empty(), "it may be the operator that hears nobody");
        poller.store(HashMap::from([(key.clone(), testing::view(&one))]), &HashMap::new());
        tokio::time::advance(DEAF).await;
        round(&one);
        assert!(poller.view(&key).deaf.is_empty(), "one answer, and the time begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_gateway_has_taken_is_news_and_stands_while_it_is_silent() {
        let (sender, _receiver) = mpsc::channel(8);
        let poller = Poller::new(sender, Arc::new(Metrics::new().unwrap()));
        let key = ClusterKey::new("ns", "demo");
        poller.watch(&key, &Sensitive::new("t"), None);
        let taken = |config: &str| Some(Taken { config: Some(config.to_owned()), ..Taken::default() });
        let says = |live: Option<Taken>| {
            let mut views = one(&key, 1);
            views.values_mut().flat_map(|view| view.gateways.values_mut()).for_each(|stats| stats.live = live.clone());
            poller.store(views, &HashMap::new())
        };
        says(taken("old"));
        assert_eq!(says(taken("old")), Vec::new());
        assert_eq!(says(taken("new")), vec![key.clone()]);
        for _ in 0..2 * PATIENCE {
            let silent = [("g1".to_owned(), "no answer".to_owned())].into();
            poller.store(
                HashMap::from([(key.clone(), ClusterView { silent, ..ClusterView::default() })]),
                &HashMap::new(),
            );
        }
        let view = poller.view(&key);
        assert_eq!((view.gateways.len(), view.last_words.get("g1").cloned()), (0, taken("new")));
        says(taken("new"));
        assert!(poller.view(&key).last_words.is_empty(), "it speaks for itself again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_decision_is_news_at_once_and_what_it_was_made_of_with_the_connections() {
        let (sender, _receiver) = mpsc::channel(8);
        let poller = Poller::new(sender, Arc::new(Metrics::new().unwrap()));
        let key = ClusterKey::new("ns", "demo");
        let scaling = || {
            let (window, floors) = (Duration::from_secs(1_800), Vec::new());
            let settings = Settings { min: 1, max: 5, connections: 10, messages: None, target: 70, window, floors };
            Some(Scaling { settings, hold: Hold::None, replicas: Some(1) })
        };
        let watch = |scaling: Option<Scaling>| poller.watch(&key, &Sensitive::new("t"), scaling);
        assert_eq!(watch(scaling()), Some(1), "what there is, until somebody was asked");
        let round = |connections: u32| {
            let answer = Some(Answer { connections: connections.into(), ..Answer::default() });
            let report = Report { pod: "g1".to_owned(), ready: true, leaving: false, answer };
            poller.store(one(&key, connections), &HashMap::from([(key.clone(), vec![report])]))
        };
        let published = || poller.view(&key).scaling.map(|decision| (decision.desired, decision.connections));
        assert_eq!((round(2), published()), (vec![key.clone()], Some((1, 2))));
        tokio::time::advance(PERIOD).await;
        assert_eq!((round(3), published()), (vec![], Some((1, 2))), "another number of connections can wait");
        tokio::time::advance(PERIOD).await;
        assert_eq!((round(9), published()), (vec![key.clone()], Some((2, 9))), "another number of gateways cannot");
        assert_eq!(watch(scaling()), Some(2));
        assert_eq!((watch(None), published()), (None, None), "somebody else decides now");
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_news_at_most_every_ten_seconds() {
        let (sender, _receiver) = mpsc::channel(8);
        let poller = Poller::new(sender, Arc::new(Metrics::new().unwrap()));
        let key = ClusterKey::new("ns", "demo");
        poller.watch(&key, &Sensitive::new("t"), None);
        assert_eq!(poller.store(one(&key, 1), &HashMap::new()), vec![key.clone()], "the first answer is news");
        assert_eq!(poller.view(&key).connections, 1);
        for connections in 2..6 {
            tokio::time::advance(PERIOD).await;
            assert_eq!(poller.store(one(&key, connections), &HashMap::new()), Vec::new());
            assert_eq!(poller.view(&key).connections, 1, "published only when it is news");
        }
        tokio::time::advance(PERIOD).await;
        assert_eq!(poller.store(one(&key, 9), &HashMap::new()), vec![key.clone()]);
        assert_eq!(poller.view(&key).connections, 9);
        tokio::time::advance(CONNECTIONS_EVERY * 3).await;
        assert_eq!(poller.store(one(&key, 9), &HashMap::new()), Vec::new(), "an idle cluster has no news");
    }
}
