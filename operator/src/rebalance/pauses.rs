//! How long writes waited.

use chat_crds::shard_rebalance::Pauses;

/// Percentiles by the nearest rank; `None` where no pause is known.
pub(super) fn pauses(mut milliseconds: Vec<u64>) -> Option<Pauses> {
    milliseconds.sort_unstable();
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let rank = |percent: usize| {
        let nth = (milliseconds.len() * percent).div_ceil(100).max(1);
        milliseconds.get(nth - 1).copied().map(number)
    };
    Some(Pauses {
        count: i32::try_from(milliseconds.len()).unwrap_or(i32::MAX),
        p50_ms: rank(50)?,
        p99_ms: rank(99)?,
        max_ms: rank(100)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        assert_eq!(pauses(Vec::new()), None);
        assert_eq!(pauses(vec![7]), Some(Pauses { count: 1, p50_ms: 7, p99_ms: 7, max_ms: 7 }));
        let all = (1..=200).rev().collect();
        assert_eq!(pauses(all), Some(Pauses { count: 200, p50_ms: 100, p99_ms: 198, max_ms: 200 }));
    }
}
