//! Rule B8: replicas belong to whoever writes them last, a person or an autoscaler; the operator owns no such field.

use anyhow::{Context as _, Result, ensure};
use e2e::wait::{Seen, until};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use e2e::pods::Part;

use crate::shared::{SETTLE_LIMIT, shared};

/// As the controller of a HorizontalPodAutoscaler calls itself.
const AUTOSCALER: &str = "kube-controller-manager";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn what_an_autoscaler_writes_stays_the_autoscalers() -> Result<()> {
    let cluster = shared().await?;
    let before = cluster.get().await?.metadata.generation.context("no generation")?;
    let params = PatchParams { field_manager: Some(AUTOSCALER.into()), ..PatchParams::default() };
    cluster.api().patch_scale(&cluster.name, &params, &Patch::Merge(json!({ "spec": { "replicas": 1 } }))).await?;
    cluster.wait_pods(Part::Gateway, 1, SETTLE_LIMIT).await?;
    // A child that is put right is a whole pass after the autoscaler's write.
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(cluster.world.client.clone(), &cluster.namespace);
    let budget = format!("{}-gateway", cluster.name);
    let old = budgets.get(&budget).await?.uid();
    budgets.delete(&budget, &DeleteParams::default()).await?;
    until("the budget to be made anew", SETTLE_LIMIT, || async {
        let made = budgets.get_opt(&budget).await?.is_some_and(|now| now.uid() != old);
        Ok(if made { Seen::Yes(()) } else { Seen::NotYet("gone".into()) })
    })
    .await?;
    let object = cluster.wait_ready(SETTLE_LIMIT).await?;
    ensure!(object.data["spec"]["gateways"]["replicas"] == 1, "{}", object.data["spec"]["gateways"]);
    ensure!(object.metadata.generation == Some(before + 1), "somebody else wrote the spec");
    let mut owners = Vec::new();
    for entry in object.metadata.managed_fields.iter().flatten() {
        let fields = entry.fields_v1.as_ref().map_or(&Value::Null, |fields| &fields.0);
        if !fields["f:spec"]["f:gateways"]["f:replicas"].is_null() {
            owners.push((entry.manager.clone().unwrap_or_default(), entry.subresource.clone().unwrap_or_default()));
        }
    }
    ensure!(owners == [(AUTOSCALER.to_owned(), "scale".to_owned())], "replicas belong to {owners:?}");
    cluster.check_spec_is_the_users().await
}
