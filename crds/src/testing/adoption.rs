//! Refusals about changes of a new operator.

use serde_json::{Value, json};

use super::{Refusal, create};

pub(super) fn refusals() -> Vec<Refusal> {
    let with = |adoption: Value| json!({ "adoption": adoption });
    let window = |more: Value| {
        let mut window = json!({ "name": "night", "cron": "0 3 * * *", "durationMinutes": 60 });
        super::merge(&mut window, &more);
        with(json!({ "mode": "Automatic", "windows": [window] }))
    };
    vec![
        create("an adoption by nobody", with(json!({ "mode": "Never" })), "spec.adoption.mode"),
        create("changes by another name", with(json!({ "approvedChanges": "all" })), "spec.adoption.approvedChanges"),
        create(
            "windows for what waits for approval",
            with(json!({ "windows": [{ "name": "night", "cron": "0 3 * * *", "durationMinutes": 60 }] })),
            "spec.adoption.windows: what waits for approval waits for no window",
        ),
        create(
            "a window that never opens",
            window(json!({ "durationMinutes": 0 })),
            "spec.adoption.windows[0].durationMinutes",
        ),
    ]
}
