//! Who stands between the operator and what it writes: policies that change it, a namespace that goes, objects of somebody else.

use serde_json::{Value, json};

use super::*;

/// Gives every object a label, every pod a sidecar with its volume, every container a variable and a mount.
fn policy(_: &str, object: &mut Value) {
    object["metadata"]["labels"]["policy.example.com/checked"] = json!("yes");
    object["metadata"]["annotations"]["policy.example.com/by"] = json!("all");
    let pod = &mut object["spec"]["template"]["spec"];
    let Some(containers) = pod["containers"].as_array_mut() else {
        if object["spec"]["template"].is_null() {
            object["spec"].as_object_mut().map(|spec| spec.remove("template"));
        }
        return;
    };
    for container in containers.iter_mut() {
        push(&mut container["env"], json!({ "name": "ZONE", "value": "a" }));
        push(&mut container["volumeMounts"], json!({ "name": "mesh", "mountPath": "/mesh" }));
    }
    containers.insert(0, json!({ "name": "mesh", "image": "mesh:1" }));
    push(&mut pod["volumes"], json!({ "name": "mesh", "emptyDir": {} }));
    object["spec"]["template"]["metadata"]["labels"]["policy.example.com/checked"] = json!("yes");
}

fn push(list: &mut Value, element: Value) {
    match list.as_array_mut() {
        Some(list) => list.push(element),
        None => *list = json!([element]),
    }
}

/// It is applied once, and what others added is neither taken away nor a change that waits.
#[tokio::test]
async fn a_policy_that_changes_children_brings_no_loop() {
    let world = World::settled_with(|server| server.admit(policy)).await;
    assert_eq!(world.rest().await, [""; 0]);
    let (_, redis) = world.server.list("/statefulsets/demo-redis").remove(0);
    assert_eq!(redis["spec"]["template"]["spec"]["containers"][0]["name"], "mesh");
    // Paused it would say how many writes wait.
    let mut paused = world.server.get(&chat_cluster("demo")).unwrap();
    paused["spec"]["paused"] = json!(true);
    paused["metadata"]["generation"] = json!(2);
    world.server.put(&chat_cluster("demo"), paused.clone());
    world.pass().await.unwrap();
    assert_ne!(world.condition("Ready").reason, "ChangesPending", "{:?}", world.condition("Ready"));
    // What is the operator's own is still put back.
    paused["spec"]["paused"] = json!(false);
    paused["metadata"]["generation"] = json!(3);
    world.server.put(&chat_cluster("demo"), paused);
    let mut drifted = redis;
    drifted["spec"]["template"]["spec"]["containers"][1]["image"] = json!("somebody:else");
    world.server.put("/apis/apps/v1/namespaces/chat/statefulsets/demo-redis", drifted);
    assert_eq!(world.rest().await, ["/apis/apps/v1/namespaces/chat/statefulsets/demo-redis"]);
}

/// Has images come from another registry.
fn registry(_: &str, object: &mut Value) {
    for container in object["spec"]["template"]["spec"]["containers"].as_array_mut().into_iter().flatten() {
        let image = container["image"].as_str().unwrap_or_default().replace("chatcluster.dev/", "mirror.example.com/");
        container["image"] = json!(image);
    }
}

/// What it overrides is written once, for what was asked for, and again when that is another, or when somebody changes it.
#[tokio::test]
async fn a_policy_that_overrides_what_is_asked_for_brings_no_loop() {
    const PATH: &str = "/apis/apps/v1/namespaces/chat/statefulsets/demo-redis";
    let world = World::settled_with(|server| server.admit(registry)).await;
    assert_eq!(world.rest().await, [""; 0]);
    let image = |object: &Value| object["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let mut redis = world.server.get(PATH).unwrap();
    assert_eq!(image(&redis), "mirror.example.com/redis:8");
    redis["spec"]["template"]["spec"]["containers"][0]["image"] = json!("somebody:else");
    world.server.put(PATH, redis);
    assert_eq!(world.rest().await, [PATH]);
    assert_eq!(image(&world.server.get(PATH).unwrap()), "mirror.example.com/redis:8");
}

/// Requests of a pass, where nothing is watched and half of what it looks for is gone.
const A_PASS: usize = 50;

/// The namespace is deleted while gateways roll out: what cannot be made is tried once, nobody waits for the operator, and it is no failure.
#[tokio::test]
async fn a_namespace_that_goes_in_the_middle_of_a_rollout_is_let_go() {
    let world = World::settled().await;
    let mut changed = world.server.get(&chat_cluster("demo")).unwrap();
    changed["metadata"]["generation"] = json!(2);
    changed["spec"]["gateways"] = json!({ "podTemplate": { "annotations": { "example.com/turn": "1" } } });
    world.server.put(&chat_cluster("demo"), changed);
    world.server.leave();
    assert!(world.server.objects().values().all(|object| object["metadata"]["finalizers"].is_null()));
    let before = world.server.requests();
    world.pass().await.unwrap();
    println!("a namespace that goes: {} requests of the first pass", world.server.requests() - before);
    assert_eq!(world.context.backoff.count(&key()), 0, "it is not tried again");
    // The garbage collector takes child after child. The watch tells of each, and the pass after it makes nothing.
    let children: Vec<String> = world.children().into_keys().collect();
    for path in &children {
        world.server.remove(path);
        world.pass().await.unwrap();
    }
    assert!(world.children().is_empty(), "{:?}", world.children().keys());
    let requests = world.server.requests() - before;
    assert!(requests <= (children.len() + 1) * A_PASS, "{requests} requests for {} children", children.len());
    world.server.remove(&chat_cluster("demo"));
    world.pass().await.unwrap();
}

/// An object of somebody else under a child's name: it is left alone, named, and looked at now and then.
#[tokio::test]
async fn an_object_of_somebody_else_is_left_alone_and_named() {
    const PATH: &str = "/apis/apps/v1/namespaces/chat/statefulsets/demo-redis";
    let world = World::settled().await;
    let theirs = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "demo-redis", "namespace": "chat" },
        "spec": { "serviceName": "theirs" },
    });
    world.server.remove(PATH).unwrap();
    world.server.put(PATH, theirs.clone());
    assert_eq!(world.rest().await, [""; 0], "nothing is written when something is in the way");
    assert_eq!(world.server.get(PATH).unwrap()["spec"], theirs["spec"]);
    for type_ in ["Ready", "Stalled"] {
        let condition = world.condition(type_);
        assert_eq!(condition.reason, "NameConflict");
        assert!(condition.message.contains("demo-redis"), "{condition:?}");
    }
    assert_eq!(world.context.backoff.count(&key()), 0, "it is no failure of the operator");
    world.server.remove(PATH).unwrap();
    assert_eq!(world.rest().await, [PATH]);
}
