//! S2: the destination makes room, and hears of the claim.

use crate::{Claim, Refusal, Row, Site, State, Transit};

/// What became of a preparation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prepared<S> {
    /// The row to write.
    pub row: Row<S>,
    /// Whether rows of the slot and the copy's cursor are to be emptied first. False when what an earlier claimant of the same
    /// move copied is still good: the change log was written all the time since, and no standby was promoted since, on either
    /// side (rule R4).
    pub afresh: bool,
}

/// S2, at the destination: absent, a tombstone, or an older claim becomes `importing` at the epoch to come. The same claim
/// may prepare any number of times.
///
/// # Errors
/// [`Refusal::OntoItself`]; [`Refusal::Owned`]; [`Refusal::OldGeneration`] after a newer claim, and after a newer move of the
/// slot has come and gone.
pub fn prepare<S: Clone + Eq>(
    row: Option<&Row<S>>,
    claim: &Claim,
    source: &S,
    site: &Site<S>,
) -> Result<Prepared<S>, Refusal> {
    if *source == site.shard {
        return Err(Refusal::OntoItself);
    }
    let afresh = match row.map(|row| (row, &row.state)) {
        None => true,
        Some((_, State::Owned | State::Migrating(_) | State::Fenced(..))) => return Err(Refusal::Owned),
        // A tombstone of the source's epoch or an earlier one: since then the slot has been where the claim comes from.
        Some((row, State::Moved(_))) if row.epoch <= claim.epoch => true,
        Some((_, State::Moved(_))) => return Err(Refusal::OldGeneration),
        Some((row, State::Importing(transit, own))) => {
            if row.claim().is_some_and(|newest| newest > *claim) {
                return Err(Refusal::OldGeneration);
            }
            let same_copy = transit.timeline == claim.generation.timeline && transit.since == claim.since;
            transit.move_id != claim.move_id || !same_copy || *own != site.timeline
        }
    };
    let transit = Transit {
        peer: source.clone(),
        move_id: claim.move_id,
        timeline: claim.generation.timeline,
        since: claim.since,
    };
    let state = State::Importing(transit, site.timeline);
    Ok(Prepared { row: Row { epoch: claim.epoch.next(), number: claim.generation.number, state }, afresh })
}
