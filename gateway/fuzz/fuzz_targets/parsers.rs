//! libFuzzer over the function that `CHATCLUSTER_FUZZ` names.
#![no_main]

#[path = "../targets/mod.rs"]
mod targets;

use std::sync::LazyLock;

static CHOSEN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("CHATCLUSTER_FUZZ").unwrap_or_default();
    let found = targets::ALL.iter().find(|(known, _)| *known == name);
    let known = || targets::ALL.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
    found.unwrap_or_else(|| panic!("set CHATCLUSTER_FUZZ to one of {}", known())).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| CHOSEN(data));
