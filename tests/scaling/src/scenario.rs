//! What happens to the contenders.

use clap::ValueEnum;

use crate::model::{Balance, Load};

/// A scenario by the name that `--only` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// People come and go in waves.
    Sine,
    /// Ten times as many people, all at once.
    StepUp,
    /// A third of the people stay.
    StepDown,
    /// Twice as many people for a minute and a half.
    FlashCrowd,
    /// Half of the gateways are gone at once.
    HalfLost,
    /// Nobody says how many connections there are, while people leave.
    StatsStalled,
    /// Twice as many gateways, while nobody has a reason to connect anew.
    GatewaysAdded,
    /// Clocks of gateways that are off, while people come and go in waves.
    ClockSkew,
    /// A thousand ChatClusters for one operator.
    Footprint,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Every other gateway is gone without a farewell.
    LoseHalf,
    /// Gateways, or the metrics API, do not answer any more.
    Stall,
    /// They answer again.
    Answer,
    /// Somebody wants at least so many gateways.
    Least(u32),
    /// Clocks of every other gateway are ahead of the operator's by so many milliseconds, and those of the rest as much behind it.
    Skew(i64),
}

/// A scenario in figures; seconds count from the beginning of the measurement.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// People.
    pub(crate) load: Load,
    /// Seconds that are measured.
    pub(crate) seconds: u32,
    /// What goes wrong, and when.
    pub(crate) faults: Vec<(u32, Fault)>,
    /// When there begin to be too few gateways.
    pub(crate) short: Option<u32>,
    /// How people come to a gateway, where that is part of the scenario.
    pub(crate) balance: Option<Balance>,
}

impl Scenario {
    /// Those with people, in the order of the report.
    pub(crate) const SIMULATED: [Self; 8] = [
        Self::Sine,
        Self::StepUp,
        Self::StepDown,
        Self::FlashCrowd,
        Self::HalfLost,
        Self::StatsStalled,
        Self::GatewaysAdded,
        Self::ClockSkew,
    ];

    /// Its name in the report, in namespaces and of its plot.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sine => "sine",
            Self::StepUp => "step-up",
            Self::StepDown => "step-down",
            Self::FlashCrowd => "flash-crowd",
            Self::HalfLost => "half-lost",
            Self::StatsStalled => "stats-stalled",
            Self::GatewaysAdded => "gateways-added",
            Self::ClockSkew => "clock-skew",
            Self::Footprint => "footprint",
        }
    }

    /// What it is.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Sine => "100,000 people, 30 % more and less every 4 minutes",
            Self::StepUp => "10,000 people, and 100,000 from one second to the next",
            Self::StepDown => "100,000 people, and 30,000 from one second to the next",
            Self::FlashCrowd => "40,000 people, 90,000 within 10 seconds, and 40,000 again",
            Self::HalfLost => "100,000 people, and half of the gateways are gone",
            Self::StatsStalled => "80,000 people; nobody is told how many while half of them leave",
            Self::GatewaysAdded => "60,000 people who come to any gateway, and twice as many gateways",
            Self::ClockSkew => "the sine, while clocks of gateways are a minute and a half ahead or behind",
            Self::Footprint => "many ChatClusters",
        }
    }

    /// What happens in it.
    pub(crate) fn course(self, quick: bool) -> Course {
        let lines = |points: &[(f64, f64)]| Load::Lines(points.to_vec());
        let course = |load, long, short| Course {
            load,
            seconds: if quick { short } else { long },
            faults: Vec::new(),
            short: None,
            balance: None,
        };
        let sine = Load::Sine { mean: 100_000.0, share: 0.3, period: 240.0 };
        match self {
            Self::Sine => course(sine, 600, 240),
            Self::ClockSkew => {
                Course { faults: vec![(30, Fault::Skew(90_000)), (150, Fault::Skew(0))], ..course(sine, 300, 200) }
            }
            Self::StepUp => {
                Course { short: Some(30), ..course(lines(&[(30.0, 10_000.0), (30.0, 100_000.0)]), 240, 120) }
            }
            Self::StepDown => course(lines(&[(30.0, 100_000.0), (30.0, 30_000.0)]), 600, 240),
            Self::FlashCrowd => Course {
                short: Some(60),
                ..course(lines(&[(60.0, 40_000.0), (70.0, 90_000.0), (160.0, 90_000.0), (170.0, 40_000.0)]), 480, 240)
            },
            Self::HalfLost => Course {
                faults: vec![(30, Fault::LoseHalf)],
                short: Some(30),
                ..course(lines(&[(0.0, 100_000.0)]), 240, 120)
            },
            Self::StatsStalled => Course {
                faults: vec![(30, Fault::Stall), (210, Fault::Answer)],
                ..course(lines(&[(60.0, 80_000.0), (90.0, 40_000.0)]), 480, 240)
            },
            Self::GatewaysAdded => Course {
                faults: vec![(30, Fault::Least(20))],
                balance: Some(Balance::Random),
                ..course(lines(&[(0.0, 60_000.0)]), 600, 240)
            },
            Self::Footprint => course(lines(&[(0.0, 0.0)]), 0, 0),
        }
    }
}
