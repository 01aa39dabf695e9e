//! Namespaces of tests, all of them under Pod Security `restricted`.

use std::time::Duration;

use anyhow::{Result, anyhow};
use k8s_openapi::api::core::v1::Namespace as NamespaceObject;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    wait::{Seen, until},
    world::World,
};

/// Field manager of the tests.
pub const TEST_MANAGER: &str = "e2e";

/// A namespace of the tests.
#[derive(Clone)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    world: World,
}

impl Namespace {
    /// Makes it when it is not there.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn ensure(world: &World, name: &str) -> Result<Self> {
        let labels = json!({
            "chatcluster.dev/e2e": "true",
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        });
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
        let params = PatchParams::apply(TEST_MANAGER).force();
        Api::<NamespaceObject>::all(world.client.clone()).patch(name, &params, &Patch::Apply(object)).await?;
        Ok(Self { name: name.to_owned(), world: world.clone() })
    }

    /// Makes it, without anything that an earlier run left in it.
    ///
    /// # Errors
    /// The old one does not go, or the API server refuses.
    pub async fn fresh(world: &World, name: &str) -> Result<Self> {
        let api: Api<NamespaceObject> = Api::all(world.client.clone());
        if api.get_opt(name).await?.is_some() {
            let old = Self { name: name.to_owned(), world: world.clone() };
            old.delete(Duration::from_secs(120)).await?;
        }
        Self::ensure(world, name).await
    }

    /// The Kubernetes that it is in.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Asks for the namespace's end and does not wait for it: the end of a test that is about something else.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn discard(&self) -> Result<()> {
        let api: Api<NamespaceObject> = Api::all(self.world.client.clone());
        api.delete(&self.name, &DeleteParams::background()).await?;
        Ok(())
    }

    /// Deletes it and waits until it is gone; returns how long that took.
    ///
    /// # Errors
    /// It is still there after `limit`.
    pub async fn delete(&self, limit: Duration) -> Result<Duration> {
        let api: Api<NamespaceObject> = Api::all(self.world.client.clone());
        let started = tokio::time::Instant::now();
        api.delete(&self.name, &DeleteParams::background()).await?;
        until(format!("the end of namespace {}", self.name), limit, || async {
            match api.get_opt(&self.name).await? {
                None => Ok(Seen::Yes(())),
                Some(rest) => {
                    let conditions = rest.status.and_then(|status| status.conditions).unwrap_or_default();
                    let remaining = conditions.into_iter().filter(|condition| condition.status == "True");
                    let words: Vec<_> = remaining.filter_map(|condition| condition.message).collect();
                    Ok(Seen::NotYet(words.join("; ")))
                }
            }
        })
        .await
        .map_err(|error| anyhow!("{error:#}"))?;
        Ok(started.elapsed())
    }
}
