//! The table of refusals itself; the API server is asked in the end-to-end tests.
#![cfg(feature = "testing")]

use chat_crds::{
    ChatCluster,
    testing::{Attempt, base, patched, refusals},
};

#[test]
fn the_ground_of_the_table_is_a_chat_cluster() {
    let typed: ChatCluster = serde_json::from_value(base()).unwrap();
    assert_eq!(serde_json::to_value(&typed).unwrap()["spec"], base()["spec"]);
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
        assert_ne!(patched(refusal), base(), "{} changes nothing", refusal.name);
    }
}
