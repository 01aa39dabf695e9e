//! Refusals about autoscaling.

use serde_json::{Value, json};

use super::{Refusal, create, embedded_base};

pub(super) fn refusals() -> Vec<Refusal> {
    let on = |autoscaling: Value| json!({ "gateways": { "autoscaling": autoscaling } });
    let native = |more: Value| {
        let mut autoscaling = json!({ "mode": "Native", "maxReplicas": 5 });
        super::merge(&mut autoscaling, &more);
        on(autoscaling)
    };
    let schedule = |more: Value| {
        let mut schedule = json!({ "name": "show", "cron": "45 19 * * 6", "durationMinutes": 60, "minReplicas": 4 });
        super::merge(&mut schedule, &more);
        native(json!({ "schedules": [schedule] }))
    };
    const MIN: &str = "spec.gateways.autoscaling.minReplicas: must not be over maxReplicas";
    const EXTERNAL: &str = "spec.gateways.autoscaling: with mode External";
    const SCHEDULES: &str = "spec.gateways.autoscaling.schedules";
    vec![
        create("autoscaling without a mode", on(json!({ "maxReplicas": 5 })), "spec.gateways.autoscaling.mode"),
        create("autoscaling by magic", on(json!({ "mode": "Magic" })), "spec.gateways.autoscaling.mode"),
        create(
            "autoscaling without an end",
            on(json!({ "mode": "Native" })),
            "spec.gateways.autoscaling.maxReplicas: mode Native needs",
        ),
        create("a minimum over the maximum", native(json!({ "minReplicas": 6 })), MIN),
        create("the default minimum over the maximum", native(json!({ "maxReplicas": 1 })), MIN),
        create("a minimum of none", native(json!({ "minReplicas": 0 })), "spec.gateways.autoscaling.minReplicas"),
        create(
            "a target of 0",
            native(json!({ "targetUtilization": 0 })),
            "spec.gateways.autoscaling.targetUtilization",
        ),
        create(
            "a target of 100",
            native(json!({ "targetUtilization": 100 })),
            "spec.gateways.autoscaling.targetUtilization",
        ),
        create(
            "no messages at all",
            native(json!({ "messagesPerGateway": 0 })),
            "spec.gateways.autoscaling.messagesPerGateway",
        ),
        create(
            "a window of a second",
            native(json!({ "scaleDown": { "windowSeconds": 1 } })),
            "spec.gateways.autoscaling.scaleDown.windowSeconds",
        ),
        create("a maximum for somebody else", on(json!({ "mode": "External", "maxReplicas": 5 })), EXTERNAL),
        create("a target for somebody else", on(json!({ "mode": "External", "targetUtilization": 50 })), EXTERNAL),
        create(
            "a window for somebody else",
            on(json!({ "mode": "External", "scaleDown": { "windowSeconds": 60 } })),
            EXTERNAL,
        ),
        create(
            "a way to go that there is not",
            on(json!({ "mode": "External", "scaleDown": { "policy": "Kill" } })),
            "spec.gateways.autoscaling.scaleDown.policy",
        ),
        create(
            "nobody may move",
            json!({ "gateways": { "drain": { "movesPerSecond": 0 } } }),
            "spec.gateways.drain.movesPerSecond",
        ),
        create("a floor over the maximum", schedule(json!({ "minReplicas": 6 })), SCHEDULES),
        create("a floor of no time", schedule(json!({ "durationMinutes": 0 })), SCHEDULES),
        create("a floor without a name", schedule(json!({ "name": "" })), SCHEDULES),
        create("a floor at no time", schedule(json!({ "cron": "" })), SCHEDULES),
        Refusal {
            ground: embedded_base,
            ..create(
                "one gateway that is to become more",
                native(json!({})),
                "spec.gateways.autoscaling: spec.broker.inProcess reaches one gateway only",
            )
        },
    ]
}
