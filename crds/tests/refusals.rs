//! The table of refusals itself; the API server is asked in the end-to-end tests.
#![cfg(feature = "testing")]

use chat_crds::{
    ChatCluster,
    testing::{Attempt, grounds, patched, refusals},
};

#[test]
fn the_grounds_of_the_table_are_chat_clusters() {
    for ground in grounds() {
        let typed: ChatCluster = serde_json::from_value(ground.clone()).unwrap();
        assert_eq!(serde_json::to_value(&typed).unwrap()["spec"], ground["spec"]);
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
