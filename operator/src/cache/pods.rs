//! What the operator reads of a pod.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use kube::ResourceExt as _;

use crate::names::annotation;

/// Annotations that mean something to the operator.
const READ: [&str; 4] =
    [annotation::DRAINING, annotation::DRAIN_REQUESTED, annotation::DELETION_COST, annotation::TEMPLATE_HASH];

/// Where it is, whose it is, whether it is ready, what its containers do, and how it is to go. The rest would be most of the operator's memory.
pub(super) fn prune(mut pod: Pod) -> Pod {
    pod.metadata.managed_fields = None;
    pod.metadata.resource_version = None;
    pod.metadata.generate_name = None;
    pod.annotations_mut().retain(|key, _| READ.contains(&key.as_str()));
    pod.spec = None;
    pod.status = pod.status.take().map(|status| PodStatus {
        phase: status.phase,
        pod_ip: status.pod_ip,
        conditions: status.conditions.map(|mut conditions| {
            conditions.retain(|condition| ["Ready", "PodScheduled"].contains(&condition.type_.as_str()));
            conditions.shrink_to_fit();
            conditions
        }),
        container_statuses: status.container_statuses.map(|all| all.into_iter().map(container).collect()),
        init_container_statuses: status.init_container_statuses.map(|all| all.into_iter().map(container).collect()),
        ..PodStatus::default()
    });
    pod
}

fn container(status: ContainerStatus) -> ContainerStatus {
    ContainerStatus {
        name: status.name,
        ready: status.ready,
        restart_count: status.restart_count,
        state: status.state,
        last_state: status.last_state,
        ..ContainerStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_stays() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": "g", "namespace": "ns", "uid": "u", "labels": { "a": "b" }, "resourceVersion": "7",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "annotations": { annotation::TEMPLATE_HASH: "h", "cni.example/addresses": "long" },
                "ownerReferences": [{ "apiVersion": "v1", "kind": "Job", "name": "j", "uid": "j" }],
            },
            "spec": { "containers": [] },
            "status": {
                "phase": "Running", "podIP": "10.0.0.1", "hostIP": "10.0.0.2",
                "conditions": [
                    { "type": "Ready", "status": "True" },
                    { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full" },
                    { "type": "Initialized", "status": "True" },
                ],
                "containerStatuses": [{
                    "name": "c", "image": "i", "imageID": "sha", "ready": true, "restartCount": 2,
                    "state": { "waiting": { "reason": "CrashLoopBackOff" } },
                    "lastState": { "terminated": { "exitCode": 1 } },
                }],
            },
        }))
        .unwrap();
        let kept = serde_json::to_value(prune(pod)).unwrap();
        assert_eq!(
            kept["metadata"],
            json!({
                "name": "g", "namespace": "ns", "uid": "u", "labels": { "a": "b" },
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "annotations": { annotation::TEMPLATE_HASH: "h" },
                "ownerReferences": [{ "apiVersion": "v1", "kind": "Job", "name": "j", "uid": "j" }],
            })
        );
        let status = &kept["status"];
        assert_eq!(
            (&status["phase"], &status["podIP"], &status["hostIP"]),
            (&json!("Running"), &json!("10.0.0.1"), &json!(null))
        );
        assert_eq!(status["conditions"].as_array().map(Vec::len), Some(2));
        assert_eq!(status["conditions"][1]["message"], "full");
        let container = &status["containerStatuses"][0];
        assert_eq!(container["restartCount"], 2);
        assert_eq!(container["state"]["waiting"]["reason"], "CrashLoopBackOff");
        assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
    }
}
