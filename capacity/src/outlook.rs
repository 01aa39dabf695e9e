//! What happens when a workload grows: what is full first, and where the design ends.

use serde::Serialize;

use crate::{
    Costs, Limit, Plan, Tier, Workload, cache, gateways,
    plan::{Question, broker_limits, plan},
    shards,
};

/// What runs out at which size of the workload.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bottleneck {
    /// The workload, times this.
    pub factor: f64,
    /// Connections then.
    pub connections: u64,
    /// Messages a second then.
    pub messages_per_second: u64,
    /// What runs out.
    pub limit: Limit,
}

/// What comes when a workload grows with connections and messages in the same measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outlook {
    /// What the units of the plan run out of first, one of each tier being lost where there is a spare one.
    pub first: Option<Bottleneck>,
    /// What no number of units helps against: the design ends there. None where that is further than this model looks.
    pub end: Option<Bottleneck>,
}

/// How far is looked, in both directions.
const FARTHEST: f64 = 1_048_576.0;

impl Outlook {
    /// Looks from a plan onwards.
    #[must_use]
    pub fn of(made: &Plan, costs: &Costs) -> Self {
        let first = |factor| {
            let workload = made.workload.scaled(factor);
            with_units(made, costs, &workload).into_iter().find(|limit| !limit.holds())
        };
        let end = |factor| {
            // A room cannot have more members than there are connections; a plan that is much smaller is not asked for.
            let workload = made.workload.scaled(factor);
            let smaller = plan(&workload, &made.sizes, costs, made.headroom).ok()?;
            smaller.exceeded().next().cloned()
        };
        Self { first: bottleneck(&made.workload, first), end: bottleneck(&made.workload, end) }
    }
}

/// All limits of a workload with the units of a plan, but those on their number, which stays as it is.
fn with_units(made: &Plan, costs: &Costs, workload: &Workload) -> Vec<Limit> {
    let question = Question { workload, sizes: &made.sizes, costs, headroom: made.headroom };
    let of = |tier| made.tier(tier).map_or(1, |one| one.needed);
    let all = made.tier(Tier::Gateways).map_or(1, crate::TierPlan::units);
    let mut limits = gateways::limits(&question, of(Tier::Gateways));
    limits.extend(broker_limits(&question, all, of(Tier::Broker)));
    limits.extend(cache::limits(&question));
    limits.extend(shards::limits(&question, all, of(Tier::Shards)));
    limits
}

/// The smallest factor at which something fails, and what it is.
fn bottleneck(workload: &Workload, fails: impl Fn(f64) -> Option<Limit>) -> Option<Bottleneck> {
    let (mut good, mut bad) = (1.0 / FARTHEST, FARTHEST);
    let mut limit = fails(bad).or_else(|| {
        // So large a workload may be out of bounds.
        let mut factor = bad;
        std::iter::from_fn(|| {
            factor /= 2.0;
            (factor > good).then_some(factor)
        })
        .find_map(|factor| fails(factor).inspect(|_| bad = factor))
    })?;
    // 64 halvings of the exponent leave nothing between the two.
    for _ in 0..64 {
        let middle = (good * bad).sqrt();
        match fails(middle) {
            Some(found) => (bad, limit) = (middle, found),
            None => good = middle,
        }
    }
    let then = workload.scaled(bad);
    let (connections, messages_per_second) = (then.connections, then.messages_per_second);
    Some(Bottleneck { factor: bad, connections, messages_per_second, limit })
}

impl Plan {
    /// Whether one unit less of a tier breaks a limit that the plan keeps.
    #[must_use]
    pub fn broken_with_one_less(&self, costs: &Costs, tier: Tier) -> bool {
        let mut fewer = self.clone();
        for one in fewer.tiers.iter_mut().filter(|one| one.tier == tier) {
            one.needed = one.needed.saturating_sub(1).max(1);
            // Other tiers are asked for the same gateways as before.
            one.spare += 1;
        }
        with_units(&fewer, costs, &self.workload).iter().any(|limit| limit.tier == tier && !limit.holds())
    }
}
