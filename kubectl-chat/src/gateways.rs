//! The gateways of a ChatCluster.

use anyhow::Result;
use chat_crds::{
    ChatCluster,
    keys::{annotation, label},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::{
    admin_port::{self, phase},
    args::{Output, Told},
    gateway::{Gateways, is_emptied},
    load::{self, Load},
    tables::{bar, known, since, table},
};

const HEAD: [&str; 9] = ["POD", "REVISION", "STATE", "CONNECTIONS", "ROOMS", "MESSAGES/S", "RESTARTS", "AGE", "NODE"];
const HEAD_OF_TOP: [&str; 5] = ["POD", "CONNECTIONS", "FULL", "MESSAGES/S", "STATE"];
/// Characters of a bar.
const BAR: usize = 30;

/// In which order, and with what, gateways are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// By their names, with everything.
    List,
    /// By what they carry, with bars.
    Top,
}

/// A gateway, and what it carries where it says so.
struct Gateway {
    pod: Pod,
    load: Load,
}

/// The gateways of one ChatCluster.
struct Crowd {
    cluster: ChatCluster,
    gateways: Vec<Gateway>,
    now: Timestamp,
}

pub(crate) async fn show(gateways: &Gateways, Told { cluster, output }: &Told, sight: Sight) -> Result<()> {
    let cluster = gateways.cluster(cluster).await?;
    let (pods, listed) = admin_port::gateways(gateways, &cluster.name_any()).await?;
    let mut loads = admin_port::ask_all(&pods, &listed, load::of).await;
    let of = |pod: Pod| Gateway { load: loads.remove(&pod.name_any()).unwrap_or_default(), pod };
    let mut crowd = Crowd { cluster, gateways: listed.into_iter().map(of).collect(), now: Timestamp::now() };
    crowd.sort(sight);
    match (output, sight) {
        (Output::Json, _) => println!("{}", crowd.object()),
        (Output::Table, Sight::List) => print!("{}", crowd.list()),
        (Output::Table, Sight::Top) => print!("{}", crowd.top()),
    }
    Ok(())
}

/// How a gateway stands, in a word or two.
fn state(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let is_ready =
        status.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let waits = status.container_statuses.iter().flatten().find_map(|container| {
        container.state.as_ref()?.waiting.as_ref()?.reason.clone().filter(|reason| reason != "ContainerCreating")
    });
    if pod.metadata.deletion_timestamp.is_some() {
        return "ends".to_owned();
    }
    if is_emptied(pod) {
        return "being emptied".to_owned();
    }
    if pod.annotations().contains_key(annotation::DRAIN_REQUESTED) {
        return "asked to go".to_owned();
    }
    match (waits, phase(pod)) {
        (Some(why), _) => why,
        _ if is_ready => "ready".to_owned(),
        (None, Some("Running")) => "not ready".to_owned(),
        (None, Some("Pending") | None) => "starts".to_owned(),
        (None, Some(other)) => other.to_owned(),
    }
}

fn restarts(pod: &Pod) -> i32 {
    pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten()).map(|one| one.restart_count).sum()
}

fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn revision(pod: &Pod) -> Option<&String> {
    pod.labels().get(label::REVISION)
}

fn rate(load: Load) -> Option<String> {
    load.messages_per_second.map(|rate| format!("{rate:.1}"))
}

impl Crowd {
    fn sort(&mut self, sight: Sight) {
        self.gateways.sort_by_key(|gateway| gateway.pod.name_any());
        if sight == Sight::Top {
            self.gateways.sort_by_key(|gateway| std::cmp::Reverse(gateway.load.connections));
        }
    }

    fn nobody(&self) -> String {
        let name = self.cluster.name_any();
        format!("{name} has no gateways; kubectl chat why {name} says why, unless it is scaled to zero\n")
    }

    fn list(&self) -> String {
        if self.gateways.is_empty() {
            return self.nobody();
        }
        let rows: Vec<Vec<String>> = self
            .gateways
            .iter()
            .map(|Gateway { pod, load }| {
                vec![
                    pod.name_any(),
                    known(revision(pod)),
                    state(pod),
                    known(load.connections),
                    known(load.rooms),
                    known(rate(*load)),
                    restarts(pod).to_string(),
                    known(pod.creation_timestamp().map(|made| since(made.0, self.now))),
                    known(node(pod)),
                ]
            })
            .collect();
        table(&HEAD, &rows)
    }

    fn places(&self) -> Option<i64> {
        let effective = self.cluster.status.as_ref()?.effective.as_ref()?;
        Some(i64::from(effective.connections_per_gateway))
    }

    fn top(&self) -> String {
        if self.gateways.is_empty() {
            return self.nobody();
        }
        let full = |load: &Load| {
            let (open, places) = (load.connections?, self.places()?);
            let percent = open.saturating_mul(100).checked_div(places)?;
            Some(format!("{} {percent} %", bar(open, places, BAR)))
        };
        let rows: Vec<Vec<String>> = self
            .gateways
            .iter()
            .map(|Gateway { pod, load }| {
                vec![pod.name_any(), known(load.connections), known(full(load)), known(rate(*load)), state(pod)]
            })
            .collect();
        let open: i64 = self.gateways.iter().filter_map(|gateway| gateway.load.connections).sum();
        // The sum of no floats is -0.
        let rates = self.gateways.iter().filter_map(|gateway| gateway.load.messages_per_second);
        let messages = rates.fold(0.0, |sum, rate| sum + rate);
        let silent = self.gateways.iter().filter(|gateway| gateway.load.connections.is_none()).count();
        let without = if silent == 0 { String::new() } else { format!(", without {silent} that do not say") };
        format!("{}\n{open} connections, {messages:.1} messages a second{without}\n", table(&HEAD_OF_TOP, &rows))
    }

    fn object(&self) -> Value {
        let gateways: Vec<Value> = self
            .gateways
            .iter()
            .map(|Gateway { pod, load }| {
                json!({
                    "pod": pod.name_any(),
                    "revision": revision(pod),
                    "state": state(pod),
                    "connections": load.connections,
                    "places": self.places(),
                    "rooms": load.rooms,
                    "messagesPerSecond": load.messages_per_second,
                    "restarts": restarts(pod),
                    "created": pod.creation_timestamp(),
                    "node": node(pod),
                })
            })
            .collect();
        json!(gateways)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects;

    fn pod(name: &str, annotations: &Value, status: &Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": name, "labels": { label::REVISION: "5b8f" }, "annotations": annotations,
                "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": { "nodeName": "node-1", "containers": [] },
            "status": status,
        }))
        .unwrap()
    }

    fn crowd(sight: Sight) -> Crowd {
        let ready = json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] });
        let load =
            |connections| Load { connections: Some(connections), rooms: Some(7), messages_per_second: Some(1.5) };
        let seen = objects::ready();
        let draining = json!({ annotation::DRAINING: "2026-01-01T00:00:00Z" });
        let crashes = json!({ "phase": "Running", "containerStatuses": [{ "name": "g", "image": "", "imageID": "",
            "ready": false, "restartCount": 3, "state": { "waiting": { "reason": "CrashLoopBackOff" } } }] });
        let mut crowd = Crowd {
            cluster: seen.cluster,
            now: seen.now,
            gateways: vec![
                Gateway { pod: pod("demo-c", &json!({}), &crashes), load: Load::default() },
                Gateway { pod: pod("demo-a", &json!({}), &ready), load: load(1_000) },
                Gateway { pod: pod("demo-b", &draining, &ready), load: load(5_000) },
            ],
        };
        crowd.sort(sight);
        crowd
    }

    #[test]
    fn a_gateway_is_a_row() {
        assert_eq!(
            crowd(Sight::List).list(),
            "POD      REVISION   STATE              CONNECTIONS   ROOMS   MESSAGES/S   RESTARTS   AGE          NODE
demo-a   5b8f       ready              1000          7       1.5          0          3 h 12 min   node-1
demo-b   5b8f       being emptied      5000          7       1.5          0          3 h 12 min   node-1
demo-c   5b8f       CrashLoopBackOff   -             -       -            3          3 h 12 min   node-1
"
        );
    }

    #[test]
    fn who_carries_most_comes_first() {
        let text = crowd(Sight::Top).top();
        let names: Vec<&str> = text.lines().skip(1).filter_map(|line| line.get(..6)).take(3).collect();
        assert_eq!(names, ["demo-b", "demo-a", "demo-c"], "{text}");
        assert!(text.contains("[###############...............] 50 %"), "{text}");
        assert!(text.ends_with("\n6000 connections, 3.0 messages a second, without 1 that do not say\n"), "{text}");
        assert_eq!(crowd(Sight::Top).object()[0]["state"], "being emptied");
    }

    #[test]
    fn nobody_there_is_said() {
        let mut crowd = crowd(Sight::List);
        crowd.gateways.clear();
        assert!(crowd.list().starts_with("demo has no gateways; kubectl chat why demo says why"));
    }
}
