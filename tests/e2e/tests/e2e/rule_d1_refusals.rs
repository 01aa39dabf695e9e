//! Rule D1: everything in the table of refusals is refused by the real API server, in words that name the field and the way out.

use anyhow::{Result, ensure};
use chat_crds::testing::{Attempt, grounds, patched, refusals};
use e2e::{Namespace, World};
use serde_json::Value;

const NAMESPACE: &str = "e2e-refusals";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs through cargo xtask test"]
async fn d1_bad_objects_are_refused_with_the_field_and_the_way_out() -> Result<()> {
    let world = World::connect().await?;
    let namespace = Namespace::fresh(&world, NAMESPACE).await?;
    // Changes need something to change. It is paused, so the operator makes nothing of it.
    for ground in grounds() {
        let created = world.kubectl_any(&["create", "-n", NAMESPACE, "-f", "-"], Some(&ground.to_string())).await?;
        ensure!(created.success, "a ground of the table was refused: {}", created.err);
    }

    let mut wrong = Vec::new();
    let all = refusals();
    for refusal in &all {
        let mut object = patched(refusal);
        let verb = match refusal.kind {
            Attempt::Create => {
                rename(&mut object);
                "create"
            }
            Attempt::Update => "replace",
        };
        let args = [verb, "-n", NAMESPACE, "--dry-run=server", "--validate=false", "-f", "-"];
        let answer = world.kubectl_any(&args, Some(&object.to_string())).await?;
        if answer.success {
            wrong.push(format!("{}: was accepted", refusal.name));
        } else if !answer.err.contains(refusal.message) {
            wrong.push(format!("{}: expected «{}», got: {}", refusal.name, refusal.message, answer.err.trim()));
        }
    }
    println!("{} of {} bad objects were refused as expected", all.len() - wrong.len(), all.len());
    namespace.discard().await?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// A create must not fail because the name is taken.
fn rename(object: &mut Value) {
    if grounds().iter().any(|ground| object["metadata"]["name"] == ground["metadata"]["name"]) {
        object["metadata"]["name"] = "created".into();
    }
}
