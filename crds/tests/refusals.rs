//! The table of refusals itself; the API server is asked in the end-to-end tests.
#![cfg(feature = "testing")]

use chat_crds::{
    ChatCluster, ShardRebalance,
    testing::{Attempt, grounds, patched, refusals},
};

#[test]
fn the_grounds_of_the_table_have_no_unknown_fields() {
    for ground in grounds() {
        let typed = if ground["kind"] == "ShardRebalance" {
            serde_json::to_value(serde_json::from_value::<ShardRebalance>(ground.clone()).unwrap())
        } else {
            serde_json::to_value(serde_json::from_value::<ChatCluster>(ground.clone()).unwrap())
        };
        assert_eq!(typed.unwrap()["spec"], ground["spec"]);
    }
}

#[test]
fn the_table_covers_creates_and_changes_and_names_each_once() {
    let all = refusals();
    assert!(all.len() >= 40, "only {}", all.len());
    assert!(all.iter().filter(|refusal| refusal.kind == Attempt::Update).count() >= 8);
    let mut names: Vec<&str> = all.iter().map(|refusal| refusal.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
    for refusal in &all {
        assert_ne!(patched(refusal), (refusal.ground)(), "{} changes nothing", refusal.name);
    }
}
