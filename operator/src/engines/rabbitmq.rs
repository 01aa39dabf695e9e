//! What is read of a RabbitmqCluster: where it is, whose Secrets open it, how it is.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::condition::Condition;

/// A RabbitmqCluster, without everything that is of no concern here. Every field may be absent: its operator fills them one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RabbitCluster {
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    tls: Tls,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Tls {
    secret_name: Option<String>,
    ca_secret_name: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    default_user: DefaultUser,
    /// The Secret that really holds the user. Where somebody else makes it, the reference beside it still has the name that it would have had.
    binding: Option<Binding>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DefaultUser {
    secret_reference: Option<SecretReference>,
    service_reference: Option<ServiceReference>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct SecretReference {
    name: String,
    keys: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct ServiceReference {
    name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Binding {
    name: String,
}

/// Where the default user of a RabbitmqCluster is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultUserSecret {
    /// The Secret.
    pub secret: String,
    /// Key of the name.
    pub username: String,
    /// Key of the password.
    pub password: String,
}

impl RabbitCluster {
    /// Where its default user is; `None` until its operator has said so.
    #[must_use]
    pub fn default_user(&self) -> Option<DefaultUserSecret> {
        let SecretReference { name, keys } = self.status.default_user.secret_reference.as_ref()?;
        let key = |key: &str| keys.get(key).cloned().unwrap_or_else(|| key.to_owned());
        let bound = self.status.binding.as_ref().map(|binding| &binding.name).filter(|name| !name.is_empty());
        let secret = bound.unwrap_or(name);
        (!secret.is_empty()).then(|| DefaultUserSecret {
            secret: secret.clone(),
            username: key("username"),
            password: key("password"),
        })
    }

    /// The Service that leads to its nodes, when it is called `name`.
    #[must_use]
    pub fn service(&self, name: &str) -> String {
        let said = self.status.default_user.service_reference.as_ref().map(|service| service.name.as_str());
        said.filter(|said| !said.is_empty()).unwrap_or(name).to_owned()
    }

    /// The Secret with the servers' certificate; `None` where they speak no TLS.
    #[must_use]
    pub fn certificate_secret(&self) -> Option<&str> {
        self.spec.tls.secret_name.as_deref().filter(|name| !name.is_empty())
    }

    /// The Secret that has the authorities of that certificate under `ca.crt`, if any has: the one that is named for it, or that of the
    /// certificate, where those who issue certificates put them.
    #[must_use]
    pub fn ca_secret(&self) -> Option<&str> {
        let certificate = self.certificate_secret()?;
        Some(self.named_ca_secret().unwrap_or(certificate))
    }

    /// The Secret that the spec names for authorities.
    #[must_use]
    pub fn named_ca_secret(&self) -> Option<&str> {
        self.spec.tls.ca_secret_name.as_deref().filter(|name| !name.is_empty())
    }

    /// Why it is not ready, in its operator's own words; `None` when it is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let of = |type_: &str| self.status.conditions.iter().find(|condition| condition.type_ == type_);
        if of("AllReplicasReady").is_some_and(|all| all.status == "True") {
            return None;
        }
        // A spec that its operator refuses is why there is nothing, where both are told.
        let refused = of("ReconcileSuccess").filter(|done| done.status == "False");
        let Some(told) = refused.or_else(|| of("AllReplicasReady")) else {
            return Some("its operator has said nothing of it yet".to_owned());
        };
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let why = said(&told.message).or_else(|| said(&told.reason));
        Some(format!("{} is {}{}", told.type_, told.status, why.map(|why| format!(": {why}")).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(cluster: Value) -> RabbitCluster {
        serde_json::from_value(cluster).unwrap()
    }

    #[test]
    fn the_default_user_is_where_its_operator_says() {
        assert_eq!(RabbitCluster::default().default_user(), None);
        let cluster = read(json!({ "status": { "defaultUser": {
            "secretReference": { "name": "mq-default-user", "namespace": "chat", "keys": { "username": "username", "password": "pass" } },
            "serviceReference": { "name": "mq", "namespace": "chat" },
        } } }));
        let user = cluster.default_user().unwrap();
        assert_eq!(
            (user.secret.as_str(), user.username.as_str(), user.password.as_str()),
            ("mq-default-user", "username", "pass")
        );
        let bound = read(json!({ "status": {
            "defaultUser": { "secretReference": { "name": "mq-default-user" } }, "binding": { "name": "made-by-others" },
        } }));
        assert_eq!(bound.default_user().unwrap().secret, "made-by-others");
        assert_eq!(
            (cluster.service("mq"), RabbitCluster::default().service("other")),
            ("mq".to_owned(), "other".to_owned())
        );
    }

    #[test]
    fn authorities_are_of_the_secret_for_them_or_of_the_certificates() {
        let tls = |tls: Value| read(json!({ "spec": { "tls": tls } }));
        assert_eq!(tls(json!({})).ca_secret(), None);
        assert_eq!(tls(json!({ "secretName": "tls" })).ca_secret(), Some("tls"));
        assert_eq!(tls(json!({ "secretName": "tls", "caSecretName": "ca" })).ca_secret(), Some("ca"));
        assert_eq!(tls(json!({ "secretName": "", "caSecretName": "ca" })).ca_secret(), None, "nobody speaks TLS");
    }

    #[test]
    fn what_keeps_it_from_being_ready_is_said_in_its_operators_words() {
        let condition = |type_: &str, status: &str, message: &str| json!({ "type": type_, "status": status, "reason": "Why", "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let with = |conditions: Value| read(json!({ "status": { "conditions": conditions } })).trouble();
        assert_eq!(with(json!([condition("AllReplicasReady", "True", "")])), None);
        let some = with(json!([condition("AllReplicasReady", "False", "1/3 Pods ready")]));
        assert_eq!(some.as_deref(), Some("AllReplicasReady is False: 1/3 Pods ready"));
        let both = json!([
            condition("AllReplicasReady", "Unknown", ""),
            condition("ReconcileSuccess", "False", "secret not found")
        ]);
        assert_eq!(with(both).as_deref(), Some("ReconcileSuccess is False: secret not found"));
        assert!(RabbitCluster::default().trouble().is_some());
    }
}
