//! Tables of docs/explanation/capacity.md.

use std::fmt::Write as _;

use crate::{
    Basis, Costs, OutOfBounds,
    simulation::{checks, comparisons},
};

/// What stands on the page between these marks is generated.
const MARK: &str = "Generated from capacity/src; write it anew with: cargo xtask codegen";

/// The page with all its generated parts written anew; none where a mark is missing.
///
/// # Errors
/// The workload that is played is outside of the model's bounds.
pub fn with_tables(page: &str) -> Result<Option<String>, OutOfBounds> {
    let costs = Costs::default();
    let parts =
        [("costs", cost_table(&costs)), ("measured", comparison_table(&costs)), ("tenfold", check_table(&costs)?)];
    Ok(parts.iter().try_fold(page.to_owned(), |page, (name, table)| replaced(&page, name, table)))
}

fn replaced(page: &str, name: &str, table: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name}: {MARK} -->\n"), format!("<!-- end of {name} -->\n"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{table}\n{end}{after}"))
}

fn cost_table(costs: &Costs) -> String {
    let mut table = "| what | figure | | from |\n| --- | --- | --- | --- |\n".to_owned();
    for cost in costs.all() {
        let basis = match cost.basis {
            Basis::Measured => "measured",
            Basis::SingleRun => "single run",
            Basis::Assumed => "**assumed**",
        };
        let _ = writeln!(table, "| {} | {} {} | {basis} | {} |", cost.what, cost.value, cost.unit, cost.source);
    }
    table
}

fn comparison_table(costs: &Costs) -> String {
    let mut table = "| | measured | simulated | simulated / measured |\n| --- | --- | --- | --- |\n".to_owned();
    for row in comparisons(costs) {
        let (measured, simulated) = (row.measured, row.simulated);
        let _ = writeln!(table, "| {} | {measured:.0} | {simulated:.0} | {:.2} |", row.what, simulated / measured);
    }
    table
}

fn check_table(costs: &Costs) -> Result<String, OutOfBounds> {
    let mut table = "| | gateways, nodes, shards | busiest gateway (model) | node (model) | shard (model) | Redis | p50, p99 in ms | under way, in the second and in the last quarter |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n".to_owned();
    for check in checks(costs)? {
        let (gateways, nodes, shards) = check.units;
        let seen = &check.outcome;
        let percent = |part: f64| format!("{:.0} %", part * 100.0);
        let beside = |seen, at: usize| {
            format!("{} ({})", percent(seen), percent(check.expected.get(at).copied().unwrap_or_default()))
        };
        let verdict = if seen.grows() { "grows" } else { "steady" };
        let _ = writeln!(
            table,
            "| {} | {gateways}, {nodes}, {shards} | {} | {} | {} | {} | {:.0}, {:.0} | {:.0}, {:.0}: {verdict} |",
            check.what,
            beside(seen.gateways, 0),
            beside(seen.brokers, 1),
            beside(seen.shards, 2),
            percent(seen.cache),
            seen.p50_ms,
            seen.p99_ms,
            seen.under_way.0,
            seen.under_way.1,
        );
    }
    Ok(table)
}
