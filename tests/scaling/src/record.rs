//! What is written down each second, and the figures that follow from it. Pure.

use serde::Serialize;

use crate::model::Counts;

/// A second of one contender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sample {
    /// Seconds since the beginning of the measurement; negative before it.
    pub(crate) second: i32,
    /// People who want to be connected.
    pub(crate) demand: u32,
    /// Open connections.
    pub(crate) connected: u32,
    /// Connections of the gateway that has the most.
    pub(crate) fullest: u32,
    /// People who could be connected.
    pub(crate) places: u32,
    /// Pods that are not being deleted.
    pub(crate) pods: u32,
    /// Gateways that take people.
    pub(crate) takers: u32,
    /// Gateways wanted, as the autoscaler says.
    pub(crate) desired: i32,
    /// Clients that somebody's decision cost their connection in this second.
    pub(crate) forced: u64,
    /// Clients that an accident cost their connection in this second.
    pub(crate) lost: u64,
    /// Connections in this second of clients that had had one.
    pub(crate) reconnects: u64,
    /// Moves a second that the operator allows itself.
    pub(crate) budget: f64,
}

impl Sample {
    /// How many times the mean the fullest gateway has; 1 when nobody is connected.
    fn unevenness(&self) -> f64 {
        if self.connected == 0 {
            1.0
        } else {
            f64::from(self.fullest) * f64::from(self.pods) / f64::from(self.connected)
        }
    }

    /// Adds what happened between two counts.
    pub(crate) fn between(self, before: Counts, after: Counts) -> Self {
        Self {
            forced: after.forced - before.forced,
            lost: after.lost - before.lost,
            reconnects: after.reconnects - before.reconnects,
            ..self
        }
    }
}

/// Moves a second that the operator allows itself, by docs/reference/chatcluster.md: everybody within ten minutes, at least 20, and at most 250 for
/// each gateway that takes them.
pub(crate) fn budget(connections: u32, takers: u32) -> f64 {
    (f64::from(connections) / 600.0).clamp(20.0, (250.0 * f64::from(takers)).max(20.0))
}

/// Seconds from an order to the last reconnect that comes of it: it is spread over two, and its gateways were asked a moment before.
const ORDERED: usize = 3;

/// What a contender's seconds come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    /// Clients that somebody's decision cost their connection.
    pub(crate) forced_moves: u64,
    /// Clients that an accident cost their connection.
    pub(crate) lost: u64,
    /// Most reconnects in one second.
    pub(crate) peak_reconnects: u64,
    /// The highest share of the budget that reconnects of one second were: of the budget by which they were ordered.
    pub(crate) peak_of_budget: f64,
    /// Times that the number wanted turned from rising to falling or back.
    pub(crate) reversals: u32,
    /// Seconds from the shortage to as many places as people; `None` when there was none, or it did not end.
    pub(crate) covered_after: Option<i32>,
    /// Seconds until no gateway had more than a tenth above the mean, after one had; `None` when none had, or they have not become even.
    pub(crate) even_after: Option<i32>,
    /// How many times the mean the fullest gateway has at the end.
    pub(crate) unevenness: f64,
    /// Seconds with fewer places than people.
    pub(crate) below: u32,
    /// The same, once fewer gateways had been wanted than a second before.
    pub(crate) below_after_fewer: u32,
    /// Times that fewer gateways were wanted than a second before.
    pub(crate) scale_downs: u32,
    /// The same, while nobody was told anything.
    pub(crate) scale_downs_blind: u32,
    /// Pods on average.
    pub(crate) mean_pods: f64,
    /// People on average who wanted to be connected and were not.
    pub(crate) mean_waiting: f64,
}

/// Comes to the figures of the seconds from 0 on. `short` is when a shortage begins, `blind` the seconds in which nobody was told anything.
pub(crate) fn figures(samples: &[Sample], short: Option<u32>, blind: Option<(u32, u32)>) -> Figures {
    let measured: Vec<&Sample> = samples.iter().filter(|sample| sample.second >= 0).collect();
    let is_below = |sample: &&&Sample| sample.places < sample.demand;
    let steps: Vec<(i32, i32)> =
        measured.windows(2).map(|pair| (pair[1].second, pair[1].desired - pair[0].desired)).collect();
    let directions: Vec<bool> = steps.iter().filter(|(_, step)| *step != 0).map(|(_, step)| *step > 0).collect();
    let downs: Vec<i32> = steps.iter().filter(|(_, step)| *step < 0).map(|(second, _)| *second).collect();
    let during = |second: i32| blind.is_some_and(|(from, to)| (from as i32..to as i32).contains(&second));
    let mean = |of: &dyn Fn(&Sample) -> f64| {
        measured.iter().map(|sample| of(sample)).sum::<f64>() / measured.len().max(1) as f64
    };
    Figures {
        forced_moves: measured.iter().map(|sample| sample.forced).sum(),
        lost: measured.iter().map(|sample| sample.lost).sum(),
        peak_reconnects: measured.iter().map(|sample| sample.reconnects).max().unwrap_or_default(),
        peak_of_budget: (0..measured.len()).map(|at| share_of_budget(&measured, at)).fold(0.0, f64::max),
        reversals: directions.windows(2).filter(|pair| pair[0] != pair[1]).count() as u32,
        covered_after: short.and_then(|short| covered(&measured, short as i32)),
        even_after: even(&measured),
        unevenness: measured.last().map_or(1.0, |sample| sample.unevenness()),
        below: measured.iter().filter(is_below).count() as u32,
        below_after_fewer: downs.first().map_or(0, |first| {
            measured.iter().filter(|sample| sample.second >= *first).filter(is_below).count() as u32
        }),
        scale_downs: downs.len() as u32,
        scale_downs_blind: downs.iter().filter(|second| during(**second)).count() as u32,
        mean_pods: mean(&|sample| f64::from(sample.pods)),
        mean_waiting: mean(&|sample| f64::from(sample.demand.saturating_sub(sample.connected))),
    }
}

/// What share of the budget the reconnects of a second are. Where people leave all at once the budget falls with them, and orders that were given
/// before cannot be taken back.
fn share_of_budget(measured: &[&Sample], at: usize) -> f64 {
    let ordered = measured[at.saturating_sub(ORDERED)..=at].iter().map(|sample| sample.budget).fold(0.0, f64::max);
    measured[at].reconnects as f64 / ordered
}

/// Seconds from `short` to the end of the shortage that begins then.
fn covered(measured: &[&Sample], short: i32) -> Option<i32> {
    let after: Vec<&&Sample> = measured.iter().filter(|sample| sample.second > short).collect();
    let begun = after.iter().position(|sample| sample.places < sample.demand)?;
    let end = after[begun..].iter().find(|sample| sample.places >= sample.demand)?;
    Some(end.second - short)
}

/// Seconds from the first second in which a gateway had more than a tenth above the mean to the last.
fn even(measured: &[&Sample]) -> Option<i32> {
    let is_uneven = |sample: &&&Sample| sample.unevenness() > 1.1;
    let (first, last) = (measured.iter().find(is_uneven)?, measured.iter().rfind(is_uneven)?);
    let is_over = measured.last().is_some_and(|end| end.second > last.second);
    is_over.then_some(last.second + 1 - first.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(of: &[(i32, u32, u32)]) -> Vec<Sample> {
        let sample = |(at, (desired, places, demand)): (usize, &(i32, u32, u32))| Sample {
            second: at as i32 - 1,
            desired: *desired,
            places: *places,
            demand: *demand,
            pods: desired.unsigned_abs(),
            reconnects: 10,
            budget: 20.0,
            ..Sample::default()
        };
        of.iter().enumerate().map(sample).collect()
    }

    #[test]
    fn a_turn_of_the_number_wanted_is_a_reversal_and_what_was_before_the_measurement_counts_nothing() {
        let up_down_up = seconds(&[(9, 5, 5), (2, 5, 5), (4, 5, 5), (4, 5, 5), (5, 5, 5), (3, 5, 5), (6, 5, 5)]);
        let figures = figures(&up_down_up, None, Some((4, 5)));
        assert_eq!((figures.reversals, figures.scale_downs, figures.scale_downs_blind), (2, 1, 1));
        assert_eq!((figures.mean_pods, figures.peak_of_budget), (4.0, 0.5));
    }

    #[test]
    fn reconnects_are_a_share_of_the_budget_that_they_were_ordered_by() {
        let peak = |falls: i32, last: i32| {
            let sample = |second| Sample {
                second,
                reconnects: if second <= last { 80 } else { 0 },
                budget: if second < falls { 160.0 } else { 40.0 },
                ..Sample::default()
            };
            figures(&(0..20).map(sample).collect::<Vec<_>>(), None, None).peak_of_budget
        };
        assert_eq!((peak(10, 12), peak(10, 13)), (0.5, 2.0));
    }

    #[test]
    fn a_shortage_is_counted_and_its_end_found() {
        let short =
            seconds(&[(2, 5, 5), (2, 5, 5), (2, 5, 5), (2, 5, 50), (2, 5, 50), (1, 9, 50), (2, 50, 50), (2, 5, 9)]);
        let figures = figures(&short, Some(1), None);
        assert_eq!((figures.below, figures.below_after_fewer, figures.covered_after), (4, 2, Some(4)));
        assert_eq!(super::figures(&short, None, None).covered_after, None);
    }

    #[test]
    fn it_is_even_when_nobody_has_more_than_a_tenth_above_the_mean_any_more() {
        let with = |fullest: &[u32]| -> Vec<Sample> {
            let sample = |(second, fullest): (usize, &u32)| Sample {
                second: second as i32,
                fullest: *fullest,
                connected: 100,
                pods: 2,
                ..Sample::default()
            };
            fullest.iter().enumerate().map(sample).collect()
        };
        let [mended, never, always] =
            [&[50, 100, 60, 55][..], &[50, 100, 60], &[50, 51]].map(|fullest| figures(&with(fullest), None, None));
        assert_eq!([mended.even_after, never.even_after, always.even_after], [Some(2), None, None]);
        assert_eq!((mended.unevenness, never.unevenness), (1.1, 1.2));
    }

    #[test]
    fn the_budget_is_the_documented_one() {
        assert_eq!(
            [(100_000, 14), (600, 2), (1_000_000, 2), (0, 0)].map(|(all, takers)| budget(all, takers).round()),
            [167.0, 20.0, 500.0, 20.0]
        );
    }
}
