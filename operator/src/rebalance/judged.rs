//! What kstatus, and Argo CD with the script that `docs/gitops` has for it, make of a ShardRebalance in each of its states.

use std::path::Path;

use chat_crds::{ShardRebalance, shard_rebalance::RebalanceState};
use jiff::Timestamp;
use localkube::{ArgoCdHealth, Health, Judgement, Kstatus};
use serde_json::{Value, json};

use super::Standing;

const fn expected(state: RebalanceState) -> (Judgement, Health) {
    use RebalanceState as S;
    match state {
        S::ClusterNotFound | S::Planning | S::Queued | S::Running | S::Aborting | S::WaitingForWindow => {
            (Judgement::InProgress, Health::Progressing)
        }
        // For a person, of whom kstatus knows nothing.
        S::WaitingForApproval | S::Paused => (Judgement::InProgress, Health::Suspended),
        S::Completed | S::Superseded => (Judgement::Current, Health::Healthy),
        S::NotSharded | S::Aborted | S::Failed => (Judgement::Failed, Health::Degraded),
    }
}

#[test]
fn every_state_is_judged() {
    let progress = |line: &str| println!("{line}");
    let spec = json!({ "clusterRef": { "name": "demo" } });
    let mut object = ShardRebalance::new("demo", serde_json::from_value(spec).unwrap());
    object.metadata.namespace = Some("chat".to_owned());
    object.metadata.generation = Some(3);
    let standing = |state| Standing::of(&object).is(state, "said by a test").status(&object, Timestamp::UNIX_EPOCH);
    let judged = RebalanceState::ALL.map(|state| {
        let seen = ShardRebalance { status: Some(standing(state)), ..object.clone() };
        serde_json::to_value(seen).unwrap()
    });

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/gitops/argocd-cm.yaml");
    let patch: Value = serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let script = patch["data"]["resource.customizations.health.chatcluster.dev_ShardRebalance"].as_str().unwrap();
    let judgements = Kstatus::build(&progress).unwrap().compute(&judged).unwrap();
    let healths = ArgoCdHealth::build(&progress).unwrap().judge(script, &judged).unwrap();
    for ((state, judgement), (health, message)) in RebalanceState::ALL.into_iter().zip(judgements).zip(healths) {
        assert_eq!((judgement, health), expected(state), "{state:?}: {message}");
        assert_eq!(message, "said by a test");
    }
}
