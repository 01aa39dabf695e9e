//! What is broken.

use std::str::FromStr;

use anyhow::{Error, bail};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What the broker brings comes a second late.
    Delay,
    /// Every second delivery of the broker is lost, without a word.
    Drop,
    /// It takes connections, but is never ready, and its admin port answers nothing but probes.
    Unready,
    /// It is ready and serves, but its admin port answers nothing but probes.
    Silent,
    /// Messages are acknowledged and kept nowhere.
    Lose,
    /// Each message comes twice.
    Twice,
    /// Of two messages the second comes first.
    Reorder,
    /// No message comes, although all are kept.
    Mute,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Delay, Self::Drop, Self::Unready, Self::Silent, Self::Lose, Self::Twice, Self::Reorder, Self::Mute];

    /// The variable that names the fault.
    pub const VARIABLE: &str = "BROKEN";

    /// Whether it is in what clients are told, which somebody between them and the gateway spoils.
    #[must_use]
    pub const fn is_before_clients(self) -> bool {
        matches!(self, Self::Lose | Self::Twice | Self::Reorder | Self::Mute)
    }

    /// Its name, in the variable and in the image's tag.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Drop => "drop",
            Self::Unready => "unready",
            Self::Silent => "silent",
            Self::Lose => "lose",
            Self::Twice => "twice",
            Self::Reorder => "reorder",
            Self::Mute => "mute",
        }
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match Self::ALL.into_iter().find(|fault| fault.name() == name) {
            Some(fault) => Ok(fault),
            None => bail!("{} is {name:?}; it names one of {:?}", Self::VARIABLE, Self::ALL.map(Self::name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_an_image() {
        assert_eq!(Fault::ALL.map(Fault::name), images::build::FAULTS);
        assert!(Fault::ALL.into_iter().all(|fault| fault.name().parse::<Fault>().unwrap() == fault));
        assert!("none".parse::<Fault>().is_err());
    }
}
