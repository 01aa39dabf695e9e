//! The worlds that are checked, by what goes wrong in them.
//!
//! | world | states | with one claim more |
//! | --- | --- | --- |
//! | [`ZOMBIES`] | 14,002 | 29,742 |
//! | [`WRITERS`] | 11,246 | 19,832 |
//! | [`SOURCE_LOST`] | 338,399 | 1,735,142 |
//! | [`SOURCE_REPLACED`] | 132,948 | 613,000 |
//! | [`DESTINATION_LOST`] | 173,047 | 693,725 |
//! | [`BOTH_LOST`] | 291,401 | 1,629,252 |
//! | [`LOST_TWICE`] | 66,943 and 35,776 | |
//! | [`ABORTED`] | 37,653 | 103,108 |
//! | [`ABORT_LOST`] | 91,778 | 571,138 |
//! | [`RETURNED`] | 2,019 | 5,255 |

use crate::bounds::{Bounds, Standby};

/// No standby anywhere: movers that die and wake, fences that lapse, writes that take long, a clock that is set back.
pub(crate) const ZOMBIES: Bounds =
    Bounds { claims: 3, movers: 2, messages: 1, flight: true, steps_back: 1, clean: true, ..Bounds::LEAST };

/// Two messages, of a gateway whose writes take time and of one whose do not.
pub(crate) const WRITERS: Bounds =
    Bounds { claims: 2, movers: 1, messages: 2, flight: true, steps_back: 1, clean: true, ..Bounds::LEAST };

/// The source's standby is promoted, and has not flushed everything.
pub(crate) const SOURCE_LOST: Bounds = Bounds {
    source: Some(Standby::Asynchronous),
    promotions: [1, 0],
    claims: 2,
    movers: 2,
    messages: 2,
    ..Bounds::LEAST
};

/// The source's standby is promoted, and has flushed everything that anybody was told of; a commit of S7 was cut off.
pub(crate) const SOURCE_REPLACED: Bounds = Bounds {
    source: Some(Standby::Synchronous),
    promotions: [1, 0],
    claims: 2,
    movers: 2,
    messages: 2,
    flight: true,
    cut_offs: 1,
    ..Bounds::LEAST
};

/// The destination's standby is promoted, and has not flushed everything.
pub(crate) const DESTINATION_LOST: Bounds = Bounds {
    destination: Some(Standby::Asynchronous),
    promotions: [0, 1],
    claims: 2,
    movers: 2,
    messages: 2,
    clean: true,
    ..Bounds::LEAST
};

/// Both standbys are promoted.
pub(crate) const BOTH_LOST: Bounds = Bounds {
    source: Some(Standby::Asynchronous),
    destination: Some(Standby::Asynchronous),
    promotions: [1, 1],
    claims: 2,
    movers: 2,
    messages: 1,
    flight: true,
    clean: true,
    ..Bounds::LEAST
};

/// Two standbys are promoted, one after the other, on either side.
pub(crate) const LOST_TWICE: [Bounds; 2] = [
    Bounds {
        source: Some(Standby::Asynchronous),
        promotions: [2, 0],
        claims: 2,
        movers: 2,
        messages: 1,
        ..Bounds::LEAST
    },
    Bounds {
        destination: Some(Standby::Asynchronous),
        promotions: [0, 2],
        claims: 2,
        movers: 2,
        messages: 1,
        clean: true,
        ..Bounds::LEAST
    },
];

/// A move is given up at any time, and another one ordered.
pub(crate) const ABORTED: Bounds =
    Bounds { claims: 3, movers: 2, messages: 1, flight: true, aborts: 1, moves: 2, clean: true, ..Bounds::LEAST };

/// The same, and the source's standby is promoted, and may have lost the abort.
pub(crate) const ABORT_LOST: Bounds = Bounds {
    source: Some(Standby::Asynchronous),
    promotions: [1, 0],
    claims: 2,
    movers: 2,
    messages: 1,
    aborts: 1,
    moves: 2,
    ..Bounds::LEAST
};

/// The slot was at the destination before, and somebody still holds the token of that time, somebody the claim, and somebody the rows that were to
/// be restored.
pub(crate) const RETURNED: Bounds = Bounds { claims: 2, movers: 2, messages: 1, returned: true, ..Bounds::LEAST };

/// Each with one claim more, in the long form.
pub(crate) fn in_this_form(bounds: Bounds) -> Bounds {
    let is_long = std::env::var("CHATCLUSTER_LONG").is_ok_and(|value| value == "1");
    Bounds { claims: bounds.claims + u8::from(is_long), ..bounds }
}
