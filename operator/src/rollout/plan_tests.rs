//! Rollouts as a whole: plans carried out in a world where gateways start and clients move as they are told.

use std::time::Duration;

use super::*;
use crate::drain::testing::gateway;

const NOW: Timestamp = Timestamp::constant(10_000, 0);

fn rules() -> Rules {
    Rules {
        waves: vec![5, 25, 50, 100],
        rollback: true,
        paused: false,
        drain: drain::Rules { policy: ScaleDownPolicy::Drain, deadline: Duration::from_secs(600), deserted: false },
    }
}

fn revision(name: &str, gateways: Vec<Gateway>) -> Revision {
    Revision {
        name: name.to_owned(),
        desired: i32::try_from(gateways.len()).ok(),
        rolled_out: None,
        wave: 0,
        failed: None,
        broken: None,
        gateways,
    }
}

fn old(count: usize, each: i64) -> Revision {
    let gateways = (0..count).map(|nth| gateway(&format!("old-{nth}"), each)).collect();
    Revision { rolled_out: Some(Timestamp::UNIX_EPOCH), ..revision("old", gateways) }
}

fn new(count: usize, each: i64) -> Revision {
    revision("new", (0..count).map(|nth| gateway(&format!("new-{nth}"), each)).collect())
}

fn absent() -> Revision {
    Revision { desired: None, ..revision("new", Vec::new()) }
}

fn planned(wanted: Revision, others: Vec<Revision>, replicas: i32, finding: Finding) -> Plan {
    let connections = others.iter().chain([&wanted]).flat_map(|revision| &revision.gateways);
    let connections = connections.filter_map(|gateway| gateway.said).map(|(connections, _)| connections).sum();
    plan(&Situation { wanted, others, replicas, connections: Some(connections), finding }, &rules(), NOW)
}

fn failed() -> Failure {
    Failure { reason: "SignInsRefused".to_owned(), message: "all of them".to_owned() }
}

#[test]
fn a_canary_comes_first_and_nobody_goes_for_it() {
    let first = planned(absent(), vec![old(4, 100)], 4, Finding::Waiting);
    assert_eq!((first.wanted, first.others["old"], first.course), (1, 4, None), "it has to start first");
    let canary = planned(new(1, 0), vec![old(4, 100)], 4, Finding::Waiting);
    assert_eq!((canary.wanted, canary.others["old"]), (1, 4));
    let course = canary.course.unwrap();
    assert_eq!((course.percent, course.canary, course.to), (5, true, vec!["new-0".to_owned()]));
    assert_eq!((canary.mark.len(), canary.note), (0, None));
    let passed = planned(new(1, 20), vec![old(4, 95)], 4, Finding::Passed);
    assert_eq!(passed.note, Some(Note::Wave(1)));
}

#[test]
fn each_wave_empties_as_many_old_ones_as_there_are_new_ones() {
    let wave = |wave, wanted: Revision| Revision { wave, ..wanted };
    let quarter = planned(wave(1, new(1, 20)), vec![old(4, 95)], 4, Finding::Waiting);
    assert_eq!((quarter.wanted, quarter.mark.len()), (1, 1));
    assert!(!quarter.course.unwrap().canary);
    let half = planned(wave(2, new(1, 100)), vec![old(3, 100)], 4, Finding::Waiting);
    assert_eq!((half.wanted, half.mark.len()), (2, 0), "the second has to start before another goes");
    let started = planned(wave(2, new(2, 60)), vec![old(3, 100)], 4, Finding::Waiting);
    assert_eq!((started.wanted, started.mark.len()), (2, 1));
    let last = planned(wave(3, new(4, 100)), vec![old(1, 0)], 4, Finding::Waiting);
    assert_eq!((last.wanted, last.mark.len()), (4, 1));
}

#[test]
fn with_nobody_connected_there_are_no_waves() {
    let first = planned(absent(), vec![old(2, 0)], 2, Finding::Waiting);
    assert_eq!((first.wanted, first.others["old"]), (1, 2));
    let mut two = old(2, 0);
    for gateway in &mut two.gateways {
        gateway.marked = Some(NOW);
    }
    let done = planned(new(1, 0), vec![two], 2, Finding::Waiting);
    assert_eq!((done.wanted, done.others["old"], done.done.len()), (1, 1, 1), "at once, cordoned or not");
    let complete = planned(new(2, 0), vec![Revision { desired: Some(0), ..old(0, 0) }], 2, Finding::Waiting);
    assert_eq!((complete.wanted, complete.others.len(), complete.note), (2, 0, Some(Note::RolledOut)));
}

#[test]
fn a_revision_that_fails_gives_everybody_back_and_is_not_tried_again() {
    let fails = planned(new(1, 20), vec![old(4, 95)], 4, Finding::Failed(failed()));
    assert_eq!(fails.note, Some(Note::Failed(failed())));
    let course = fails.course.clone().unwrap();
    assert!(course.back && course.to.contains(&"old-0".to_owned()) && course.percent == 100);
    assert_eq!((fails.wanted, fails.others["old"], fails.mark), (1, 4, vec!["new-0".to_owned()]));
    let noted = |wanted: Revision| Revision { failed: Some(failed()), ..wanted };
    let mut emptied = noted(new(1, 0));
    emptied.gateways[0].marked = Some(NOW);
    emptied.gateways[0].said = Some((0, true));
    let gone = planned(emptied, vec![old(4, 100)], 4, Finding::Waiting);
    assert_eq!((gone.wanted, gone.note, gone.done), (0, None, vec!["new-0".to_owned()]));
    let over = planned(noted(Revision { desired: Some(0), ..new(0, 0) }), vec![old(4, 100)], 4, Finding::Waiting);
    assert_eq!((over.wanted, over.others["old"], over.course), (0, 4, None));
    let scaled = planned(noted(Revision { desired: Some(0), ..new(0, 0) }), vec![old(4, 100)], 3, Finding::Waiting);
    assert_eq!((scaled.others["old"], scaled.mark.len()), (4, 1), "the number of gateways is still the spec's");
}

#[test]
fn a_failure_late_in_a_rollout_starts_the_old_ones_again_before_the_new_ones_go() {
    let late = Revision { wave: 2, ..new(3, 100) };
    let fails = planned(late, vec![old(1, 100)], 4, Finding::Failed(failed()));
    assert_eq!((fails.others["old"], fails.wanted, fails.mark.len()), (2, 3, 0));
    let back = Revision { wave: 2, failed: Some(failed()), ..new(3, 100) };
    assert_eq!(planned(back, vec![old(2, 50)], 4, Finding::Waiting).mark.len(), 1);
}

#[test]
fn a_first_rollout_that_fails_has_nothing_to_go_back_to() {
    let broken = Revision { broken: Some(failed()), ..new(2, 0) };
    let alone = planned(broken, Vec::new(), 2, Finding::Waiting);
    assert_eq!((alone.wanted, alone.course), (2, None));
    let never_worked = Revision {
        rolled_out: None,
        ..revision("old", vec![Gateway { ready: false, said: None, ..gateway("old-0", 0) }])
    };
    let corrected = planned(absent(), vec![never_worked], 2, Finding::Waiting);
    assert_eq!(corrected.note, None);
    assert!(corrected.wanted >= 1, "{corrected:?}");
}

#[test]
fn an_operator_that_has_just_started_asks_first() {
    let closed = |gateway: &mut Gateway| (gateway.ready, gateway.said) = (false, None);
    let mut before = old(4, 0);
    before.gateways.iter_mut().for_each(closed);
    let wanted = Revision { wave: 1, ..new(1, 0) };
    let situation =
        Situation { wanted, others: vec![before], replicas: 4, connections: None, finding: Finding::Waiting };
    let now = plan(&situation, &rules(), NOW);
    assert_eq!((now.wanted, now.others["old"], &now.course), (1, 4, &None));
    assert!(now.mark.is_empty() && now.unmark.is_empty() && now.done.is_empty(), "{now:?}");
}

#[test]
fn paused_and_manual_stay_where_they_are() {
    let situation = |finding| Situation {
        wanted: Revision { wave: 1, ..new(1, 20) },
        others: vec![old(4, 95)],
        replicas: 4,
        connections: Some(400),
        finding,
    };
    let paused = plan(&situation(Finding::Passed), &Rules { paused: true, ..rules() }, NOW);
    assert_eq!((paused.wanted, paused.others["old"], paused.course, paused.note), (1, 4, None, None));
    let manual = plan(&situation(Finding::Failed(failed())), &Rules { rollback: false, ..rules() }, NOW);
    assert_eq!((manual.wanted, manual.others["old"], manual.course), (1, 4, None));
    assert_eq!(manual.note, Some(Note::Failed(failed())));
    let grown =
        plan(&Situation { replicas: 7, ..situation(Finding::Waiting) }, &Rules { paused: true, ..rules() }, NOW);
    assert_eq!((grown.wanted, grown.others["old"]), (1, 6), "more are made of what is proven");
}

/// Whatever the number of gateways: never fewer than wanted serve, never more than a quarter too many exist, and it ends.
#[test]
fn a_rollout_ends_and_never_has_too_few_or_too_many() {
    for replicas in [1_i32, 2, 3, 4, 7, 20] {
        let count = usize::try_from(replicas).unwrap();
        let (mut wanted, mut before) = (absent(), old(count, 1_000));
        let total = i64::from(replicas) * 1_000;
        let mut rounds = 0;
        while before.desired != Some(0) || wanted.rolled_out.is_none() {
            rounds += 1;
            assert!(rounds < 400, "{replicas}: {wanted:?} {before:?}");
            let now = planned(wanted.clone(), vec![before.clone()], replicas, Finding::Passed);
            match now.note {
                Some(Note::Wave(wave)) => wanted.wave = wave,
                Some(Note::RolledOut) => wanted.rolled_out = Some(NOW),
                Some(Note::Failed(_)) => panic!("nothing failed"),
                None => {}
            }
            for gateway in &mut before.gateways {
                if now.mark.contains(&gateway.pod) {
                    gateway.marked = Some(NOW);
                }
            }
            // Who is being emptied is empty with the next round; a wave's share moves at once.
            let keep = usize::try_from(now.others.get("old").copied().unwrap_or_default()).unwrap();
            before.gateways.retain(|gateway| !now.done.contains(&gateway.pod));
            assert_eq!(before.gateways.len(), keep, "only those that are done go");
            before.desired = Some(now.others.get("old").copied().unwrap_or_default());
            wanted.desired = Some(now.wanted);
            wanted.gateways = new(usize::try_from(now.wanted).unwrap(), 0).gateways;
            let staying = before.gateways.iter().filter(|gateway| gateway.marked.is_none()).count();
            let serving = i32::try_from(staying).unwrap() + wanted.serving();
            let all = i32::try_from(before.gateways.len()).unwrap() + now.wanted;
            assert!(serving >= replicas, "{replicas}: {serving} serve");
            assert!(all <= replicas + (replicas + 3) / 4, "{replicas}: {all} exist");
            for gateway in &mut before.gateways {
                let connections = if gateway.marked.is_some() { 0 } else { total / i64::from(all.max(1)) };
                gateway.said = Some((connections, gateway.marked.is_some()));
            }
            let first = wanted.gateways.first_mut();
            if let Some(first) = first {
                first.said = Some((total / 2, false));
            }
        }
    }
}
