//! What was said before stands where a pass could not know better, and nothing is said to be in force before somebody has looked.

use chat_crds::chat_cluster::ConditionType::{self, Ready, RolloutHealthy, ShardsBalanced, Stalled};
use chat_operator::{
    reconcile::{BackendObserved, GatewaysObserved, Looked, RolloutObserved, Verdict},
    rollout::Failure,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{GENERATION, World, change, fine, gateways, judge, problem, said};

fn brief(world: &World, previous: &[Condition], type_: ConditionType) -> (String, String) {
    let condition = said(world, previous, 200, type_);
    (condition.status, condition.reason)
}

fn words(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

/// Two shards, between which slots may move.
fn two_shards(edit: impl FnOnce(&mut World)) -> World {
    change(|world| {
        world.shape.shards.push(("b".to_owned(), Some("demo-shard-b".to_owned())));
        world.observed.backends.insert("demo-shard-b".to_owned(), BackendObserved { ready: true, current: true });
        for gateway in world.view.gateways.values_mut() {
            let mut other = gateway.shards[0].clone();
            other.name = "b".to_owned();
            (gateway.shards[0].slots, other.slots) = (512, 512);
            gateway.shards.push(other);
        }
        edit(world);
    })
}

/// What was said, as of the generation before.
fn of_before(mut conditions: Vec<Condition>) -> Vec<Condition> {
    conditions.iter_mut().for_each(|condition| condition.observed_generation = Some(GENERATION - 1));
    conditions
}

/// A pass that ended before it knew where the spec leads to: it sees the revision that most gateways are of.
fn cut_short(world: &mut World) {
    world.verdict = Verdict::Failed(problem("ApplyFailed"));
    world.shape.migration = None;
    world.shape.slots_looked_at = Looked::Not;
    if let Some(gateways) = &mut world.observed.gateways {
        *gateways = GatewaysObserved {
            is_of_spec: false,
            whole: false,
            one_revision: false,
            rollout: None,
            ..gateways.clone()
        };
    }
}

#[test]
fn a_rollout_that_failed_is_failed_still_when_a_pass_does_not_come_to_it() {
    let failure = Failure { reason: "TooManyErrors".to_owned(), message: "people are refused".to_owned() };
    let rollout = RolloutObserved { wave: 1, failure: Some(failure), started: None, is_back: true };
    let failed = change(|world| {
        world.observed.gateways = Some(GatewaysObserved { rollout: Some(rollout), ..gateways(2, false) });
    });
    let before = judge(&failed, &[], 100);
    assert_eq!(brief(&failed, &[], RolloutHealthy), words("False", "TooManyErrors"));
    assert_eq!(brief(&failed, &[], Stalled), words("True", "TooManyErrors"));
    let blind = change(cut_short);
    assert_eq!(brief(&blind, &before, RolloutHealthy), words("False", "TooManyErrors"));
    assert_eq!(brief(&blind, &before, Stalled), words("True", "TooManyErrors"));
    assert_eq!(brief(&blind, &before, Ready), words("False", "ApplyFailed"));
    // Of a spec that may put it right nothing is known yet.
    assert_eq!(brief(&blind, &of_before(before.clone()), Stalled), words("False", "NotStalled"));
    assert_ne!(brief(&blind, &of_before(before), RolloutHealthy).1, "TooManyErrors");
    // Another reason to wait for a person is over when the pass says nothing of it.
    let refused = change(|world| world.verdict = Verdict::Refused(problem("InvalidSpec")));
    assert_eq!(brief(&blind, &judge(&refused, &[], 100), Stalled), words("False", "NotStalled"));
}

#[test]
fn slots_that_wait_to_move_are_not_even_when_a_pass_does_not_come_to_them() {
    let waits = two_shards(|world| {
        world.shape.unbalanced = Some(("WaitingForApproval", "12 slots".to_owned()));
        world.shape.slots_whole = true;
    });
    let before = judge(&waits, &[], 100);
    assert_eq!(brief(&waits, &[], ShardsBalanced), words("False", "WaitingForApproval"));
    let blind = two_shards(cut_short);
    assert_eq!(brief(&blind, &before, ShardsBalanced), words("False", "WaitingForApproval"));
    assert_eq!(brief(&blind, &of_before(before), ShardsBalanced), words("False", "WaitingForApproval"));
    let balanced = judge(&two_shards(|_| ()), &[], 100);
    assert_eq!(brief(&blind, &balanced, ShardsBalanced), words("True", "Balanced"));
    assert_eq!(brief(&blind, &of_before(balanced), ShardsBalanced), words("False", "Rebalancing"), "of a new spec");
}

#[test]
fn a_shard_that_has_joined_is_not_balanced_before_somebody_has_looked() {
    let looked = two_shards(|_| ());
    let undecided = two_shards(|world| world.shape.slots_looked_at = Looked::Undecided);
    assert_eq!(brief(&undecided, &[], ShardsBalanced), words("True", "Balanced"), "a new ChatCluster");
    let balanced = judge(&looked, &[], 100);
    assert_eq!(
        brief(&undecided, &balanced, ShardsBalanced),
        words("True", "Balanced"),
        "the operator has just started"
    );
    for reason in ["ShardsJoining", "NoPlan"] {
        let before = judge(&two_shards(|world| world.shape.unbalanced = Some((reason, "b".to_owned()))), &[], 100);
        let told = if reason == "NoPlan" { reason } else { "Rebalancing" };
        assert_eq!(brief(&undecided, &before, ShardsBalanced), words("False", told));
        assert_eq!(brief(&looked, &before, ShardsBalanced), words("True", "Balanced"), "somebody has looked");
    }
    let other_weights = of_before(balanced);
    assert_eq!(brief(&undecided, &other_weights, ShardsBalanced), words("False", "Rebalancing"));
    let one = change(|world| world.shape.slots_looked_at = Looked::Undecided);
    assert_eq!(brief(&one, &other_weights, ShardsBalanced), words("True", "Balanced"), "one shard has them all");
}

#[test]
fn a_ready_gateway_that_nobody_has_asked_does_not_vouch_for_a_new_spec() {
    let unasked = change(|world| {
        world.observed.gateways.as_mut().unwrap().ready_pods = ["g1", "g2", "g3"].map(str::to_owned).into();
    });
    let before = judge(&fine(), &[], 100);
    assert_eq!(brief(&unasked, &before, Ready), words("True", "Ready"), "one more of a spec that is in force");
    let before = of_before(before);
    assert_eq!(brief(&unasked, &before, Ready), words("False", "GatewaysTakeConfiguration"));
    assert_eq!(brief(&unasked, &[], Ready), words("False", "GatewaysTakeConfiguration"));
}
