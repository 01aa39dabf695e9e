//! S1: a mover takes charge of a move, and of nothing else: what a mover before it wrote is void from here on.

use crate::{Claim, Epoch, Generation, MoveId, Refusal, Row, Site, State, Token, Transit, token};

/// A planned move (S0), as its `SlotMove` says. There is one live order for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Order<S> {
    /// The move.
    pub move_id: MoveId,
    /// The destination.
    pub to: S,
    /// The source's epoch that the plan was made for.
    pub epoch: Epoch,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Claimed<S> {
    /// The move is the caller's.
    Claimed {
        /// The row to write.
        row: Row<S>,
        /// What to show from here on.
        claim: Claim,
        /// Whether the change log is to be emptied, since the copy begins anew: nothing was copied yet, or a promotion has
        /// taken entries of the log with it (rule R4).
        afresh: bool,
    },
    /// The move has committed: go on with S8. Nothing is to be written.
    Committed(Token),
}

/// S1, at the source: `owned` becomes `migrating`, and so do a fence that has lapsed and one that was inherited by a
/// promotion; a move that is under way gets a new claimant. `moved` means S8. `flushed` is what [`token`] asks for.
///
/// # Errors
/// [`Refusal::NotHere`], [`Refusal::OntoItself`], [`Refusal::OtherEpoch`], [`Refusal::OtherMove`], [`Refusal::Moved`] by
/// another move, [`Refusal::FenceHolds`], and what [`token`] refuses.
pub fn claim<S: Clone + Eq>(
    row: Option<&Row<S>>,
    order: &Order<S>,
    site: &Site<S>,
    flushed: bool,
) -> Result<Claimed<S>, Refusal> {
    let row = row.ok_or(Refusal::NotHere)?;
    if order.to == site.shard {
        return Err(Refusal::OntoItself);
    }
    // The claim that the copy began with, if there was one and it is still good.
    let since = match &row.state {
        State::Owned => None,
        State::Migrating(transit) => same_move(transit, order, site)?,
        State::Fenced(transit, until) => {
            let since = same_move(transit, order, site)?;
            if transit.timeline == site.timeline && site.now < *until {
                return Err(Refusal::FenceHolds);
            }
            since
        }
        State::Moved(transit) if transit.move_id == order.move_id => {
            return token(row, flushed).map(Claimed::Committed);
        }
        State::Moved(_) => return Err(Refusal::Moved),
        State::Importing(..) => return Err(Refusal::NotHere),
    };
    if row.epoch != order.epoch {
        return Err(Refusal::OtherEpoch);
    }
    let generation = Generation { timeline: site.timeline, number: row.number.saturating_add(1) };
    let afresh = since.is_none();
    let since = since.unwrap_or(generation.number);
    let transit = Transit { peer: order.to.clone(), move_id: order.move_id, timeline: site.timeline, since };
    Ok(Claimed::Claimed {
        row: Row { epoch: row.epoch, number: generation.number, state: State::Migrating(transit) },
        claim: Claim { epoch: row.epoch, generation, move_id: order.move_id, since },
        afresh,
    })
}

/// The claim that the copy of the order's move began with, if it began on this timeline.
fn same_move<S>(transit: &Transit<S>, order: &Order<S>, site: &Site<S>) -> Result<Option<u64>, Refusal> {
    if transit.move_id != order.move_id {
        return Err(Refusal::OtherMove);
    }
    Ok((transit.timeline == site.timeline).then_some(transit.since))
}
