//! What is under way when somebody else acts is told: an object that goes and is held by its finalizers, a password that is to be replaced while nothing may be written.

use serde_json::json;

use super::*;

#[tokio::test]
async fn an_object_that_somebody_deletes_is_told_of_until_it_is_there_again() {
    let world = World::settled().await;
    let service = "/api/v1/namespaces/chat/services/demo-gateway";
    let mut going = world.server.get(service).unwrap();
    going["metadata"]["deletionTimestamp"] = json!("2030-01-01T00:00:00Z");
    going["metadata"]["finalizers"] = json!(["service.kubernetes.io/load-balancer-cleanup"]);
    world.server.put(service, going);
    assert_eq!(world.rest().await, [""; 0], "what goes is let go");
    let ready = world.condition("Ready");
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "ChildLeaving"), "{ready:?}");
    assert!(ready.message.contains("Service demo-gateway"), "{ready:?}");
    assert_eq!(world.condition("Reconciling").status, "True");
    world.server.remove(service);
    assert_eq!(world.rest().await, [service], "it is made again");
    assert_ne!(world.condition("Ready").reason, "ChildLeaving");
}

#[tokio::test]
async fn a_password_that_is_to_be_replaced_is_told_of_while_nothing_may_be_written() {
    let world = World::settled().await;
    let mut paused = world.server.get(&chat_cluster("demo")).unwrap();
    paused["spec"]["paused"] = json!(true);
    world.server.put(&chat_cluster("demo"), paused);
    let secret = "/api/v1/namespaces/chat/secrets/demo-admin-token";
    let mut asked = world.server.get(secret).unwrap();
    asked["metadata"]["annotations"]["chatcluster.dev/rotate"] = json!("now");
    world.server.put(secret, asked);
    assert_eq!(world.rest().await, [""; 0], "it is paused");
    let rotated = world.condition("CredentialsRotated");
    assert_eq!((rotated.status.as_str(), rotated.reason.as_str()), ("False", "Rotating"), "{rotated:?}");
    assert!(rotated.message.contains("demo-admin-token is Waiting"), "{rotated:?}");
}
