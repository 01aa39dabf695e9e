//! One ChatCluster that is asked, and what is remembered of it from round to round.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Drains, Expected, clocks::Clocks, consultant::Consultant, orders::Pace, peers::AddressTemplate, prober::Prober,
    view::ClusterView,
};
use crate::{
    autoscale::{Hold, Load, Meter, Report, Scaler, Settings},
    rollout::{self, Analyst, Limits},
    sensitive::Sensitive,
};

/// The number of connections changes all the time; status follows at most this often.
pub(super) const CONNECTIONS_EVERY: Duration = Duration::from_secs(10);
/// Rounds that the last answer of a ready gateway stands for when it gives none: a busy machine is no broken gateway.
pub(super) const PATIENCE: u32 = 3;
/// Time for which a process says nothing while others of its cluster do, from which on it counts as deaf to orders, too.
pub(super) const DEAF: Duration = Duration::from_secs(30);

/// A cluster that is asked.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) token: Sensitive,
    pub(super) view: ClusterView,
    pub(super) published: Instant,
    /// Rounds in a row that a ready pod has not answered.
    pub(super) missed: HashMap<String, u32>,
    /// Since when a pod has not answered, ready or not.
    pub(super) unheard: HashMap<String, Instant>,
    /// Where the operator decides how many gateways there are.
    pub(super) scaler: Option<Scaler>,
    pub(super) meter: Meter,
    pub(super) load: Load,
    pub(super) expected: Expected,
    pub(super) drains: Drains,
    pub(super) pace: Pace,
    pub(super) clocks: Clocks,
    pub(super) analyst: Analyst,
    pub(super) consultant: Consultant,
    pub(super) prober: Prober,
    pub(super) limits: Option<Limits>,
    /// How clients reach a single gateway, where they are told.
    pub(super) introduces: Option<AddressTemplate>,
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
    /// A cluster that nobody has been asked about yet.
    pub(super) fn new(token: &Sensitive) -> Self {
        Self {
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
            prober: Prober::default(),
            limits: None,
            introduces: None,
        }
    }

    /// Puts in order what came of a round: who is deaf, and who stands in for whom. [`Target::take`] must follow.
    pub(super) fn prepare(&mut self, view: &mut ClusterView, now: Instant) {
        view.asked = true;
        self.listen_for(view, now);
        self.bear_with(view);
    }

    /// Keeps what came of a round; whether that is news.
    pub(super) fn take(&mut self, mut view: ClusterView, reports: &[Report], now: Instant, wall: Timestamp) -> bool {
        self.clocks.retain(|pod| view.gateways.contains_key(pod));
        view.skewed = self.clocks.skewed();
        if let Some(limits) = &self.limits {
            let (course, steering) = (self.drains.course.as_ref(), &self.pace.steering);
            let due = course.is_some_and(|course| !course.back) && steering.is_filled();
            let answers = self.consultant.round(due, now);
            let round = rollout::Round {
                gateways: &view.gateways,
                silent: &view.silent,
                consults: self.consultant.is_instructed(),
                answers: answers.as_deref(),
            };
            self.analyst.round(course, round, steering, limits, now);
        }
        view.watched = self.analyst.watched();
        view.rebalancing = self.pace.rebalance.is_under_way();
        // Where nobody says anything, what was said last is nearer to the truth than none.
        let silent = view.gateways.is_empty() && !view.silent.is_empty();
        let open = if silent { self.view.connections } else { view.open_connections() };
        self.load = self.meter.round(reports, now, wall);
        let decision = self.scaler.as_mut().map(|scaler| scaler.round(reports, now, wall).clone());
        let (moved, other) = match (&decision, &self.view.scaling) {
            (Some(now), Some(then)) => (now.desired != then.desired, now.reason != then.reason),
            (now, then) => (now.is_some() != then.is_some(), false),
        };
        let may = now.duration_since(self.published) >= CONNECTIONS_EVERY;
        let due = may && (open != self.view.connections || other);
        let changed = moved || view.says_something_else(&self.view);
        view.budget = if due || changed { self.rate() } else { self.view.budget };
        view.connections = if due || changed { open } else { self.view.connections };
        view.scaling = if due || changed { decision } else { self.view.scaling.clone() };
        if view.connections != self.view.connections || due {
            self.published = now;
        }
        self.view = view;
        due || changed
    }

    /// Takes what is to be done about draining. What that allows is known at once.
    pub(super) fn instruct(&mut self, drains: Drains, now: Instant) {
        let is_other = drains.per_second != self.drains.per_second;
        self.drains = drains;
        if is_other || self.view.budget.is_none() {
            let takers = self.view.gateways.values().filter(|stats| !stats.cordoned && !stats.draining).count();
            self.pace.budget.fill(now, self.view.open_connections(), takers, self.drains.per_second);
            self.view.budget = self.rate();
        }
    }

    /// Moves a second; `None` until the budget has been filled.
    fn rate(&self) -> Option<i64> {
        Some(self.pace.budget.rate().round() as i64).filter(|rate| *rate > 0)
    }

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
    pub(super) fn scale(&mut self, scaling: Option<Scaling>, now: Instant, wall: Timestamp) {
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
