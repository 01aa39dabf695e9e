//! What all pods of a ChatCluster logged, in the order of time.

use std::{collections::HashMap, fmt::Write as _};

use anyhow::{Context as _, Result, bail};
use chat_crds::keys::label;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, LogParams},
};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::{
    args::{Level, Logs, Output, Part},
    gateway::Gateways,
};

/// Fields of a line that have a place of their own, or say nothing to who reads many pods' lines.
const LEFT_OUT: [&str; 6] = ["timestamp", "level", "message", "target", "span", "spans"];
/// Target of the lines of the audit log.
const AUDIT: &str = "audit";
/// Fields of such a line that are in its sentence.
const IN_DEED: [&str; 6] = ["act", "outcome", "reason", "by", "actor", "from"];

pub(crate) async fn show(gateways: &Gateways, asked: &Logs) -> Result<()> {
    // A name that is none is told as such, and not as silence.
    gateways.cluster(&asked.cluster).await?;
    let pods: Api<Pod> = Api::namespaced(gateways.client.clone(), &gateways.namespace);
    let ours = ListParams::default().labels(&selector(&asked.cluster, asked.part));
    let all = pods.list(&ours).await.context("pods cannot be listed; the right to list them is needed")?.items;
    if all.is_empty() {
        bail!("{} has no such pods; kubectl chat status {} says how it is", asked.cluster, asked.cluster);
    }
    let mut lines: Vec<Line> =
        read(&pods, &all, asked).await.into_iter().filter(|line| line.is_of(asked.level)).collect();
    if asked.audit {
        lines = audited(lines, asked.tail);
    }
    lines.sort_by_key(|line| line.at);
    let text = match asked.output {
        Output::Table => plain(&lines),
        Output::Json => lines.iter().map(|line| format!("{}\n", line.object())).collect(),
    };
    print!("{text}");
    Ok(())
}

fn selector(cluster: &str, part: Part) -> String {
    let of_this = format!("{}={cluster}", label::CLUSTER);
    match part.component() {
        Some(component) => format!("{of_this},{}={component}", label::COMPONENT),
        None => of_this,
    }
}

/// Asks all pods at the same time. Whose log cannot be read is told on stderr.
async fn read(pods: &Api<Pod>, all: &[Pod], asked: &Logs) -> Vec<Line> {
    let mut reading = JoinSet::new();
    for pod in all {
        let (pods, name) = (pods.clone(), pod.name_any());
        let params = LogParams {
            timestamps: true,
            since_seconds: Some(asked.since.as_secs().max(1)),
            // Lines of the audit log are few among the others: all are read for them.
            tail_lines: (!asked.audit).then_some(asked.tail),
            ..LogParams::default()
        };
        reading.spawn(async move { (pods.logs(&name, &params).await, name) });
    }
    let mut lines = Vec::new();
    while let Some(read) = reading.join_next().await {
        match read {
            Ok((Ok(text), pod)) => lines.extend(text.lines().filter_map(|line| Line::read(&pod, line))),
            Ok((Err(error), pod)) => eprintln!("the log of {pod} cannot be read: {error}"),
            Err(error) => eprintln!("a log was not read: {error}"),
        }
    }
    lines
}

/// The newest lines of the audit log of each pod; they came in the order of each.
fn audited(mut lines: Vec<Line>, tail: i64) -> Vec<Line> {
    lines.retain(Line::is_audit);
    let tail = usize::try_from(tail).unwrap_or_default();
    let mut left: HashMap<String, usize> = HashMap::new();
    let mut newest: Vec<Line> = lines.into_iter().rev().collect();
    newest.retain(|line| {
        let count = left.entry(line.pod.clone()).or_default();
        *count += 1;
        *count <= tail
    });
    newest.reverse();
    newest
}

/// One line of one pod.
#[derive(Debug)]
struct Line {
    at: Timestamp,
    pod: String,
    /// What was logged as an object; `None` for programs that log plain text.
    fields: Option<Map<String, Value>>,
    text: String,
}

impl Line {
    /// Reads a line that the kubelet has put its time before. `None` for what has none.
    fn read(pod: &str, line: &str) -> Option<Self> {
        let (at, text) = line.split_once(' ')?;
        let fields = serde_json::from_str(text).ok();
        Some(Self { at: at.parse().ok()?, pod: pod.to_owned(), fields, text: text.to_owned() })
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.as_ref()?.get(name)?.as_str()
    }

    fn level(&self) -> Option<Level> {
        self.field("level").and_then(Level::read)
    }

    /// Whether it is one of the audit log.
    fn is_audit(&self) -> bool {
        self.field("target") == Some(AUDIT)
    }

    /// Whether it is as grave as that, or graver. What has no level is shown where none is asked for.
    fn is_of(&self, least: Option<Level>) -> bool {
        least.is_none_or(|least| self.level().is_some_and(|level| level <= least))
    }

    /// What it says, without names of fields where that is a sentence.
    fn words(&self) -> String {
        let Some(fields) = &self.fields else { return self.text.clone() };
        let is_audit = self.is_audit();
        let mut words = if is_audit { self.deed() } else { self.field("message").unwrap_or_default().to_owned() };
        let is_said = |name: &str| LEFT_OUT.contains(&name) || is_audit && IN_DEED.contains(&name);
        for (name, value) in fields.iter().filter(|(name, _)| !is_said(name)) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            // Writing into a String cannot fail.
            let _ = write!(words, " {name}={value}");
        }
        words.trim_start().to_owned()
    }

    /// What was done, what came of it, and who did it.
    fn deed(&self) -> String {
        let [act, outcome, reason, by, actor, from] =
            IN_DEED.map(|name| self.field(name).filter(|text| !text.is_empty()));
        let mut deed = format!("{} {}", act.unwrap_or("-"), outcome.unwrap_or("-"));
        for (before, what, after) in [(" (", reason, ")"), (" by ", by, ""), (" ", actor, ""), (" from ", from, "")] {
            if let Some(what) = what {
                deed += &[before, what, after].concat();
            }
        }
        deed
    }

    fn object(&self) -> Value {
        let said = self.fields.clone().map_or_else(|| json!(self.text), Value::Object);
        json!({ "pod": self.pod, "time": self.at, "log": said })
    }
}

fn plain(lines: &[Line]) -> String {
    let width = lines.iter().map(|line| line.pod.len()).max().unwrap_or_default();
    let mut text = String::new();
    for line in lines {
        let (at, level) = (line.at.strftime("%H:%M:%S%.3f"), line.field("level").unwrap_or("-"));
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{at} {:<width$} {level:<5} {}", line.pod, line.words());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Line> {
        let told = [
            (
                "demo-gateway-b",
                r#"2026-01-01T00:00:02.5Z {"timestamp":"x","level":"WARN","message":"RabbitMQ is away","reason":"ConnectionRefused","target":"t"}"#,
            ),
            ("demo-gateway-a", r#"2026-01-01T00:00:01.25Z {"level":"INFO","message":"listening","port":8080}"#),
            ("demo-redis-0", "2026-01-01T00:00:03Z 1:M 01 Jan ready to accept connections"),
            ("demo-redis-0", "no time"),
        ];
        let mut lines: Vec<Line> = told.iter().filter_map(|(pod, line)| Line::read(pod, line)).collect();
        lines.sort_by_key(|line| line.at);
        lines
    }

    #[test]
    fn lines_of_all_pods_stand_in_the_order_of_time() {
        assert_eq!(
            plain(&lines()),
            "00:00:01.250 demo-gateway-a INFO  listening port=8080\n\
             00:00:02.500 demo-gateway-b WARN  RabbitMQ is away reason=ConnectionRefused\n\
             00:00:03.000 demo-redis-0   -     1:M 01 Jan ready to accept connections\n"
        );
    }

    #[test]
    fn a_level_leaves_out_what_is_less_grave_and_what_has_none() {
        let of = |least| lines().iter().filter(|line| line.is_of(least)).count();
        assert_eq!([of(None), of(Some(Level::Info)), of(Some(Level::Warn)), of(Some(Level::Error))], [3, 2, 1, 0]);
    }

    #[test]
    fn programs_get_one_object_a_line() {
        let lines = lines();
        assert_eq!(lines[0].object()["log"]["port"], 8080);
        assert_eq!(lines[2].object()["log"], "1:M 01 Jan ready to accept connections");
        assert_eq!(lines[2].object()["pod"], "demo-redis-0");
    }

    #[test]
    fn the_audit_log_is_told_in_sentences_and_each_pod_has_its_newest_lines() {
        let told = [
            r#"2026-01-01T00:00:01Z {"level":"INFO","target":"audit","act":"cordon","outcome":"done","by":"admin-token","from":"10.0.0.7"}"#,
            r#"2026-01-01T00:00:02Z {"level":"INFO","target":"chat_gateway::admin","message":"cordoned"}"#,
            r#"2026-01-01T00:00:03Z {"level":"INFO","target":"audit","act":"set-role","outcome":"denied","reason":"forbidden","by":"user","actor":"u1","room":"r1"}"#,
            r#"2026-01-01T00:00:04Z {"level":"INFO","target":"audit","act":"token","outcome":"left-out","left_out":7}"#,
        ];
        let lines = || told.iter().filter_map(|line| Line::read("demo-gateway-a", line)).collect::<Vec<_>>();
        assert_eq!(
            plain(&audited(lines(), 9)),
            "00:00:01.000 demo-gateway-a INFO  cordon done by admin-token from 10.0.0.7\n\
             00:00:03.000 demo-gateway-a INFO  set-role denied (forbidden) by user u1 room=r1\n\
             00:00:04.000 demo-gateway-a INFO  token left-out left_out=7\n"
        );
        let newest = audited(lines(), 1);
        assert!(newest.len() == 1 && newest[0].words().starts_with("token "), "{newest:?}");
        assert_eq!(plain(&lines()).lines().count(), 4, "without the option they stand among the others");
    }

    #[test]
    fn a_part_is_chosen_by_its_label() {
        assert_eq!(selector("demo", Part::Gateway), "chatcluster.dev/cluster=demo,app.kubernetes.io/component=gateway");
        assert_eq!(selector("demo", Part::All), "chatcluster.dev/cluster=demo");
    }
}
