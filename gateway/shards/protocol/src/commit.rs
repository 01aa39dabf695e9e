//! S7: the commit point. Before it the slot is the source's, after it the destination's, whatever fails.

use crate::{Claim, Millis, Refusal, Row, Site, State};

/// What S7 rests on, beside the source's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommitProof {
    /// The slot's change log is empty: looked at in the transaction of S7, under its lock.
    pub log_is_empty: bool,
    /// R2: the destination's standby has flushed the last drain, on the timeline of the destination's row; true without a
    /// standby. Looked at after the last drain.
    pub destination_is_flushed: bool,
}

/// S7, at the source: `fenced` becomes `moved`, and the epoch rises. `margin` is what has to be left of the fence.
///
/// # Errors
/// [`Refusal::NotHere`], [`Refusal::WrongState`], [`Refusal::OldGeneration`], [`Refusal::TimelineChanged`],
/// [`Refusal::FenceLapsed`], [`Refusal::LogNotEmpty`], [`Refusal::NotFlushed`].
pub fn commit<S: Clone + Eq>(
    row: Option<&Row<S>>,
    claim: &Claim,
    site: &Site<S>,
    margin: Millis,
    proof: CommitProof,
) -> Result<Row<S>, Refusal> {
    let row = row.ok_or(Refusal::NotHere)?;
    let State::Fenced(transit, until) = &row.state else { return Err(Refusal::WrongState) };
    row.obeys(claim)?;
    if transit.timeline != site.timeline {
        return Err(Refusal::TimelineChanged);
    }
    if site.now.0.saturating_add(margin.0) >= until.0 {
        return Err(Refusal::FenceLapsed);
    }
    if !proof.log_is_empty {
        return Err(Refusal::LogNotEmpty);
    }
    if !proof.destination_is_flushed {
        return Err(Refusal::NotFlushed);
    }
    Ok(Row { epoch: row.epoch.next(), number: row.number, state: State::Moved(transit.clone()) })
}
