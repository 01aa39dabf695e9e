//! A ShardRebalance as people read it.

use chat_crds::{ShardRebalance, shard_rebalance::RebalanceState};
use kube::ResourceExt as _;

use crate::tables::{bar, bytes, duration, table};

/// Characters of a bar.
const BAR: usize = 40;
/// Slots under way that are shown.
const SHOWN: usize = 8;

/// What the operator says of it.
pub(crate) fn message(object: &ShardRebalance) -> String {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
    ready.map_or_else(|| "the operator has not looked at it yet".to_owned(), |ready| ready.message.clone())
}

/// The plan, and what to do with it.
pub(crate) fn plan(object: &ShardRebalance) -> String {
    let name = object.name_any();
    let Some(plan) = object.status.as_ref().and_then(|status| status.plan.as_ref()) else {
        return format!("{name}: {}\n", message(object));
    };
    if plan.slots == 0 {
        return format!("{name}: every slot is where it should be\n");
    }
    let rows: Vec<Vec<String>> = plan
        .moves
        .iter()
        .map(|moves| {
            vec![moves.from.clone(), moves.to.clone(), moves.count.to_string(), bytes(moves.bytes), moves.slots.clone()]
        })
        .collect();
    format!(
        "{}\n{} slots, {} rows, {}, about {}\nplan {}: kubectl chat rebalance approve {name} --plan {}\n",
        table(&["FROM", "TO", "SLOTS", "BYTES", "NUMBERS"], &rows),
        plan.slots,
        plan.rows,
        bytes(plan.bytes),
        duration(plan.seconds),
        plan.hash,
        plan.hash
    )
}

/// How far it is.
pub(crate) fn progress(object: &ShardRebalance) -> String {
    let state = RebalanceState::of(object.status.as_ref());
    let mut text = format!("{}: {}, {}\n", object.name_any(), state.as_str(), message(object));
    let Some(status) = &object.status else { return text };
    let all = status.plan.as_ref().map_or(0, |plan| plan.slots);
    if let Some(progress) = &status.progress {
        let left = progress.seconds_left.map(|left| format!(", about {} left", duration(left))).unwrap_or_default();
        text += &format!(
            "{} {} of {all} slots, {} rows, {}{left}\n",
            bar(progress.slots_moved.into(), all.into(), BAR),
            progress.slots_moved,
            progress.rows_moved,
            bytes(progress.bytes_moved)
        );
        for slot in progress.in_transit.iter().take(SHOWN) {
            let (from, to, state) = (&slot.from, &slot.to, &slot.state);
            text += &format!(
                "  slot {}: {from} > {to}, {state}, {} rows, {} changes wait\n",
                slot.slot, slot.rows, slot.backlog
            );
        }
    }
    if let Some(pauses) = &status.pauses {
        text += &format!(
            "writes waited: half at most {} ms, 99 % at most {} ms, longest {} ms\n",
            pauses.p50_ms, pauses.p99_ms, pauses.max_ms
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object() -> ShardRebalance {
        serde_json::from_value(json!({
            "apiVersion": "chatcluster.dev/v1alpha1", "kind": "ShardRebalance", "metadata": { "name": "demo-g2" },
            "spec": { "clusterRef": { "name": "demo" } },
            "status": {
                "conditions": [{ "type": "Ready", "status": "False", "reason": "Running", "message": "1 of 4 slots have moved",
                    "lastTransitionTime": "2026-01-01T00:00:00Z" }],
                "plan": { "hash": "abc", "target": "t", "slots": 4, "rows": 9, "bytes": 4096, "seconds": 61,
                    "moves": [{ "from": "a", "to": "b", "slots": "0-3", "count": 4, "bytes": 4096 }] },
                "progress": { "slotsMoved": 1, "rowsMoved": 3, "bytesMoved": 100, "secondsLeft": 5,
                    "inTransit": [{ "slot": 1, "from": "a", "to": "b", "state": "migrating", "rows": 2, "backlog": 1 }] },
                "pauses": { "count": 1, "p50Ms": 12, "p99Ms": 12, "maxMs": 12 }
            }
        }))
        .unwrap()
    }

    #[test]
    fn a_plan_says_what_it_costs_and_how_to_approve_of_it() {
        let text = plan(&object());
        assert!(text.contains("4 slots, 9 rows, 4.0 KiB, about 1 min 01 s"), "{text}");
        assert!(text.ends_with("plan abc: kubectl chat rebalance approve demo-g2 --plan abc\n"), "{text}");
    }

    #[test]
    fn progress_has_a_bar_what_is_under_way_and_the_pauses() {
        let text = progress(&object());
        assert!(text.contains("[##########..............................] 1 of 4 slots"), "{text}");
        assert!(text.contains("slot 1: a > b, migrating, 2 rows, 1 changes wait"), "{text}");
        assert!(text.contains("99 % at most 12 ms"), "{text}");
    }
}
