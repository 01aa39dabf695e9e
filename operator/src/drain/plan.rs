//! Which gateways go, and when. Pure.

use std::{cmp::Reverse, time::Duration};

use chat_crds::chat_cluster::ScaleDownPolicy;
use jiff::Timestamp;

/// Time within which a gateway that is to be emptied takes nobody new any more.
const UNHEEDED: Duration = Duration::from_secs(60);

/// A gateway's pod that is not being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Name of the pod.
    pub pod: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether its process runs.
    pub running: bool,
    /// Whether somebody wants it replaced.
    pub requested: bool,
    /// Since when it is being emptied.
    pub marked: Option<Timestamp>,
    /// What it said last: its open connections, and whether it takes nobody new. `None` when it does not answer.
    pub said: Option<(i64, bool)>,
    /// Whether it has been asked in vain for so long that no order reaches it either.
    pub deaf: bool,
}

impl Gateway {
    /// Whether people are well with it. A gateway that turns new ones away, since they are to go to another revision, is not ready and serves who
    /// is there.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.ready || self.said.is_some_and(|(_, cordoned)| cordoned)
    }
}

/// How gateways go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What is waited for.
    pub policy: ScaleDownPolicy,
    /// Time after which nothing is waited for, where the policy has one.
    pub deadline: Duration,
    /// Nobody is connected to any gateway: who is empty need not turn people away before it goes.
    pub deserted: bool,
}

/// Where the clients of a gateway go that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Successors {
    /// To the other gateways of its Deployment.
    Here,
    /// To those of another revision, which takes the place of this one.
    Elsewhere,
}

/// What to do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Gateways that the Deployment should have.
    pub replicas: i32,
    /// Pods that are to be emptied from now on.
    pub mark: Vec<String>,
    /// Pods that stay after all.
    pub unmark: Vec<String>,
    /// Pods that are done: the ReplicaSet is told to take these when the number is lowered.
    pub done: Vec<String>,
}

/// Compares what is wanted of one Deployment with what there is. `current` is what the Deployment has, `None` while there is none.
#[must_use]
pub fn plan(
    (desired, current): (i32, Option<i32>),
    successors: Successors,
    gateways: &[Gateway],
    rules: Rules,
    now: Timestamp,
) -> Plan {
    let alone = successors == Successors::Here;
    let requested = gateways.iter().filter(|gateway| gateway.requested).count();
    let ready_otherwise = gateways.iter().filter(|gateway| !gateway.requested && gateway.ready).count();
    let short = ready_otherwise < usize::try_from(desired).unwrap_or_default();
    if let Some(current) = current.filter(|_| requested > 0 && short && alone && desired > 0) {
        // Those who take the clients come first.
        let with_successors = desired.saturating_add(i32::try_from(requested).unwrap_or(i32::MAX));
        return Plan { replicas: current.max(with_successors), ..Plan::default() };
    }
    // Those that the ReplicaSet has been told to take and has not taken yet are not one too many once more.
    let told = leaving(current, gateways, rules, now);
    let excess = current.map_or(0, |current| current.saturating_sub(desired)).saturating_add(told);
    let at_once = Plan { replicas: desired, ..Plan::default() };
    if excess <= 0 || (desired == 0 && alone) {
        // Where nobody is left to take the clients, the number holds at once.
        return Plan { unmark: names(gateways.iter().filter(|gateway| gateway.marked.is_some())), ..at_once };
    }
    let mut order: Vec<&Gateway> = gateways.iter().collect();
    order.sort_by_key(|gateway| {
        let is_broken = !gateway.serves() && gateway.marked.is_none();
        let connections = gateway.said.map_or(if is_broken { 0 } else { i64::MAX }, |(connections, _)| connections);
        // Who is being emptied already goes on with it, so that nobody is moved in vain.
        (!is_broken, !gateway.requested, gateway.marked.is_none(), connections, Reverse(gateway.created))
    });
    // Pods that the ReplicaSet has not made yet are the first that it does not make.
    let missing = current.unwrap_or_default().saturating_sub(i32::try_from(order.len()).unwrap_or(i32::MAX)).max(0);
    let victims = usize::try_from(excess.saturating_sub(missing)).unwrap_or_default();
    let (going, staying) = order.split_at(victims.min(order.len()));
    let done = names(going.iter().copied().filter(|gateway| is_done(gateway, rules, now)));
    let done_now = i32::try_from(done.len()).unwrap_or(i32::MAX).saturating_sub(told).max(0);
    let gone = missing.min(excess).saturating_add(done_now);
    Plan {
        replicas: current.unwrap_or(desired).saturating_sub(gone).max(desired),
        mark: names(going.iter().copied().filter(|gateway| gateway.marked.is_none())),
        unmark: names(staying.iter().copied().filter(|gateway| gateway.marked.is_some())),
        done,
    }
}

/// Pods that are done and only there because the ReplicaSet has not deleted them yet: there are more pods than the Deployment has.
fn leaving(current: Option<i32>, gateways: &[Gateway], rules: Rules, now: Timestamp) -> i32 {
    let Some(current) = current else { return 0 };
    let count = |gateways: usize| i32::try_from(gateways).unwrap_or(i32::MAX);
    let surplus = count(gateways.len()).saturating_sub(current).max(0);
    surplus.min(count(gateways.iter().filter(|gateway| is_done(gateway, rules, now)).count()))
}

fn is_done(gateway: &Gateway, Rules { policy, deadline, deserted }: Rules, now: Timestamp) -> bool {
    let Some(since) = gateway.marked else { return false };
    let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    match gateway.said {
        Some((0, cordoned)) if cordoned || deserted => true,
        // A gateway of a version that knows no cordon asks its clients when it is told to end.
        Some((_, false)) if age >= UNHEEDED => true,
        // It does not run: nobody can be connected to it.
        None if !gateway.running => true,
        // Nor can it be asked to move anybody: when it is told to end it asks its clients itself.
        None if gateway.deaf => policy != ScaleDownPolicy::WhenEmpty,
        _ => policy == ScaleDownPolicy::Deadline && age >= deadline,
    }
}

fn names<'a>(gateways: impl Iterator<Item = &'a Gateway>) -> Vec<String> {
    gateways.map(|gateway| gateway.pod.clone()).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const DRAIN: Rules = Rules { policy: ScaleDownPolicy::Drain, deadline: Duration::from_secs(600), deserted: false };
    const NOW: Timestamp = Timestamp::constant(10_000, 0);

    /// Ready, neither marked nor cordoned.
    pub(crate) fn gateway(pod: &str, connections: i64) -> Gateway {
        Gateway {
            pod: pod.to_owned(),
            created: None,
            ready: true,
            running: true,
            requested: false,
            marked: None,
            said: Some((connections, false)),
            deaf: false,
        }
    }

    /// Being emptied since so many seconds, and cordoned.
    fn marked(pod: &str, connections: i64, seconds: i64) -> Gateway {
        let since = Timestamp::from_second(NOW.as_second() - seconds).unwrap();
        Gateway { ready: false, marked: Some(since), said: Some((connections, true)), ..gateway(pod, 0) }
    }

    fn planned(desired: i32, current: i32, gateways: &[Gateway]) -> Plan {
        plan((desired, Some(current)), Successors::Here, gateways, DRAIN, NOW)
    }

    #[test]
    fn the_emptiest_is_marked_and_the_number_stays_until_it_is_empty() {
        let three = [gateway("a", 30), gateway("b", 10), gateway("c", 20)];
        let first = planned(2, 3, &three);
        assert_eq!(first, Plan { replicas: 3, mark: vec!["b".into()], ..Plan::default() });
        let under_way = [gateway("a", 30), marked("b", 4, 10), gateway("c", 2)];
        assert_eq!(
            planned(2, 3, &under_way),
            Plan { replicas: 3, ..Plan::default() },
            "b goes on, though c is emptier now"
        );
        let empty = [gateway("a", 30), marked("b", 0, 20), gateway("c", 24)];
        assert_eq!(planned(2, 3, &empty), Plan { replicas: 2, done: vec!["b".into()], ..Plan::default() });
    }

    /// The Deployment has the new number, and the ReplicaSet has not deleted the pod yet: it must not be counted twice, or somebody else would have
    /// to go with people on it.
    #[test]
    fn who_has_been_told_to_go_is_not_one_too_many_once_more() {
        let three = [gateway("a", 30), marked("b", 4, 10), marked("c", 0, 10)];
        assert_eq!(planned(1, 3, &three), Plan { replicas: 2, done: vec!["c".into()], ..Plan::default() });
        assert_eq!(planned(1, 2, &three), Plan { replicas: 2, done: vec!["c".into()], ..Plan::default() }, "b goes on");
        assert_eq!(planned(1, 2, &three[..2]), Plan { replicas: 2, ..Plan::default() });
        let last = [gateway("a", 30), gateway("b", 4), marked("c", 0, 10)];
        assert_eq!(
            planned(2, 2, &last),
            Plan { replicas: 2, done: vec!["c".into()], ..Plan::default() },
            "it stays told"
        );
        assert_eq!(planned(3, 2, &last).replicas, 3);
        let surging = [gateway("a", 30), gateway("b", 4), gateway("new", 0)];
        assert_eq!(planned(2, 2, &surging), Plan { replicas: 2, ..Plan::default() }, "that is Kubernetes' own affair");
    }

    #[test]
    fn who_is_broken_goes_before_all_others_and_the_youngest_among_equals() {
        let broken = Gateway { ready: false, said: None, ..gateway("broken", 0) };
        let swapped = planned(2, 3, &[gateway("a", 0), marked("b", 5, 10), broken]);
        assert_eq!((swapped.mark, swapped.unmark), (vec!["broken".to_owned()], vec!["b".to_owned()]));
        let aged = |pod: &str, second| Gateway { created: Timestamp::from_second(second).ok(), ..gateway(pod, 7) };
        assert_eq!(planned(1, 2, &[aged("old", 10), aged("young", 20)]).mark, ["young"]);
        let silent = Gateway { said: None, ..gateway("silent", 0) };
        assert_eq!(planned(1, 2, &[silent, gateway("a", 50)]).mark, ["a"], "nobody knows how many the silent one has");
    }

    #[test]
    fn who_turns_people_away_for_another_revision_is_not_broken() {
        let closed = |pod: &str| Gateway { ready: false, said: Some((10, true)), ..gateway(pod, 0) };
        let under_way = plan((1, Some(2)), Successors::Elsewhere, &[closed("a"), marked("b", 8, 5)], DRAIN, NOW);
        assert_eq!(under_way, Plan { replicas: 2, ..Plan::default() }, "b goes on");
    }

    #[test]
    fn more_wanted_again_means_that_the_fullest_stay() {
        let draining = [gateway("a", 30), marked("b", 1, 10), marked("c", 9, 10)];
        assert_eq!(planned(2, 3, &draining), Plan { replicas: 3, unmark: vec!["c".into()], ..Plan::default() });
        let back = planned(3, 3, &draining);
        assert_eq!((back.replicas, back.unmark), (3, vec!["b".to_owned(), "c".to_owned()]));
        assert_eq!(planned(5, 3, &draining).replicas, 5);
    }

    #[test]
    fn nobody_to_take_them_means_at_once_unless_another_revision_does() {
        let two = [gateway("a", 3), marked("b", 4, 10)];
        assert_eq!(planned(0, 2, &two).replicas, 0);
        let elsewhere = plan((0, Some(2)), Successors::Elsewhere, &two, DRAIN, NOW);
        assert_eq!((elsewhere.replicas, elsewhere.mark), (2, vec!["a".to_owned()]));
        let new = plan((2, None), Successors::Here, &[], DRAIN, NOW);
        assert_eq!(new, Plan { replicas: 2, ..Plan::default() });
    }

    #[test]
    fn who_is_empty_waits_for_its_cordon_only_while_people_are_about() {
        let empty = [gateway("a", 0), Gateway { said: Some((0, false)), ..marked("b", 0, 1) }];
        assert_eq!(planned(1, 2, &empty).replicas, 2);
        let deserted = Rules { deserted: true, ..DRAIN };
        assert_eq!(plan((1, Some(2)), Successors::Here, &empty, deserted, NOW).replicas, 1);
    }

    #[test]
    fn pods_that_do_not_exist_yet_are_the_first_that_are_not_made() {
        assert_eq!(planned(2, 5, &[gateway("a", 3), gateway("b", 4)]), Plan { replicas: 2, ..Plan::default() });
        let three = planned(1, 4, &[gateway("a", 3), gateway("b", 4), gateway("c", 5)]);
        assert_eq!((three.replicas, three.mark), (3, vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn a_gateway_that_is_to_be_replaced_gets_a_successor_first() {
        let wanted = Gateway { requested: true, ..gateway("a", 90) };
        let both = [wanted.clone(), gateway("b", 10)];
        assert_eq!(planned(2, 2, &both), Plan { replicas: 3, ..Plan::default() }, "nobody is moved yet");
        let starting = Gateway { ready: false, said: None, ..gateway("c", 0) };
        let three = [wanted.clone(), gateway("b", 10), starting];
        assert_eq!(planned(2, 3, &three), Plan { replicas: 3, ..Plan::default() });
        let three = [wanted, gateway("b", 10), gateway("c", 0)];
        assert_eq!(planned(2, 3, &three), Plan { replicas: 3, mark: vec!["a".into()], ..Plan::default() });
        let empty = [Gateway { requested: true, ..marked("a", 0, 30) }, gateway("b", 60), gateway("c", 40)];
        assert_eq!(planned(2, 3, &empty), Plan { replicas: 2, done: vec!["a".into()], ..Plan::default() });
        let taken_back = [marked("a", 40, 30), gateway("b", 40), gateway("c", 20)];
        assert_eq!(planned(2, 3, &taken_back).replicas, 3, "it is the one too many all the same");
        assert_eq!(planned(1, 2, &both).mark, ["a"], "of two, the one that is to go anyway");
    }

    #[test]
    fn a_deadline_counts_only_where_the_policy_has_one() {
        let late = [gateway("a", 30), marked("b", 4, 700)];
        for (policy, replicas) in
            [(ScaleDownPolicy::WhenEmpty, 2), (ScaleDownPolicy::Drain, 2), (ScaleDownPolicy::Deadline, 1)]
        {
            assert_eq!(
                plan((1, Some(2)), Successors::Here, &late, Rules { policy, ..DRAIN }, NOW).replicas,
                replicas,
                "{policy:?}"
            );
        }
        let soon = [gateway("a", 30), marked("b", 4, 500)];
        let deadline = Rules { policy: ScaleDownPolicy::Deadline, ..DRAIN };
        assert_eq!(plan((1, Some(2)), Successors::Here, &soon, deadline, NOW).replicas, 2);
        let deaf = |seconds| [gateway("a", 30), Gateway { said: Some((4, false)), ..marked("b", 4, seconds) }];
        assert_eq!((planned(1, 2, &deaf(50)).replicas, planned(1, 2, &deaf(70)).replicas), (2, 1), "an older version");
        let silent = Gateway { said: None, ..marked("b", 0, 5) };
        assert_eq!(planned(1, 2, &[gateway("a", 30), silent.clone()]).replicas, 2, "who knows who is still there");
        let deaf = Gateway { deaf: true, ..silent.clone() };
        assert_eq!(planned(1, 2, &[gateway("a", 30), deaf.clone()]).replicas, 1, "it asks its clients when it ends");
        let patient = Rules { policy: ScaleDownPolicy::WhenEmpty, ..DRAIN };
        assert_eq!(plan((1, Some(2)), Successors::Here, &[gateway("a", 30), deaf], patient, NOW).replicas, 2);
        let dead = Gateway { running: false, ..silent };
        assert_eq!(planned(1, 2, &[gateway("a", 30), dead]).replicas, 1);
    }
}
