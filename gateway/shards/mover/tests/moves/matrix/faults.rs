//! What goes wrong.

use super::network::Loss;

/// Who fails, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL to the mover's process.
    MoverKilled,
    /// SIGSTOP to the mover's process; it wakes when another has done its work.
    MoverStopped,
    /// The mover's clock jumps by an hour.
    MoverClock,
    /// SIGKILL to a writer's process.
    WriterKilled,
    /// SIGSTOP to a writer's process, for longer than a fence lasts.
    WriterStopped,
    /// A writer's connections are reset.
    WriterCut,
    /// SIGKILL to every process of the source, which is started again on its disk.
    SourceKilled,
    /// SIGSTOP to every process of the source, for longer than a fence lasts.
    SourceStopped,
    /// As the source.
    DestinationKilled,
    /// As the source.
    DestinationStopped,
    /// No byte is left under the destination's tables.
    DestinationFull,
    /// The mover's connections to the source are reset.
    SourceReset,
    /// Nothing reaches the source from the mover, without an error.
    SourceUnheard,
    /// Nothing reaches the mover from the source, without an error.
    SourceSilent,
    /// As for the source.
    DestinationReset,
    /// As for the source.
    DestinationUnheard,
    /// As for the source.
    DestinationSilent,
    /// Packets of the mover to the source are lost.
    LossToSource,
    /// Packets of the source to the mover are lost.
    LossFromSource,
    /// No packet gets through between the mover and the source.
    LossAtSource,
    /// As for the source.
    LossToDestination,
    /// As for the source.
    LossFromDestination,
    /// As for the source.
    LossAtDestination,
    /// Somebody holds the slot's lock at the source.
    SourceLocked,
    /// Somebody holds the slot's lock at the destination.
    DestinationLocked,
    /// A transaction that has written to the slot stays open at the source.
    LongTransaction,
}

impl Fault {
    pub(crate) const ALL: [Self; 26] = [
        Self::MoverKilled,
        Self::MoverStopped,
        Self::MoverClock,
        Self::WriterKilled,
        Self::WriterStopped,
        Self::WriterCut,
        Self::SourceKilled,
        Self::SourceStopped,
        Self::DestinationKilled,
        Self::DestinationStopped,
        Self::DestinationFull,
        Self::SourceReset,
        Self::SourceUnheard,
        Self::SourceSilent,
        Self::DestinationReset,
        Self::DestinationUnheard,
        Self::DestinationSilent,
        Self::LossToSource,
        Self::LossFromSource,
        Self::LossAtSource,
        Self::LossToDestination,
        Self::LossFromDestination,
        Self::LossAtDestination,
        Self::SourceLocked,
        Self::DestinationLocked,
        Self::LongTransaction,
    ];

    /// Whether the mover is a process of its own.
    pub(crate) fn is_of_mover(self) -> bool {
        matches!(self, Self::MoverKilled | Self::MoverStopped | Self::MoverClock) || self.loss().is_some()
    }

    /// Which packets are lost, and whether those of the source: the mover has a network of its own then.
    pub(crate) fn loss(self) -> Option<(Loss, bool)> {
        match self {
            Self::LossToSource => Some((Loss::ToServer, true)),
            Self::LossFromSource => Some((Loss::FromServer, true)),
            Self::LossAtSource => Some((Loss::Both, true)),
            Self::LossToDestination => Some((Loss::ToServer, false)),
            Self::LossFromDestination => Some((Loss::FromServer, false)),
            Self::LossAtDestination => Some((Loss::Both, false)),
            _ => None,
        }
    }

    /// Whether a writer is a process of its own.
    pub(crate) fn is_of_writer(self) -> bool {
        matches!(self, Self::WriterKilled | Self::WriterStopped | Self::WriterCut)
    }
}
