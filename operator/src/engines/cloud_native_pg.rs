//! What is read of a Cluster of CloudNativePG: where its primary is, whose Secrets open it, how it is.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Deserialize;

/// A Cluster, without everything that is of no concern here. Every field may be absent: its operator fills them one by one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PostgresCluster {
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    instances: u32,
    bootstrap: Bootstrap,
    certificates: Certificates,
    postgresql: PostgreSql,
    /// How synchronous replication was asked for before there was `postgresql.synchronous`.
    min_sync_replicas: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PostgreSql {
    synchronous: Option<Synchronous>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Synchronous {
    number: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Bootstrap {
    initdb: Option<Application>,
    recovery: Option<Application>,
    #[serde(rename = "pg_basebackup")]
    pg_basebackup: Option<Application>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Application {
    database: Option<String>,
    secret: Option<Named>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Certificates {
    #[serde(rename = "serverCASecret")]
    server_ca_secret: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    current_primary: Option<String>,
    write_service: Option<String>,
    phase: Option<String>,
    phase_reason: Option<String>,
    certificates: Certificates,
    conditions: Vec<Condition>,
}

impl PostgresCluster {
    /// How its ways in are named when it is called `name` and says nothing else.
    fn or_default(said: Option<&String>, name: &str, suffix: &str) -> String {
        said.filter(|said| !said.is_empty()).cloned().unwrap_or_else(|| format!("{name}-{suffix}"))
    }

    /// The Service that leads to the primary, whichever that is.
    #[must_use]
    pub fn write_service(&self, name: &str) -> String {
        Self::or_default(self.status.write_service.as_ref(), name, "rw")
    }

    /// The Secret with the authorities of the servers' certificates, under `ca.crt`.
    #[must_use]
    pub fn ca_secret(&self, name: &str) -> String {
        let said = [&self.status.certificates, &self.spec.certificates].map(|said| said.server_ca_secret.as_ref());
        Self::or_default(said.into_iter().flatten().find(|said| !said.is_empty()), name, "ca")
    }

    /// The Secret with the application's user.
    #[must_use]
    pub fn application_secret(&self, name: &str) -> String {
        let named = self.bootstraps().find_map(|from| from.secret.as_ref()).map(|secret| &secret.name);
        Self::or_default(named, name, "app")
    }

    /// The application's database, where the spec says what it is called.
    #[must_use]
    pub fn application_database(&self) -> Option<&str> {
        self.bootstraps().filter_map(|from| from.database.as_deref()).find(|name| !name.is_empty())
    }

    /// Only one of them is set.
    fn bootstraps(&self) -> impl Iterator<Item = &Application> {
        let Bootstrap { initdb, recovery, pg_basebackup } = &self.spec.bootstrap;
        [recovery, pg_basebackup, initdb].into_iter().flatten()
    }

    /// Instances beside the primary: those that may be promoted.
    #[must_use]
    pub const fn standbys(&self) -> u32 {
        self.spec.instances.saturating_sub(1)
    }

    /// Whether what is committed may be lost with the primary although there are instances that would take over: nothing waits for them.
    #[must_use]
    pub fn replicates_asynchronously(&self) -> bool {
        let waits = self.spec.postgresql.synchronous.as_ref().map_or(self.spec.min_sync_replicas, |said| said.number);
        self.standbys() > 0 && waits == 0
    }

    /// Whether it ever had a primary that served.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.status.current_primary.as_ref().is_some_and(|primary| !primary.is_empty())
    }

    /// Why it is not ready, in its operator's own words; `None` when it is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let ready = self.status.conditions.iter().find(|condition| condition.type_ == "Ready");
        if ready.is_some_and(|ready| ready.status == "True") {
            return None;
        }
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        match (said(&self.status.phase), said(&self.status.phase_reason)) {
            (Some(phase), Some(reason)) => Some(format!("{phase}: {reason}")),
            (Some(phase), None) => Some(phase),
            (None, _) => Some("its operator has said nothing of it yet".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(cluster: Value) -> PostgresCluster {
        serde_json::from_value(cluster).unwrap()
    }

    #[test]
    fn names_follow_from_its_own_unless_it_says_otherwise() {
        let plain = PostgresCluster::default();
        let names = |cluster: &PostgresCluster| {
            [cluster.write_service("pg"), cluster.ca_secret("pg"), cluster.application_secret("pg")]
        };
        assert_eq!(names(&plain), ["pg-rw", "pg-ca", "pg-app"]);
        assert_eq!((plain.standbys(), plain.application_database(), plain.has_begun()), (0, None, false));
        let named = read(json!({
            "spec": {
                "instances": 3,
                "certificates": { "serverCASecret": "spec-ca" },
                "bootstrap": { "initdb": { "database": "chat", "owner": "chat", "secret": { "name": "chat-owner" } } },
            },
            "status": { "writeService": "pg-primary", "certificates": { "serverCASecret": "own-ca" }, "currentPrimary": "pg-1" },
        }));
        assert_eq!(names(&named), ["pg-primary", "own-ca", "chat-owner"]);
        assert_eq!((named.standbys(), named.application_database(), named.has_begun()), (2, Some("chat"), true));
        let restored =
            read(json!({ "spec": { "bootstrap": { "recovery": { "source": "backup", "database": "chat" } } } }));
        assert_eq!(
            (restored.application_secret("pg"), restored.application_database()),
            ("pg-app".to_owned(), Some("chat"))
        );
    }

    #[test]
    fn commits_wait_for_standbys_only_where_somebody_said_so() {
        let asynchronous = |spec: Value| read(json!({ "spec": spec })).replicates_asynchronously();
        assert!(asynchronous(json!({ "instances": 3 })));
        assert!(!asynchronous(json!({ "instances": 1 })), "nobody would take over");
        assert!(!asynchronous(
            json!({ "instances": 3, "postgresql": { "synchronous": { "method": "any", "number": 1 } } })
        ));
        assert!(!asynchronous(json!({ "instances": 3, "minSyncReplicas": 1, "maxSyncReplicas": 2 })));
    }

    #[test]
    fn what_keeps_it_from_being_ready_is_said_in_its_operators_words() {
        let with = |status: &str, phase: &str, reason: &str| {
            let ready = json!({
                "type": "Ready", "status": status, "reason": "ClusterIsNotReady", "message": "Cluster Is Not Ready",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            });
            read(json!({ "status": { "phase": phase, "phaseReason": reason, "conditions": [ready] } })).trouble()
        };
        assert_eq!(with("True", "Cluster in healthy state", ""), None);
        assert_eq!(with("False", "Failing over", "pg-1 is away").as_deref(), Some("Failing over: pg-1 is away"));
        assert_eq!(with("False", "Setting up primary", "").as_deref(), Some("Setting up primary"));
        assert!(PostgresCluster::default().trouble().is_some());
    }
}
