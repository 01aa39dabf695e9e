//! A ChatCluster under test.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    namespace::TEST_MANAGER,
    wait::{Seen, until},
    world::World,
};

/// Handle of a ChatCluster in a namespace.
#[derive(Clone)]
pub struct ChatCluster {
    /// The Kubernetes it runs on.
    pub world: World,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ChatCluster {
    /// Applies a manifest (server-side, as a user's tool would) and returns the handle of what it names.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn apply(world: &World, namespace: &str, manifest: &Value) -> Result<Self> {
        let name = manifest["metadata"]["name"].as_str().context("a manifest without a name")?.to_owned();
        let cluster = Self { world: world.clone(), namespace: namespace.to_owned(), name };
        cluster.reapply(manifest).await?;
        Ok(cluster)
    }

    /// Applies a manifest again, taking over every field it names.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn reapply(&self, manifest: &Value) -> Result<DynamicObject> {
        let params = PatchParams::apply(TEST_MANAGER).force();
        Ok(self.api().patch(&self.name, &params, &Patch::Apply(manifest)).await?)
    }

    /// Merges a patch into it; returns the new generation.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn merge(&self, patch: Value) -> Result<i64> {
        let params = PatchParams { field_manager: Some(TEST_MANAGER.into()), ..PatchParams::default() };
        let object = self.api().patch(&self.name, &params, &Patch::Merge(patch)).await?;
        object.metadata.generation.context("no generation")
    }

    /// The API of ChatClusters in its namespace.
    #[must_use]
    pub fn api(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.world.client.clone(), &self.namespace, &resource())
    }

    /// The object as it is now.
    ///
    /// # Errors
    /// It is not there.
    pub async fn get(&self) -> Result<DynamicObject> {
        Ok(self.api().get(&self.name).await?)
    }

    /// Waits by `kubectl wait`, exactly as the docs tell a user.
    ///
    /// # Errors
    /// The condition does not hold within `limit`; the message has all conditions.
    pub async fn kubectl_wait(&self, condition: &str, limit: Duration) -> Result<()> {
        let object = format!("chatcluster/{}", self.name);
        let condition = format!("--for=condition={condition}");
        let timeout = format!("--timeout={}s", limit.as_secs());
        let args = ["wait", &object, &condition, &timeout, "-n", &self.namespace];
        let printed = self.world.kubectl_any(&args, None).await?;
        let told = || format!("kubectl {}: {}{}", args.join(" "), printed.out, printed.err);
        if !printed.success {
            let state = self.get().await.map_or_else(|error| error.to_string(), |object| summary(&object));
            anyhow::bail!("{}\n{state}", told());
        }
        Ok(())
    }

    /// Waits until Ready is true for the generation of now.
    ///
    /// # Errors
    /// It is not within `limit`; the message has all conditions.
    pub async fn wait_ready(&self, limit: Duration) -> Result<DynamicObject> {
        self.wait_condition("Ready", "True", limit).await
    }

    /// Waits until a condition has a status, for the generation of now.
    ///
    /// # Errors
    /// It has not within `limit`; the message has all conditions.
    pub async fn wait_condition(&self, kind: &str, status: &str, limit: Duration) -> Result<DynamicObject> {
        let what = format!("{kind}={status} of {}/{}", self.namespace, self.name);
        self.wait_condition_that(kind, limit, what, |condition| condition["status"] == status).await
    }

    /// Waits until a condition is False, for the generation of now, with one of these reasons and a message that names all of these; returns
    /// the condition.
    ///
    /// # Errors
    /// It is not within `limit`; the message has all conditions.
    pub async fn wait_told(&self, kind: &str, reasons: &[&str], names: &[&str], limit: Duration) -> Result<Value> {
        let what = format!("{kind}=False with a reason of {reasons:?} and a message that names {names:?}");
        let told = |condition: &Value| {
            let text = |field: &str| condition[field].as_str().unwrap_or_default();
            condition["status"] == "False"
                && reasons.contains(&text("reason"))
                && names.iter().all(|name| text("message").contains(name))
        };
        let object = self.wait_condition_that(kind, limit, what, told).await?;
        Ok(condition(&object, kind).cloned().unwrap_or_default())
    }

    async fn wait_condition_that(
        &self,
        kind: &str,
        limit: Duration,
        what: String,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<DynamicObject> {
        until(what, limit, || async {
            let object = self.get().await?;
            let generation = object.metadata.generation.unwrap_or_default();
            let holds = condition(&object, kind)
                .is_some_and(|condition| condition["observedGeneration"] == generation && fits(condition));
            Ok(if holds { Seen::Yes(object) } else { Seen::NotYet(summary(&object)) })
        })
        .await
    }

    /// Waits until a condition has a status and a reason, for the generation of now.
    ///
    /// # Errors
    /// It has not within `limit`; the message has all conditions.
    pub async fn wait_reason(
        &self,
        kind: &str,
        (status, reason): (&str, &str),
        limit: Duration,
    ) -> Result<DynamicObject> {
        let what = format!("{kind}={status} with {reason} of {}/{}", self.namespace, self.name);
        until(what, limit, || async {
            let object = self.get().await?;
            let generation = object.metadata.generation.unwrap_or_default();
            let holds = condition(&object, kind).is_some_and(|condition| {
                condition["status"] == status
                    && condition["reason"] == reason
                    && condition["observedGeneration"] == generation
            });
            Ok(if holds { Seen::Yes(object) } else { Seen::NotYet(summary(&object)) })
        })
        .await
    }

    /// Deletes it in the foreground or background and waits until the object itself is gone.
    ///
    /// # Errors
    /// It is still there after `limit`.
    pub async fn delete(&self, params: &DeleteParams, limit: Duration) -> Result<()> {
        self.api().delete(&self.name, params).await?;
        until(format!("the end of {}/{}", self.namespace, self.name), limit, || async {
            Ok(match self.api().get_opt(&self.name).await? {
                None => Seen::Yes(()),
                Some(object) => Seen::NotYet(format!("finalizers {:?}", object.metadata.finalizers)),
            })
        })
        .await
    }

    /// Scales by `kubectl scale`.
    ///
    /// # Errors
    /// kubectl fails.
    pub async fn kubectl_scale(&self, replicas: u32) -> Result<()> {
        let object = format!("chatcluster/{}", self.name);
        let replicas = format!("--replicas={replicas}");
        self.world.kubectl(&["scale", &object, &replicas, "-n", &self.namespace]).await?;
        Ok(())
    }

    /// Fails unless the operator has never written the object's spec: none of its managed fields is there.
    ///
    /// # Errors
    /// It has; the message names the manager.
    pub async fn check_spec_is_the_users(&self) -> Result<()> {
        let object = self.get().await?;
        for entry in object.metadata.managed_fields.iter().flatten() {
            let fields = entry.fields_v1.as_ref().map(|fields| fields.0.clone()).unwrap_or(json!({}));
            let manager = entry.manager.as_deref().unwrap_or_default();
            if manager.starts_with("chat-operator") {
                ensure!(fields.get("f:spec").is_none(), "{manager} owns fields of the spec: {fields}");
            }
        }
        Ok(())
    }
}

/// The ChatCluster resource.
#[must_use]
pub fn resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("chatcluster.dev", "v1alpha1", "ChatCluster"))
}

/// A condition by its type.
#[must_use]
pub fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<&'a Value> {
    Some(condition_of(&object.data["status"], kind)).filter(|condition| !condition.is_null())
}

/// A condition of a status by its type; null where there is none.
#[must_use]
pub fn condition_of<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let mut all = status["conditions"].as_array().into_iter().flatten();
    all.find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

/// All conditions in one line, for messages.
#[must_use]
pub fn summary(object: &DynamicObject) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let words = conditions.iter().map(|c| {
        let mut text = format!("{}={} {}", word(&c["type"]), word(&c["status"]), word(&c["reason"]));
        if c["type"] == "Ready" || c["status"] == "False" {
            text.push_str(&format!(" ({})", word(&c["message"])));
        }
        text
    });
    let generation = object.metadata.generation.unwrap_or_default();
    let observed = &object.data["status"]["observedGeneration"];
    format!("generation {generation}, observed {observed}; {}", words.collect::<Vec<_>>().join(", "))
}
