//! How many people want to be connected, second by second.

use std::f64::consts::TAU;

/// A curve of people over seconds since the measurement began. Before it there are as many as at its beginning.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Load {
    /// `mean` and `share` of it more and less, once every `period` seconds.
    Sine {
        /// In the middle.
        mean: f64,
        /// Share of the mean.
        share: f64,
        /// Seconds.
        period: f64,
    },
    /// Straight lines between points of seconds and people; the last goes on.
    Lines(Vec<(f64, f64)>),
}

impl Load {
    /// People at a second.
    pub(crate) fn at(&self, second: f64) -> u32 {
        let second = second.max(0.0);
        let people = match self {
            Self::Sine { mean, share, period } => mean * (1.0 + share * (TAU * second / period).sin()),
            Self::Lines(points) => line(points, second),
        };
        people.round().max(0.0) as u32
    }
}

fn line(points: &[(f64, f64)], second: f64) -> f64 {
    let after = points.iter().position(|(at, _)| *at > second);
    let last = points.last().map_or(0.0, |(_, people)| *people);
    match after {
        None => last,
        Some(0) => points.first().map_or(0.0, |(_, people)| *people),
        Some(after) => {
            let ((from, low), (to, high)) = (points[after - 1], points[after]);
            low + (high - low) * (second - from) / (to - from)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_rises_first_and_returns() {
        let sine = Load::Sine { mean: 100.0, share: 0.3, period: 40.0 };
        assert_eq!([0.0, 10.0, 20.0, 30.0, 40.0, -5.0].map(|second| sine.at(second)), [100, 130, 100, 70, 100, 100]);
    }

    #[test]
    fn lines_are_straight_and_the_last_goes_on() {
        let lines = Load::Lines(vec![(10.0, 100.0), (20.0, 200.0), (20.0, 50.0)]);
        assert_eq!([0.0, 10.0, 15.0, 20.0, 90.0].map(|second| lines.at(second)), [100, 100, 150, 50, 50]);
    }
}
