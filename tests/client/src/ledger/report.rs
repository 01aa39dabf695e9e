//! The judgement in words and numbers.

use std::{collections::BTreeMap, fmt};

use super::verify::{Fault, FaultKind};

const FAULTS_SHOWN: usize = 20;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Clients of the ledger.
    pub clients: u64,
    /// Rooms with a member among them.
    pub rooms: u64,
    /// Messages that a client began to send.
    pub sent: u64,
    /// Of those, acknowledged.
    pub acked: u64,
    /// Of those, never acknowledged.
    pub unacked: u64,
    /// Never acknowledged and still received by somebody: allowed.
    pub unacked_but_there: u64,
    /// Deliveries owed: acknowledged messages times their members.
    pub owed: u64,
    /// Messages received, each once a client.
    pub received: u64,
    /// Of those, fetched by `history` after a resume that could not recover.
    pub from_history: u64,
    /// Messages that two overlapping connections of one client both brought: allowed, the client drops one.
    pub overlapped: u64,
    /// Connections made.
    pub connections: u64,
    /// Requests transmitted again.
    pub repeats: u64,
    /// Acknowledgements marked as repeats of the first answer.
    pub repeated_answers: u64,
}

/// The judgement.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Counts for the report.
    pub counts: Counts,
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
}

impl Verdict {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// How many faults there are of a kind.
    #[must_use]
    pub fn count(&self, kind: FaultKind) -> usize {
        self.faults.iter().filter(|fault| fault.kind == kind).count()
    }

    /// Panics with the whole table when something is wrong or fewer than `least_acked` messages were acknowledged
    /// (a test that sent nothing proves nothing).
    ///
    /// # Panics
    /// As said: this is an assertion.
    pub fn assert_clean(&self, least_acked: u64) {
        assert!(self.is_clean(), "the ledger does not add up\n{self}");
        assert!(self.counts.acked >= least_acked, "only {} messages were acknowledged\n{self}", self.counts.acked);
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.counts;
        let rows = [
            ("clients / connections", format!("{} / {}", c.clients, c.connections)),
            ("rooms", c.rooms.to_string()),
            ("sent / acknowledged / not", format!("{} / {} / {}", c.sent, c.acked, c.unacked)),
            ("not acknowledged but there", c.unacked_but_there.to_string()),
            ("transmitted again / first answer again", format!("{} / {}", c.repeats, c.repeated_answers)),
            ("deliveries owed / received", format!("{} / {}", c.owed, c.received)),
            ("of those by history", c.from_history.to_string()),
            ("brought by both of two overlapping sockets", c.overlapped.to_string()),
        ];
        for (what, count) in rows {
            writeln!(f, "  {what:<44} {count:>20}")?;
        }
        let mut kinds: BTreeMap<FaultKind, usize> =
            [FaultKind::Lost, FaultKind::Duplicated, FaultKind::Reordered, FaultKind::Gap, FaultKind::Stray]
                .map(|kind| (kind, 0))
                .into();
        for fault in &self.faults {
            *kinds.entry(fault.kind).or_default() += 1;
        }
        for (kind, count) in kinds {
            writeln!(f, "  {:<44} {count:>20}", format!("{kind:?}").to_lowercase())?;
        }
        for fault in self.faults.iter().take(FAULTS_SHOWN) {
            writeln!(f, "    {fault}")?;
        }
        if self.faults.len() > FAULTS_SHOWN {
            writeln!(f, "    and {} more", self.faults.len() - FAULTS_SHOWN)?;
        }
        Ok(())
    }
}
