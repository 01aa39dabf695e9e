//! What befalls every broker.

use std::time::Duration;

use crate::support::{is_long, scene::Talk};

/// A row of the table in docs/how-to/develop.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Killed with SIGKILL, and started again.
    Killed,
    /// Stopped with SIGSTOP for [`Fault::time`].
    Frozen,
    /// Connections cut inside a frame on its way to the server.
    CutToServer,
    /// Connections cut inside a frame on its way to the gateway.
    CutToGateway,
    /// Connections that pass a small part of what is to be said.
    Slow,
    /// It has no room for more.
    Full,
    /// It refuses the credentials of a moment ago.
    Refused,
}

impl Fault {
    /// All there are.
    pub(crate) const ALL: [Self; 7] =
        [Self::Killed, Self::Frozen, Self::CutToServer, Self::CutToGateway, Self::Slow, Self::Full, Self::Refused];

    /// As the table calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed and back",
            Self::Frozen => "frozen",
            Self::CutToServer => "cut on the way to the server",
            Self::CutToGateway => "cut on the way to the gateway",
            Self::Slow => "slow",
            Self::Full => "full",
            Self::Refused => "refuses credentials",
        }
    }

    /// How long it lasts at least; what does not pass by itself ends when the gateways have noticed.
    pub(crate) fn time(self) -> Duration {
        Duration::from_secs(match self {
            Self::Frozen | Self::Slow if is_long() => 30,
            Self::Frozen | Self::Slow => 2,
            _ => 0,
        })
    }

    /// What is said meanwhile. Where something could pile up there are long texts, of which a gateway must hold a part only.
    pub(crate) fn talk(self) -> Talk {
        match self {
            Self::Frozen | Self::Slow if is_long() => Talk { long: 3_000, pace: 100, ..Talk::short(300) },
            Self::Frozen | Self::Slow => Talk { long: 400, pace: 100, ..Talk::short(300) },
            // Redis counts what waits for a reader, and that must be more than one packet.
            Self::Full => Talk { long: 100, pace: 50, ..Talk::short(300) },
            _ => Talk::short(300),
        }
    }
}

#[test]
fn the_page_has_a_row_for_every_fault_and_no_empty_cell() {
    let page = include_str!("../../../docs/how-to/develop.md");
    let head = page.lines().find(|line| line.starts_with("| fault |")).expect("the page has the table");
    assert_eq!(head, "| fault | RabbitMQ | Kafka | Redis | Redis with sentinels | Redis Cluster |");
    for fault in Fault::ALL {
        let row = page.lines().find(|line| line.starts_with(&format!("| {} |", fault.name())));
        let cells: Vec<&str> = row
            .unwrap_or_else(|| panic!("no row for {}", fault.name()))
            .trim_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        assert!(cells.len() == 6 && cells.iter().all(|cell| !cell.is_empty()), "{cells:?}");
    }
}
