//! How many gateways there should be. Pure: time and answers come in, a number with its reason comes out.
//!
//! Up goes at once and straight to what is needed, down slowly, one at a time, and only when nothing speaks against it: what one gateway too
//! many costs is a pod, what one too few costs is everybody's connection. Missing answers hold or raise the number and never lower it.

mod load;
mod memory;
mod reports;
mod schedule;
mod settings;

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

pub use self::{
    load::{Load, Meter},
    reports::{Answer, Report},
    schedule::Floor,
    settings::Settings,
};
use self::{
    memory::{Highest, Recent},
    reports::{Gateways, Round},
};

/// Time over which connections must rise to count as a trend.
const TREND: Duration = Duration::from_secs(120);
/// Time over which messages are counted.
const MESSAGES: Duration = Duration::from_secs(30);
/// From a question to a decision, at most.
const DECIDE: Duration = Duration::from_secs(2);
/// Percent over the target from which the number rises: what is within is noise.
const BAND_UP: i64 = 108;
/// Percent of the target that the remaining gateways may have after one has gone.
const BAND_DOWN: i64 = 90;
/// Percent of a gateway's connections that all but one gateway may have when one is lost.
const FAILOVER: i64 = 90;
/// Percent of its connections from which a single gateway is busy, and rounds in a row for which it must be.
const BUSY: i64 = 85;
const BUSY_ROUNDS: u32 = 2;
/// Within this time the number at most doubles, or rises by [`STEP`].
const STEP_TIME: Duration = Duration::from_secs(15);
const STEP: i32 = 4;
/// Pause between the last change and one gateway less.
const CALM: Duration = Duration::from_secs(300);
/// Up to so many gateways one goes at a time, over it a tenth.
const ONE_BY_ONE: i32 = 20;

/// Why the number is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No gateway has been asked yet.
    Starting,
    /// It is right.
    Settled,
    /// More people or messages.
    DemandRose,
    /// Fewer people and messages, for long enough.
    DemandFell,
    /// A schedule asks for more.
    ScheduleBegan,
    /// One gateway is nearly full, so the number is raised early, or not lowered.
    GatewayBusy,
    /// `minReplicas` or `maxReplicas` were changed.
    LimitsChanged,
    /// More would be needed than `maxReplicas` allows.
    AtMaximum,
    /// Fewer would do, but not for long enough yet.
    Stabilizing,
    /// Fewer would do, but not all gateways are ready.
    GatewaysNotReady,
    /// Fewer would do, but a rollout is under way.
    RollingOut,
    /// Fewer would do, but clients are being shared out.
    Rebalancing,
    /// Fewer might do, but not all gateways answer.
    MetricsStale,
    /// The ChatCluster is paused.
    Paused,
}

impl Reason {
    /// The word for the status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::Settled => "Settled",
            Self::DemandRose => "DemandRose",
            Self::DemandFell => "DemandFell",
            Self::ScheduleBegan => "ScheduleBegan",
            Self::GatewayBusy => "GatewayBusy",
            Self::LimitsChanged => "LimitsChanged",
            Self::AtMaximum => "AtMaximum",
            Self::Stabilizing => "Stabilizing",
            Self::GatewaysNotReady => "GatewaysNotReady",
            Self::RollingOut => "RollingOut",
            Self::Rebalancing => "Rebalancing",
            Self::MetricsStale => "MetricsStale",
            Self::Paused => "Paused",
        }
    }
}

/// How many gateways there should be, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Gateways wanted.
    pub desired: i32,
    /// Why.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
    /// Open connections.
    pub connections: i64,
    /// Messages a second.
    pub messages_per_second: i64,
    /// Gateways whose word is stale.
    pub stale: i32,
    /// When the number changed last; `None` when this operator has not changed it.
    pub changed: Option<Timestamp>,
}

/// What keeps the number from changing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    None,
    /// A rollout: no gateway goes meanwhile but those that it replaces.
    Down,
    /// Clients are being shared out: the emptiest gateways are those that are being filled.
    Rebalance,
    /// The ChatCluster is paused.
    All,
}

/// The autoscaler of one ChatCluster.
#[derive(Clone, Debug)]
pub struct Scaler {
    settings: Settings,
    hold: Hold,
    gateways: Gateways,
    demand: Recent,
    accepted: Recent,
    window: Highest,
    busy_rounds: u32,
    /// People who found no place in the last round, since all gateways that they came to were full.
    turned_away: i64,
    /// When the number changed last.
    acted: Option<Instant>,
    /// The number when the present step began.
    step: (Instant, i32),
    decision: Decision,
}

/// What is needed, by each of the reasons.
struct Needs {
    /// For the people and messages that there are or will be soon, without the bounds.
    demand: i32,
    /// That one gateway may be lost.
    failover: i32,
    floor: i32,
    schedule: Option<String>,
    /// Whether the gateways that there are have clearly too much.
    over: bool,
    /// Whether one gateway less would still have little enough.
    fits_without: bool,
}

impl Scaler {
    /// Begins with the number that there is, or with the fewest.
    #[must_use]
    pub fn new(settings: Settings, hold: Hold, replicas: Option<i32>, now: Instant) -> Self {
        let desired = replicas.unwrap_or(settings.min).clamp(settings.min, settings.max);
        let message = "the gateways have not been asked yet".to_owned();
        Self {
            settings,
            hold,
            gateways: Gateways::default(),
            demand: Recent::new(TREND),
            accepted: Recent::new(MESSAGES),
            window: Highest::new(now),
            busy_rounds: 0,
            turned_away: 0,
            acted: None,
            step: (now, desired),
            decision: Decision {
                desired,
                reason: Reason::Starting,
                message,
                connections: 0,
                messages_per_second: 0,
                stale: 0,
                changed: None,
            },
        }
    }

    /// The last decision.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Takes settings that may have changed. New bounds are kept at once.
    pub fn adjust(&mut self, settings: Settings, hold: Hold, now: Instant, wall: Timestamp) {
        (self.settings, self.hold) = (settings, hold);
        let bounded = self.decision.desired.clamp(self.settings.min, self.settings.max);
        if hold != Hold::All && bounded != self.decision.desired {
            let message = format!(
                "minReplicas is {} and maxReplicas {}: {bounded} gateways",
                self.settings.min, self.settings.max
            );
            self.decide(bounded, Reason::LimitsChanged, message, now, wall);
        }
    }

    /// Takes a round of questions in and decides.
    pub fn round(&mut self, reports: &[Report], now: Instant, wall: Timestamp) -> &Decision {
        let usual = self.settings.connections * self.settings.target / 100;
        let round = self.gateways.take(now, reports, usual);
        self.demand.add(now, round.connections);
        self.accepted.add(now, round.accepted);
        self.turned_away = round.refused;
        let busy = round.fullest * 100 > BUSY * self.settings.connections;
        self.busy_rounds = if busy { self.busy_rounds.saturating_add(1) } else { 0 };
        if now.duration_since(self.step.0) >= STEP_TIME {
            self.step = (now, self.decision.desired);
        }
        self.decision.connections = round.connections;
        self.decision.messages_per_second = self.accepted.per_second();
        self.decision.stale = round.stale;
        let needs = self.needs(&round, wall);
        let wanted = self.bounded(needs.demand.max(needs.failover).max(needs.floor));
        self.window.add(now, wanted, self.settings.window);
        if self.hold == Hold::All {
            let desired = self.decision.desired;
            let message = format!("{}; spec.paused is true", self.load());
            self.decide(desired, Reason::Paused, message, now, wall);
        } else if !self.raise(&needs, wanted, now, wall) {
            self.lower(&needs, &round, wanted, now, wall);
        }
        &self.decision
    }

    fn needs(&self, round: &Round, wall: Timestamp) -> Needs {
        let Settings { connections, messages, target, min, .. } = self.settings;
        let now = i64::from(self.decision.desired);
        // Who is refused comes again every few seconds: each refusal of a round of 2 s is somebody, and not everybody is refused in each.
        let people = round.connections + round.refused;
        let soon = people + self.demand.rise(DECIDE + self.gateways.start());
        let rate = self.decision.messages_per_second;
        let for_messages = messages.map_or(0, |each| ceil(rate * 100, target * each));
        let over = |load: i64, each: i64, percent: i64| load * 10_000 > now * target * each * percent;
        let fits = |load: i64, each: i64| load * 10_000 <= (now - 1) * target * each * BAND_DOWN;
        let floor = schedule::highest(&self.settings.floors, wall);
        Needs {
            demand: ceil(soon * 100, target * connections).max(for_messages),
            // A single gateway is what somebody who sets a minimum of 1 wants, at least as long as it is not full.
            failover: if min > 1 { ceil(people * 100, FAILOVER * connections).saturating_add(1) } else { 0 },
            floor: floor.map_or(0, |(_, replicas)| replicas),
            schedule: floor.map(|(name, _)| name.to_owned()),
            over: over(people, connections, BAND_UP) || messages.is_some_and(|each| over(rate, each, BAND_UP)),
            fits_without: fits(round.connections_at_worst, connections) && messages.is_none_or(|each| fits(rate, each)),
        }
    }

    /// Raises the number if it must; whether it did, or would have.
    fn raise(&mut self, needs: &Needs, wanted: i32, now: Instant, wall: Timestamp) -> bool {
        let present = self.decision.desired;
        let (load, max) = (self.load(), self.settings.max);
        let (goal, reason, why) = if needs.floor > present {
            let schedule = needs.schedule.as_deref().unwrap_or_default();
            (wanted, Reason::ScheduleBegan, format!("schedule {schedule} asks for {}", needs.floor))
        } else if needs.over || needs.failover > present {
            let needed = needs.demand.max(needs.failover);
            (wanted, Reason::DemandRose, format!("{needed} are needed"))
        } else if self.is_busy() && needs.demand > present {
            (wanted, Reason::GatewayBusy, format!("one of them is nearly full, and {} are needed", needs.demand))
        } else {
            return false;
        };
        let highest = self.step.1.saturating_add(self.step.1.max(STEP));
        let desired = goal.min(highest).max(present);
        if desired > present {
            let message = format!("{load}; {why}: {desired} gateways");
            self.decide(desired, reason, message, now, wall);
        } else if present >= max {
            let message = format!("{load}; {why}, and maxReplicas is {max}");
            self.decide(present, Reason::AtMaximum, message, now, wall);
        } else if goal <= present {
            return false;
        }
        true
    }

    /// Lowers the number if it may, or says why not.
    fn lower(&mut self, needs: &Needs, round: &Round, wanted: i32, now: Instant, wall: Timestamp) {
        let (present, load) = (self.decision.desired, self.load());
        let highest = self.window.value().max(wanted);
        if wanted >= present || !needs.fits_without {
            return self.decide(present, Reason::Settled, load, now, wall);
        }
        let window = self.settings.window;
        let calm = CALM.min(window);
        let (unseen, acted) = (self.window.missing(now, window), self.acted.map(|acted| now.duration_since(acted)));
        let why_not = if round.stale > 0 {
            Some((Reason::MetricsStale, format!("{} gateways do not answer", round.stale)))
        } else if self.hold == Hold::Down {
            Some((Reason::RollingOut, "a rollout is under way".to_owned()))
        } else if self.hold == Hold::Rebalance {
            Some((Reason::Rebalancing, "clients are being moved to those that have few".to_owned()))
        } else if round.not_ready > 0 || round.ready < present {
            Some((Reason::GatewaysNotReady, format!("{} of {present} are ready", round.ready)))
        } else if self.is_busy() {
            Some((Reason::GatewayBusy, "one of them is nearly full".to_owned()))
        } else if highest >= present {
            let needed = format!("{highest} were needed within the last {}", span(window));
            Some((Reason::Stabilizing, needed))
        } else if unseen > Duration::ZERO {
            Some((Reason::Stabilizing, format!("the operator has watched them for less than {}", span(window))))
        } else if acted.is_some_and(|ago| ago < calm) {
            Some((Reason::Stabilizing, format!("the last change is less than {} ago", span(calm))))
        } else {
            None
        };
        if let Some((reason, why)) = why_not {
            let message = format!("{load}; {wanted} would do, but {why}");
            return self.decide(present, reason, message, now, wall);
        }
        let step = if present > ONE_BY_ONE { present / 10 } else { 1 };
        let desired = highest.max(present - step);
        let message = format!("{load}; {highest} were enough for {}: {desired} gateways", span(window));
        self.decide(desired, Reason::DemandFell, message, now, wall);
    }

    fn decide(&mut self, desired: i32, reason: Reason, message: String, now: Instant, wall: Timestamp) {
        if desired != self.decision.desired {
            self.acted = Some(now);
            self.decision.changed = Some(wall);
        }
        self.decision = Decision { desired, reason, message, ..self.decision.clone() };
    }

    /// Whether one gateway is nearly full. More gateways do not take anything off it, so that alone is no reason for one; but it is no time to wait
    /// until the band is left, or to have fewer.
    fn is_busy(&self) -> bool {
        self.busy_rounds >= BUSY_ROUNDS
    }

    fn bounded(&self, replicas: i32) -> i32 {
        replicas.clamp(self.settings.min, self.settings.max)
    }

    /// What there is to carry, in words.
    fn load(&self) -> String {
        let Settings { connections, messages, target, .. } = self.settings;
        let Decision { desired, connections: open, messages_per_second: rate, .. } = self.decision;
        let percent = |load: i64, each: i64| load * 100 / (i64::from(desired) * each).max(1);
        let mut text = format!("{open} connections are {} % of {desired} x {connections}", percent(open, connections));
        if let Some(each) = messages {
            text += &format!(", {rate} messages/s {} % of {desired} x {each}", percent(rate, each));
        }
        if self.turned_away > 0 {
            text += &format!(", {} found no place", self.turned_away);
        }
        text + &format!(", the target is {target} %")
    }
}

/// Rounded up; no gateways for no load.
fn ceil(load: i64, each: i64) -> i32 {
    let each = each.max(1);
    i32::try_from(load.max(0).saturating_add(each - 1) / each).unwrap_or(i32::MAX)
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 120 && seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests;
