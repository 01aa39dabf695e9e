//! The whole course of a plan, pass by pass, against shards that exist as tables of slots only.

use std::collections::{BTreeMap, BTreeSet};

use chat_crds::{
    ChatClusterSpec, ShardRebalance,
    chat_cluster::ShardRebalancingMode as Mode,
    shard_rebalance::{MoveRequest, RebalanceState as State},
};
use chat_gateway_config::{
    SlotList,
    slots::{MovedSlot, OwnedSlots, ShardSlots, SlotsAnswer, Transit},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::*;
use crate::names::label;

const SLOTS: u32 = 12;
const START: i64 = 1_800_000_000;

/// Slots at shards, and what a pass over them comes to.
struct Table {
    owners: BTreeMap<u32, (String, u64)>,
    transit: BTreeMap<u32, (String, &'static str)>,
    moved: Vec<(String, MovedSlot)>,
    silent: BTreeSet<String>,
    shards: BTreeSet<String>,
    spec: ChatClusterSpec,
    mode: Mode,
    is_open: bool,
    joining: BTreeMap<String, String>,
    away: BTreeSet<String>,
    objects: Vec<ShardRebalance>,
    jobs: BTreeMap<Wanted, MoverJob>,
    orphans: BTreeSet<u32>,
    movers: BTreeSet<String>,
    seconds: i64,
    /// Whether a plan may be made.
    looks: bool,
    /// What the last look told.
    told: Option<i32>,
}

fn spec(shards: &serde_json::Value) -> ChatClusterSpec {
    serde_json::from_value(json!({
        "broker": { "rabbitmq": { "managed": {} } }, "redis": { "managed": {} },
        "database": { "slots": SLOTS, "shards": shards }
    }))
    .unwrap()
}

fn shards(names: &[&str]) -> serde_json::Value {
    names.iter().map(|name| json!({ "name": name, "urlSecretRef": { "name": name } })).collect()
}

impl Table {
    /// All slots spread over `names` as a migration does, and a spec of `wanted`.
    fn new(names: &[&str], wanted: &[&str]) -> Self {
        let owner = |slot: u32| names[slot as usize * names.len() / SLOTS as usize].to_owned();
        Self {
            owners: (0..SLOTS).map(|slot| (slot, (owner(slot), 1))).collect(),
            transit: BTreeMap::new(),
            moved: Vec::new(),
            silent: BTreeSet::new(),
            shards: names.iter().chain(wanted).map(|name| (*name).to_owned()).collect(),
            spec: spec(&shards(wanted)),
            mode: Mode::Automatic,
            is_open: true,
            joining: BTreeMap::new(),
            away: BTreeSet::new(),
            objects: Vec::new(),
            jobs: BTreeMap::new(),
            orphans: BTreeSet::new(),
            movers: BTreeSet::new(),
            seconds: 0,
            looks: true,
            told: None,
        }
    }

    fn census(&self) -> Census {
        let shards = self.shards.iter().map(|name| {
            if self.silent.contains(name) {
                return ShardSlots { name: name.clone(), error: Some("no answer".into()), ..ShardSlots::default() };
            }
            let owned = self.owners.iter().filter(|(_, (owner, _))| owner == name);
            let transit = |slot: &u32, peer: &str, state: &str| Transit {
                slot: *slot,
                state: state.to_owned(),
                peer: peer.to_owned(),
                move_id: String::new(),
                rows: 0,
                bytes: 0,
                backlog: 0,
            };
            let leaving = self.transit.iter().filter(|(slot, _)| self.owners.get(slot).is_some_and(|(o, _)| o == name));
            let moved = self.moved.iter().filter(|(at, _)| at == name).map(|(_, moved)| moved.clone());
            ShardSlots {
                name: name.clone(),
                owned: owned
                    .map(|(slot, (_, epoch))| OwnedSlots { first: *slot, last: *slot, epoch: *epoch })
                    .collect(),
                leaving: leaving.map(|(slot, (to, state))| transit(slot, to, state)).collect(),
                moved: moved.collect(),
                ..ShardSlots::default()
            }
        });
        Census::of(&SlotsAnswer { slots: SLOTS, shards: shards.collect() })
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(START + self.seconds).unwrap()
    }

    /// One pass: what it came to, with the statuses written and objects made and dropped.
    fn pass(&mut self) -> Course {
        self.seconds += 5;
        let (wish, census, measures) =
            (Wish::of(&self.spec), self.census(), Measures { concurrent: 4, ..Measures::default() });
        let jobs = self.jobs.clone();
        let job = move |wanted: &Wanted| jobs.get(wanted).cloned();
        let course = course(&Scene {
            now: self.now(),
            wish: &wish,
            census: Some(&census),
            measures: &measures,
            mode: self.mode,
            is_open: self.is_open,
            joining: &self.joining,
            away: &self.away,
            objects: &self.objects,
            job: &job,
            orphans: &self.orphans,
            movers: &self.movers,
            is_tidying: false,
            is_counted: true,
            would_move: self.told,
            looks: self.looks,
            history: 2,
            keeps: SignedDuration::from_hours(1),
        });
        for object in &mut self.objects {
            let name = object.metadata.name.clone().unwrap();
            if let Some(standing) = course.standings.get(&name) {
                object.status = Some(standing.status(object, Timestamp::from_second(START + self.seconds).unwrap()));
            }
        }
        self.objects.retain(|object| !course.drops.contains(object.metadata.name.as_ref().unwrap()));
        if course.creates {
            self.add(&format!("own-{}", self.seconds), &json!({}));
            let made = self.objects.last_mut().unwrap();
            made.metadata.labels = Some([(label::MANAGED_BY.to_owned(), "chat-operator".to_owned())].into());
        }
        // Jobs that are not wanted any more are deleted; those that are wanted run.
        self.jobs.retain(|wanted, _| course.movers.contains(wanted));
        for wanted in &course.movers {
            self.jobs.entry(wanted.clone()).or_insert(MoverJob::Running);
        }
        course
    }

    fn add(&mut self, name: &str, spec: &serde_json::Value) {
        let mut all = json!({ "clusterRef": { "name": "demo" } });
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let mut object = ShardRebalance::new(name, serde_json::from_value(all).unwrap());
        object.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.now()));
        self.objects.push(object);
    }

    fn hand_over(&mut self, slot: u32, to: &str) {
        let (from, epoch) = self.owners[&slot].clone();
        self.transit.remove(&slot);
        self.owners.insert(slot, (to.to_owned(), epoch + 1));
        let at_ms = self.now().as_millisecond();
        self.moved.push((
            to.to_owned(),
            MovedSlot {
                slot,
                from,
                move_id: String::new(),
                rows: 10,
                bytes: 100,
                pause_ms: Some(20),
                at_ms,
                cleaned: false,
            },
        ));
    }

    /// Lets every mover that runs do all of its work.
    fn work(&mut self) {
        for wanted in self.jobs.keys().cloned().collect::<Vec<_>>() {
            for slot in wanted.slots.parse::<SlotList>().unwrap().iter() {
                let slot = u32::try_from(slot).unwrap();
                match wanted.task {
                    Task::Move if self.owners[&slot].0 == wanted.from => self.hand_over(slot, &wanted.to),
                    Task::Abort => drop(self.transit.remove(&slot)),
                    Task::Move | Task::Clean => {}
                }
            }
            self.jobs.insert(wanted, MoverJob::Done);
        }
    }

    fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for (owner, _) in self.owners.values() {
            *counts.entry(owner.as_str()).or_default() += 1;
        }
        counts
    }

    fn state(&self, nth: usize) -> State {
        State::of(self.objects[nth].status.as_ref())
    }

    fn spec_of(&mut self, nth: usize) -> &mut chat_crds::ShardRebalanceSpec {
        &mut self.objects[nth].spec
    }

    /// Passes until nothing changes any more.
    fn settle(&mut self) {
        for _ in 0..20 {
            self.pass();
            self.work();
        }
    }
}

#[test]
fn new_shards_get_their_shares_and_then_it_rests() {
    let mut table = Table::new(&["a", "b"], &["a", "b", "c", "d"]);
    assert_eq!(table.pass().unbalanced.unwrap().0, "Rebalancing");
    let course = table.pass();
    assert_eq!(table.state(0), State::Running);
    assert!(course.is_busy);
    assert_eq!(course.movers.len(), 2, "each shard gives to one and takes from one at a time: {:?}", course.movers);
    table.settle();
    assert_eq!(table.counts(), BTreeMap::from([("a", 3), ("b", 3), ("c", 3), ("d", 3)]));
    assert_eq!(table.state(0), State::Completed);
    let status = table.objects[0].status.clone().unwrap();
    assert_eq!(status.progress.unwrap().slots_moved, 6);
    assert_eq!(status.pauses.unwrap().p99_ms, 20);
    let course = table.pass();
    assert_eq!((course.unbalanced, course.creates, course.is_busy, table.objects.len()), (None, false, false, 1));
}

#[test]
fn a_shard_taken_out_is_emptied_and_nothing_else_moves() {
    let mut table = Table::new(&["a", "b", "c"], &["a", "b"]);
    table.settle();
    assert_eq!(table.counts(), BTreeMap::from([("a", 6), ("b", 6)]));
    assert_eq!(table.objects[0].status.as_ref().unwrap().plan.as_ref().unwrap().slots, 4);
    assert!(table.census().is_empty("c"));
}

#[test]
fn weights_and_rooms_of_their_own() {
    let mut table = Table::new(&["a", "b"], &["a", "b"]);
    table.spec = spec(&json!([
        { "name": "a", "weight": 200, "urlSecretRef": { "name": "a" } },
        { "name": "b", "weight": 0, "urlSecretRef": { "name": "b" } },
        { "name": "c", "urlSecretRef": { "name": "c" } },
        { "name": "vip", "rooms": ["01929d3c-7f00-7000-8000-00000000002a"], "urlSecretRef": { "name": "vip" } }
    ]));
    table.shards.extend(["c".to_owned(), "vip".to_owned()]);
    table.settle();
    let counts = table.counts();
    assert_eq!((counts.get("b"), counts["vip"]), (None, 1));
    assert!(counts["a"] >= 7 && counts["c"] >= 3, "{counts:?}");
    let contested = spec(&json!([
        { "name": "a", "rooms": ["01929d3c-7f00-7000-8000-00000000002a"], "urlSecretRef": { "name": "a" } },
        { "name": "b", "rooms": ["01929d3c-7f00-7000-8000-00000000002a"], "urlSecretRef": { "name": "b" } }
    ]));
    assert_eq!(Wish::contested(&contested).unwrap().1, "a");
    assert_eq!(Wish::contested(&table.spec), None);
}

#[test]
fn approval_names_the_plan_and_an_old_hash_approves_nothing() {
    let mut table = Table::new(&["a"], &["a", "b"]);
    table.mode = Mode::Approve;
    table.pass();
    let told = table.pass();
    assert_eq!((table.state(0), told.unbalanced.unwrap().0), (State::WaitingForApproval, "ApprovalNeeded"));
    table.spec_of(0).approved_plan = Some("000000000000".to_owned());
    let course = table.pass();
    assert!(course.movers.is_empty());
    let text = &table.objects[0].status.as_ref().unwrap().conditions[0].message;
    assert!(text.contains("spec.approvedPlan names 000000000000"), "{text}");
    let hash = table.objects[0].status.as_ref().unwrap().plan.as_ref().unwrap().hash.clone();
    table.spec_of(0).approved_plan = Some(hash);
    table.settle();
    assert_eq!(table.state(0), State::Completed);
}

#[test]
fn a_plan_whose_slots_have_gone_elsewhere_is_made_anew_and_needs_a_new_approval() {
    let mut table = Table::new(&["a", "b"], &["a", "b", "c"]);
    table.mode = Mode::Approve;
    table.pass();
    table.pass();
    let plan = |table: &Table| table.objects[0].status.as_ref().unwrap().plan.clone().unwrap();
    let before = plan(&table);
    table.spec_of(0).approved_plan = Some(before.hash.clone());
    let slot = before.moves[0].slots.parse::<SlotList>().unwrap().iter().next().unwrap();
    table.hand_over(u32::try_from(slot).unwrap(), "c");
    table.pass();
    assert_ne!(plan(&table).hash, before.hash);
    assert_eq!(table.state(0), State::WaitingForApproval);
}

#[test]
fn nothing_is_planned_while_off_but_by_hand_it_may_be() {
    let mut table = Table::new(&["a"], &["a", "b"]);
    table.mode = Mode::Off;
    let course = table.pass();
    assert_eq!((course.would_move, course.creates), (Some(6), false));
    table.add("mine", &json!({ "moves": [{ "slots": "0-1", "to": "b" }] }));
    table.pass();
    let hash = table.objects[0].status.as_ref().unwrap().plan.as_ref().unwrap().hash.clone();
    table.spec_of(0).approved_plan = Some(hash);
    table.settle();
    assert_eq!((table.state(0), table.counts()["b"]), (State::Completed, 2));
}

#[test]
fn requests_that_cannot_be_met_say_why() {
    for (moves, text) in [
        (json!([{ "slots": "0", "to": "z" }]), "there is no shard z; name one of a, b"),
        (json!([{ "slots": "12", "to": "b" }]), "there is no slot 12; the last one is 11"),
        (json!([{ "slots": "1", "to": "b" }, { "slots": "1", "to": "a" }]), "name it once"),
    ] {
        let mut table = Table::new(&["a", "b"], &["a", "b"]);
        table.add("mine", &json!({ "moves": moves }));
        table.pass();
        assert_eq!(table.state(0), State::Failed);
        let message = table.objects[0].status.as_ref().unwrap().conditions[0].message.clone();
        assert!(message.starts_with("spec.moves: ") && message.contains(text), "{message}");
    }
    let request = MoveRequest { slots: "0-5".into(), to: "a".into() };
    let table = Table::new(&["a", "b"], &["a", "b"]);
    let wish = Wish::of(&table.spec);
    let plan = propose(&wish, &table.census(), &Measures::default(), Some(&[request])).unwrap();
    assert_eq!(plan.slots, 0, "they are there already");
}

#[test]
fn paused_stops_the_movers_and_going_on_moves_the_rest() {
    let mut table = Table::new(&["a"], &["a", "b"]);
    table.pass();
    table.pass();
    let first = table.jobs.keys().next().unwrap().slots.parse::<SlotList>().unwrap().iter().next().unwrap();
    table.hand_over(u32::try_from(first).unwrap(), "b");
    table.spec_of(0).paused = Some(true);
    let course = table.pass();
    assert_eq!((table.state(0), course.movers.len()), (State::Paused, 0));
    table.spec_of(0).paused = None;
    table.settle();
    assert_eq!((table.state(0), table.counts()["b"]), (State::Completed, 6));
}

#[test]
fn an_abort_brings_slots_under_way_back_and_nothing_is_planned_again_for_the_same_shards() {
    let mut table = Table::new(&["a"], &["a", "b"]);
    table.pass();
    table.pass();
    let first = table.jobs.keys().next().unwrap().slots.parse::<SlotList>().unwrap().iter().next().unwrap();
    table.transit.insert(u32::try_from(first).unwrap(), ("b".to_owned(), "migrating"));
    table.spec_of(0).abort = Some(true);
    table.movers.insert(table.objects[0].metadata.name.clone().unwrap());
    let course = table.pass();
    assert_eq!(table.state(0), State::Aborting);
    assert_eq!(course.movers.iter().map(|wanted| wanted.task).collect::<Vec<_>>(), [Task::Abort]);
    table.work();
    table.pass();
    assert_eq!(table.state(0), State::Aborting, "a pod of a mover is still there, which might begin another slot");
    table.movers.clear();
    table.pass();
    assert_eq!((table.state(0), table.counts()["a"]), (State::Aborted, 12));
    let course = table.pass();
    assert_eq!((course.creates, course.unbalanced.unwrap().0), (false, "RebalanceAborted"));
    table.looks = false;
    table.told = Some(3);
    assert_eq!(
        table.pass().unbalanced.unwrap().0,
        "RebalanceAborted",
        "the last look found some that would have to move"
    );
    table.told = Some(0);
    assert_eq!(table.pass().unbalanced, None, "somebody has put it right since");
    table.looks = true;
    table.spec = spec(&shards(&["a", "b", "c"]));
    table.shards.insert("c".to_owned());
    assert!(table.pass().creates, "other shards are another wish");
}

#[test]
fn shards_that_change_under_a_plan_make_another_one_take_its_place() {
    let mut table = Table::new(&["a", "b"], &["a", "b", "c", "d"]);
    table.pass();
    table.pass();
    table.hand_over(0, "c");
    table.spec = spec(&shards(&["a", "b", "c"]));
    table.settle();
    assert_eq!(table.state(0), State::Superseded);
    assert_eq!(table.state(1), State::Completed);
    assert_eq!(table.counts(), BTreeMap::from([("a", 4), ("b", 4), ("c", 4)]));
}

#[test]
fn a_mover_that_gives_up_fails_the_plan_and_another_one_is_made_later() {
    let mut table = Table::new(&["a"], &["a", "b"]);
    table.pass();
    table.pass();
    let wanted = table.jobs.keys().next().unwrap().clone();
    table.jobs.insert(wanted, MoverJob::Failed("the disk is full".into()));
    table.pass();
    table.pass();
    assert_eq!(table.state(0), State::Failed);
    let course = table.pass();
    assert_eq!((course.creates, course.unbalanced.clone().unwrap().0), (false, "RebalanceFailed"));
    assert!(course.unbalanced.unwrap().1.contains("the disk is full"));
    table.seconds += 700;
    assert!(table.pass().creates);
}

#[test]
fn a_shard_that_is_away_blocks_only_the_moves_that_need_it() {
    let mut table = Table::new(&["a", "b"], &["a", "b", "c", "d"]);
    table.pass();
    table.pass();
    table.jobs.clear();
    table.away.insert("d".to_owned());
    table.silent.insert("d".to_owned());
    let course = table.pass();
    let destinations: BTreeSet<&str> = course.movers.iter().map(|wanted| wanted.to.as_str()).collect();
    assert_eq!(destinations, BTreeSet::from(["c"]));
    let status = table.objects[0].status.clone().unwrap();
    assert_eq!(status.progress.unwrap().waiting_for, ["d"]);
    table.away.clear();
    table.silent.clear();
    table.settle();
    assert_eq!(table.state(0), State::Completed);
}

#[test]
fn one_is_at_work_at_a_time_and_those_that_wait_for_approval_block_nobody() {
    let mut table = Table::new(&["a", "b"], &["a", "b"]);
    table.mode = Mode::Approve;
    table.add("first", &json!({ "moves": [{ "slots": "0", "to": "b" }] }));
    table.pass();
    table.add("second", &json!({ "moves": [{ "slots": "1", "to": "b" }] }));
    table.pass();
    let hash = table.objects[1].status.as_ref().unwrap().plan.as_ref().unwrap().hash.clone();
    table.spec_of(1).approved_plan = Some(hash);
    table.pass();
    assert_eq!((table.state(0), table.state(1)), (State::WaitingForApproval, State::Running));
    let hash = table.objects[0].status.as_ref().unwrap().plan.as_ref().unwrap().hash.clone();
    table.spec_of(0).approved_plan = Some(hash);
    table.pass();
    assert_eq!((table.state(0), table.state(1)), (State::Queued, State::Running));
    table.settle();
    assert_eq!((table.state(0), table.state(1)), (State::Completed, State::Completed));
}

#[test]
fn moves_of_one_that_was_deleted_are_undone() {
    let mut table = Table::new(&["a"], &["a", "b"]);
    table.pass();
    table.pass();
    table.transit.insert(11, ("b".to_owned(), "fenced"));
    table.objects.clear();
    assert!(table.pass().movers.is_empty(), "somebody may be moving it by hand");
    table.orphans.insert(11);
    let course = table.pass();
    assert_eq!(
        course.movers.iter().map(|wanted| (wanted.task, wanted.slots.as_str())).collect::<Vec<_>>(),
        [(Task::Abort, "11")]
    );
    table.work();
    table.settle();
    assert_eq!(table.counts(), BTreeMap::from([("a", 6), ("b", 6)]));
}

#[test]
fn a_plan_goes_on_where_it_was_when_its_chat_cluster_comes_back() {
    let mut table = Table::new(&["a"], &["a", "b"]);
    table.pass();
    table.pass();
    table.hand_over(11, "b");
    let hash = |table: &Table| table.objects[0].status.as_ref().unwrap().plan.as_ref().unwrap().hash.clone();
    let before = hash(&table);
    for how in [Standing::without_cluster, Standing::without_shards] {
        let standing = how(&table.objects[0]);
        let status = standing.status(&table.objects[0], table.now());
        table.objects[0].status = Some(status);
        assert_eq!(table.state(0), standing.state);
        assert!(!table.state(0).is_over());
        let told = Standing::of_new_cluster(&table.objects[0]).map(|standing| standing.state);
        let is_told = standing.state == State::ClusterNotFound;
        assert_eq!(told, is_told.then_some(State::Planning));
        table.pass();
        assert_eq!((table.state(0), hash(&table)), (State::Running, before.clone()));
    }
    table.settle();
    assert_eq!((table.state(0), table.counts()["b"]), (State::Completed, 6));
}

#[test]
fn windows_hold_and_shards_that_join_are_waited_for() {
    let mut table = Table::new(&["a"], &["a", "b"]);
    table.joining.insert("b".to_owned(), "its pod starts".to_owned());
    let course = table.pass();
    assert_eq!((course.creates, course.unbalanced.unwrap().0), (false, "ShardsJoining"));
    table.joining.clear();
    table.is_open = false;
    table.pass();
    let course = table.pass();
    assert_eq!((table.state(0), course.movers.len()), (State::WaitingForWindow, 0));
    table.is_open = true;
    table.settle();
    assert_eq!(table.state(0), State::Completed);
}

#[test]
fn what_moved_is_cleaned_up_after_its_time_and_history_is_bounded() {
    let mut table = Table::new(&["a"], &["a", "b"]);
    table.settle();
    assert!(table.pass().movers.is_empty(), "an hour has not passed");
    table.seconds += 4_000;
    let course = table.pass();
    assert_eq!(
        course.movers.iter().map(|wanted| (wanted.task, wanted.slots.len() > 2)).collect::<Vec<_>>(),
        [(Task::Clean, true)]
    );
    for (_, moved) in &mut table.moved {
        moved.cleaned = true;
    }
    assert!(table.pass().movers.is_empty());
    for names in [&["a"][..], &["a", "b"], &["a"], &["a", "b"]] {
        table.spec = spec(&shards(names));
        table.settle();
    }
    assert!(table.objects.len() <= 3, "{}", table.objects.len());
}

#[test]
fn the_same_question_has_the_same_hash_and_another_epoch_has_not() {
    let mut table = Table::new(&["a"], &["a", "b"]);
    let wish = Wish::of(&table.spec);
    let plan = |table: &Table| propose(&wish, &table.census(), &Measures::default(), None).unwrap();
    assert_eq!(plan(&table), plan(&table));
    let before = plan(&table).hash;
    for owner in table.owners.values_mut() {
        owner.1 += 2;
    }
    assert_ne!(plan(&table).hash, before);
}
