//! Runs a scenario on one contender: lets time pass in its model, and writes down each second.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use chat_crds::ChatCluster;
use k8s_openapi::api::{autoscaling::v2::HorizontalPodAutoscaler, core::v1::Pod};
use kube::{Api, Client, api::DeleteParams};
use serde_json::Value;

use crate::{
    model::{Balance, Fleet, TICK_MS},
    objects::{self, Bounds, NAME},
    record::{Sample, budget},
    scenario::{Course, Fault, Scenario},
    world::World,
};

/// Seconds in which people come before the measurement, and seconds until the contenders have calmed down after that.
const RAMP: u32 = 60;
const CALM: u32 = 150;
/// Seconds before the measurement.
pub(crate) const WARM_UP: u32 = RAMP + CALM;
/// Seconds that people stay on average: four hours by the factor by which windows are shortened.
const LIFE: f64 = 960.0;

/// Who decides how many gateways there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// The operator.
    Operator,
    /// Kubernetes' HorizontalPodAutoscaler.
    Hpa,
}

impl Contender {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Operator, Self::Hpa];

    /// Its name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Hpa => "hpa",
        }
    }
}

/// A scenario on one contender.
pub(crate) struct Run {
    pub(crate) client: Client,
    pub(crate) world: Arc<World>,
    pub(crate) scenario: Scenario,
    pub(crate) contender: Contender,
    pub(crate) bounds: Bounds,
    pub(crate) start: Duration,
    pub(crate) balance: Balance,
}

impl Run {
    /// Makes the contender's objects and runs the course; `began` is when the first second before the measurement begins, the same for both.
    ///
    /// # Errors
    /// The API server refuses something.
    pub(crate) async fn go(self, course: Course, began: Instant) -> Result<(Scenario, Contender, Vec<Sample>)> {
        let namespace = format!("{}-{}", self.scenario.name(), self.contender.name());
        self.world.add(&namespace, Fleet::new(self.bounds.capacity, self.balance, 1), self.start);
        self.make(&namespace).await?;
        let mut samples = Vec::new();
        let mut faults = course.faults.clone();
        let (mut churn, mut before) = (0.0, crate::model::Counts::default());
        let warm_up = WARM_UP;
        let ticks_a_second = 1_000 / TICK_MS;
        for tick in 1..=u64::from(warm_up + course.seconds) * ticks_a_second {
            let due = began + Duration::from_millis(TICK_MS) * u32::try_from(tick).unwrap_or(u32::MAX);
            tokio::time::sleep_until(due.into()).await;
            let second = tick as f64 / ticks_a_second as f64;
            let since = second - f64::from(warm_up);
            let people = (f64::from(course.load.at(since)) * (second / f64::from(RAMP)).min(1.0)).round();
            churn += people / LIFE / ticks_a_second as f64;
            let whole = f64::floor(churn);
            churn -= whole;
            self.world.with(&namespace, |side| side.fleet.pass(people as u32, whole as u32));
            if tick % ticks_a_second > 0 {
                continue;
            }
            let second = i32::try_from(tick / ticks_a_second).unwrap_or(i32::MAX) - warm_up as i32;
            while let Some((_, fault)) = faults.first().copied().filter(|(at, _)| *at as i32 <= second) {
                faults.remove(0);
                self.fault(&namespace, fault).await?;
            }
            let desired = self.desired(&namespace).await.unwrap_or_else(|_| {
                // A busy API server is no reason to end; the number of a second ago stands.
                samples.last().map_or(0, |sample: &Sample| sample.desired)
            });
            let (sample, counts) = self.look(&namespace, second, people as u32).context("the contender is gone")?;
            samples.push(Sample { desired, ..sample.between(before, counts) });
            before = counts;
        }
        Ok((self.scenario, self.contender, samples))
    }

    async fn make(&self, namespace: &str) -> Result<()> {
        let what = match self.contender {
            Contender::Operator => objects::engines(namespace),
            Contender::Hpa => objects::deployment(namespace),
        };
        objects::apply(&self.client, &objects::namespace(namespace)).await?;
        objects::apply(&self.client, &what).await?;
        objects::apply(&self.client, &self.scaled(namespace, self.bounds)).await
    }

    /// The object that says how many gateways there may be.
    fn scaled(&self, namespace: &str, bounds: Bounds) -> Value {
        match self.contender {
            Contender::Operator => objects::chat_cluster(namespace, NAME, &objects::native(bounds)),
            Contender::Hpa => objects::autoscaler(namespace, bounds),
        }
    }

    fn look(&self, namespace: &str, second: i32, demand: u32) -> Option<(Sample, crate::model::Counts)> {
        self.world.with(namespace, |side| {
            let takers = side.fleet.gateways().values().filter(|one| one.ready && !one.cordoned).count() as u32;
            let connected = side.fleet.connected();
            let (places, pods) = (side.fleet.places(), side.pods.len() as u32);
            let budget = budget(connected, takers);
            let fullest = side.fleet.gateways().values().map(|one| one.connections).max().unwrap_or_default();
            let sample =
                Sample { second, demand, connected, fullest, places, pods, takers, budget, ..Sample::default() };
            (sample, side.fleet.counts())
        })
    }

    async fn desired(&self, namespace: &str) -> Result<i32> {
        Ok(match self.contender {
            Contender::Operator => {
                let api: Api<ChatCluster> = Api::namespaced(self.client.clone(), namespace);
                let scaling = api.get(NAME).await?.status.and_then(|status| status.autoscaling);
                scaling.map_or(0, |scaling| scaling.desired_replicas)
            }
            Contender::Hpa => {
                let api: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client.clone(), namespace);
                // Until it has acted for the first time it says 0.
                api.get(NAME).await?.status.map_or(0, |status| status.desired_replicas)
            }
        })
    }

    async fn fault(&self, namespace: &str, fault: Fault) -> Result<()> {
        match fault {
            Fault::Stall => drop(self.world.with(namespace, |side| side.stalled = true)),
            Fault::Answer => drop(self.world.with(namespace, |side| side.stalled = false)),
            Fault::Skew(off) => drop(self.world.with(namespace, |side| side.skew = off)),
            Fault::Least(least) => {
                let bounds = Bounds { least, ..self.bounds };
                objects::apply(&self.client, &self.scaled(namespace, bounds)).await?;
            }
            Fault::LoseHalf => {
                let lost = self.world.with(namespace, |side| {
                    let names: Vec<String> = side.fleet.gateways().keys().step_by(2).cloned().collect();
                    for name in &names {
                        side.fleet.end(name, false);
                        side.pods.remove(name);
                    }
                    names
                });
                let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
                for name in lost.unwrap_or_default() {
                    api.delete(&name, &DeleteParams::default().grace_period(0)).await?;
                }
            }
        }
        Ok(())
    }
}
