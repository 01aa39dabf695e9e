//! Rule D1: everything in the table of refusals is refused by the real API server, in words that name the field and the way out.

use anyhow::{Result, ensure};
use chat_crds::testing::{Attempt, grounds, patched, refusals};
use e2e::{Namespace, World};
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DynamicObject, GroupVersionKind, PostParams},
};
use serde_json::Value;

const NAMESPACE: &str = "e2e-refusals";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn d1_bad_objects_are_refused_with_the_field_and_the_way_out() -> Result<()> {
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, NAMESPACE).await?;
    // Changes need something to change. It is paused, so the operator makes nothing of it.
    let of = |object: &Value| -> Api<DynamicObject> {
        let kind = object["kind"].as_str().unwrap_or_default();
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("chatcluster.dev", "v1alpha1", kind));
        Api::namespaced_with(world.client.clone(), NAMESPACE, &kind)
    };
    for ground in grounds() {
        of(&ground).create(&PostParams::default(), &serde_json::from_value(ground)?).await?;
    }

    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let mut wrong = Vec::new();
    let all = refusals();
    for refusal in &all {
        let mut object = patched(refusal);
        let api = of(&object);
        let answer = match refusal.kind {
            Attempt::Create => {
                rename(&mut object);
                api.create(&dry_run, &serde_json::from_value(object)?).await
            }
            Attempt::Update => replace(&api, &dry_run, serde_json::from_value(object)?).await,
        };
        match answer {
            Ok(_) => wrong.push(format!("{}: was accepted", refusal.name)),
            Err(error) if error.to_string().contains(refusal.message) => {}
            Err(error) => wrong.push(format!("{}: expected «{}», got: {error}", refusal.name, refusal.message)),
        }
    }
    println!("{} of {} bad objects were refused as expected", all.len() - wrong.len(), all.len());
    namespace.discard().await?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Replaces an object, again when the operator has written its status meanwhile.
async fn replace(
    api: &Api<DynamicObject>,
    params: &PostParams,
    mut object: DynamicObject,
) -> kube::Result<DynamicObject> {
    let name = object.name_any();
    let mut tries = 0;
    loop {
        tries += 1;
        object.metadata.resource_version = api.get(&name).await?.metadata.resource_version;
        match api.replace(&name, params, &object).await {
            Err(kube::Error::Api(status)) if status.code == 409 && tries < 10 => {}
            answer => return answer,
        }
    }
}

/// A create must not fail because the name is taken.
fn rename(object: &mut Value) {
    if grounds().iter().any(|ground| object["metadata"]["name"] == ground["metadata"]["name"]) {
        object["metadata"]["name"] = "created".into();
    }
}
