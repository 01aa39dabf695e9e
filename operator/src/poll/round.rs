//! One round of questions: whom to ask, and what they answer.

use std::{collections::HashMap, sync::PoisonError};

use chat_gateway_config::stats::GatewayStats;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tokio::time::Instant;

use super::{
    CONCURRENCY, Poller,
    client::Place,
    pods::{Question, ending_proxy, is_ready, report},
    target::Target,
    view::ClusterView,
};
use crate::{
    autoscale::{Answer, Report},
    names::{ClusterKey, Component, label},
    sensitive::Sensitive,
};

/// What a round begins with.
#[derive(Default)]
pub(super) struct Round {
    pub(super) questions: Vec<Question>,
    heard: Heard,
}

/// What a round has brought, by ChatCluster.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) views: HashMap<ClusterKey, ClusterView>,
    pub(super) reports: HashMap<ClusterKey, Vec<Report>>,
}

impl Poller {
    /// Asks the gateways of a ChatCluster that nobody has asked yet, before anything is said of them or done about them.
    pub async fn meet(&self, key: &ClusterKey, token: &Sensitive, pods: &[Pod]) {
        {
            let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
            let target = targets.entry(key.clone()).or_insert_with(|| Box::new(Target::new(token)));
            target.token.clone_from(token);
            if target.view.asked {
                return;
            }
        }
        let Heard { mut views, reports } = self.hear(self.survey(pods.iter().cloned())).await;
        let reports = reports.get(key).map_or(&[][..], Vec::as_slice);
        let (now, wall) = (Instant::now(), Timestamp::now());
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let clusters = targets.len();
        if let Some(target) = targets.get_mut(key).filter(|target| !target.view.asked) {
            // No news: whoever asks is about to look at it.
            let mut view = views.remove(key).unwrap_or_default();
            target.prepare(&mut view, now);
            self.verify(target, &mut view, clusters, (now, wall));
            target.take(view, reports, now, wall);
        }
    }

    /// What pods say of themselves, and whom to ask.
    pub(super) fn survey(&self, pods: impl Iterator<Item = Pod>) -> Round {
        let mut round = Round::default();
        for pod in pods {
            if let Some((cluster, report)) = report(&pod) {
                round.heard.reports.entry(cluster).or_default().push(report);
            }
            if let Some((cluster, address)) = ending_proxy(&pod) {
                round.heard.views.entry(cluster).or_default().ending_proxies.insert(address);
            }
            round.questions.extend(self.question(&pod));
        }
        round
    }

    /// Asks.
    pub(super) async fn hear(&self, Round { questions, heard: Heard { mut views, mut reports } }: Round) -> Heard {
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
                    view.gateways.insert(question.pod, Box::new(stats));
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
        Heard { views, reports }
    }

    fn put_right(&self, key: &ClusterKey, stats: &mut GatewayStats, (asked, answered): (Timestamp, Timestamp)) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = targets.get_mut(key) {
            target.clocks.put_right(stats, asked, answered);
        }
    }

    pub(super) fn question(&self, pod: &Pod) -> Option<Question> {
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
