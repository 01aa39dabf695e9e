//! One state of the world: two databases with their standbys, movers, gateways, and what has been promised to whom.

use chat_shard_protocol::{Claim, Epoch, Row, Site, Timeline, Token};

use crate::bounds::{Bounds, Standby};

/// The most messages that a room can have: two, and one more to show a message that was stored twice.
pub(crate) const SEQS: usize = 3;

/// A shard. The slot starts on the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shard {
    Source,
    Destination,
}

impl Shard {
    pub(crate) const BOTH: [Self; 2] = [Self::Source, Self::Destination];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Source => Self::Destination,
            Self::Destination => Self::Source,
        }
    }
}

/// What is stored of the slot: its row, one room's messages and the room's own row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Content {
    pub(crate) row: Option<Row<Shard>>,
    /// The message at each seq, less one; 0 is none.
    pub(crate) messages: [u8; SEQS],
    /// The room row's `last_seq`.
    pub(crate) last_seq: u8,
    /// The change log, as a bit for each seq.
    pub(crate) log: u8,
    /// The copy's cursor: the chunk of messages has arrived.
    pub(crate) copied: bool,
}

/// A shard's databases. The standby is what the primary was at some time: a flush takes over all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Database {
    pub(crate) primary: Content,
    pub(crate) standby: Content,
    pub(crate) timeline: Timeline,
    /// While a fence is set: 0 as it is set, 1 too late for S7, 2 past the deadline.
    pub(crate) clock: u8,
    /// Promotions that may still happen.
    pub(crate) promotions: u8,
}

impl Database {
    /// Whether the standby has all that was committed.
    pub(crate) fn is_flushed(&self) -> bool {
        self.primary == self.standby
    }
}

/// What a mover remembers. A crash forgets it; a mover that is frozen, and wakes, is one whose next step comes late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Mover {
    Idle,
    /// S1 is done.
    Claimed(Claim),
    /// S2 is done, and nothing was copied.
    Prepared(Claim),
    /// A chunk was read, and is not written.
    Holding(Claim, [u8; SEQS]),
    /// S3 is done.
    Copied(Claim),
    /// One logged key was applied at the destination, and is still in the log.
    Draining {
        claim: Claim,
        key: u8,
        fenced: bool,
    },
    /// Only where a key is forgotten too early: its row is in no log, and not at the destination.
    Carrying {
        claim: Claim,
        key: u8,
        message: u8,
        fenced: bool,
    },
    /// S6 is done, and room rows were not copied.
    Fenced(Claim),
    /// S6b: room rows and some keys were copied.
    Drained(Claim),
    /// R2: the destination's standby has flushed that.
    Flushed(Claim),
    /// Behind S7: rows that the source retains were read, messages and `last_seq`, and are not written again.
    Retaining(Claim, [u8; SEQS], u8),
    /// The messages among them are, and room rows are not.
    RetainingRooms(Claim, u8),
}

impl Mover {
    pub(crate) fn claim(&self) -> Option<Claim> {
        match *self {
            Self::Idle => None,
            Self::Claimed(claim)
            | Self::Prepared(claim)
            | Self::Holding(claim, _)
            | Self::Copied(claim)
            | Self::Draining { claim, .. }
            | Self::Carrying { claim, .. }
            | Self::Fenced(claim)
            | Self::Drained(claim)
            | Self::Flushed(claim)
            | Self::Retaining(claim, ..)
            | Self::RetainingRooms(claim, _) => Some(claim),
        }
    }
}

/// A gateway, with one message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Gateway {
    /// Where it believes the slot to be. Nobody tells it but a refusal.
    pub(crate) route: Shard,
    /// Whether it has an answer.
    pub(crate) done: bool,
    /// The seq that was acknowledged, unless the shard lost it by itself and owes nothing.
    pub(crate) told: Option<u8>,
    /// The shard that accepted the message.
    pub(crate) origin: Option<Shard>,
}

/// A write that has passed the guard and has not ended. Its gateway may have given it up, and try elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flight {
    pub(crate) shard: Shard,
    pub(crate) logged: bool,
}

/// One state of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) source: Database,
    pub(crate) destination: Database,
    pub(crate) movers: [Mover; 2],
    pub(crate) gateways: [Gateway; 2],
    pub(crate) flight: Option<Flight>,
    /// The token that somebody who may do S8 holds.
    pub(crate) token: Option<Token>,
    /// The epoch of the published map.
    pub(crate) map: Epoch,
    /// Which of the moves is ordered, from 1.
    pub(crate) ordered: u8,
    pub(crate) claims: u8,
    pub(crate) cut_offs: u8,
    pub(crate) steps_back: u8,
    pub(crate) aborts: u8,
    pub(crate) cleaned: bool,
    /// Bit n: a step has violated invariant n, which states do not show.
    pub(crate) broken: u16,
}

impl State {
    pub(crate) fn at(&self, shard: Shard) -> &Database {
        match shard {
            Shard::Source => &self.source,
            Shard::Destination => &self.destination,
        }
    }

    pub(crate) fn at_mut(&mut self, shard: Shard) -> &mut Database {
        match shard {
            Shard::Source => &mut self.source,
            Shard::Destination => &mut self.destination,
        }
    }

    pub(crate) fn row(&self, shard: Shard) -> Option<&Row<Shard>> {
        self.at(shard).primary.row.as_ref()
    }

    pub(crate) fn site(&self, shard: Shard) -> Site<Shard> {
        let database = self.at(shard);
        Site { shard, timeline: database.timeline, now: chat_shard_protocol::Millis(database.clock.into()) }
    }

    /// Brings what makes no difference to one form, so that fewer states are told apart.
    pub(crate) fn normalise(&mut self, bounds: &Bounds) {
        for (shard, standby) in [(Shard::Source, bounds.source), (Shard::Destination, bounds.destination)] {
            let cut_off = shard == Shard::Source && bounds.cut_offs > 0;
            let database = self.at_mut(shard);
            // Nobody will see what is in a standby that is never promoted, but for whether it has all: it soon does.
            let never_promoted = standby.is_none() || database.promotions == 0;
            if never_promoted || standby == Some(Standby::Synchronous) && !cut_off {
                database.standby = database.primary;
            }
            if !matches!(database.primary.row.map(|row| row.state), Some(chat_shard_protocol::State::Fenced(..))) {
                database.clock = 0;
            }
        }
        if self.row(Shard::Destination).is_some_and(|row| row.state == chat_shard_protocol::State::Owned) {
            // Of no use any more; and if a promotion changes that, the source gives it again.
            self.token = None;
        }
        // Movers have no names.
        self.movers.sort_unstable();
        for gateway in &mut self.gateways {
            if gateway.done {
                gateway.route = Shard::Source;
            }
        }
    }
}
