//! S10: the source forgets the rows that it gave away.

use crate::{Refusal, Row, State};

/// What S10 rests on, beside the source's row (rule R3). The grace is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CleanProof {
    /// The destination's standby has flushed S8; true without a standby.
    pub activation_is_flushed: bool,
    /// Every row that the source retains was compared with the destination's, after S8.
    pub compared: bool,
    /// Every live gateway has a map of this epoch or a later one.
    pub published: bool,
}

/// S10, at the source: whether rows of the slot may be deleted. The row itself stays `moved`.
///
/// # Errors
/// [`Refusal::NotHere`]; [`Refusal::WrongState`] also if the destination does not own the slot; [`Refusal::NotFlushed`];
/// [`Refusal::Unverified`] while rows were not compared or gateways not told.
pub fn clean<S: Eq>(row: Option<&Row<S>>, destination: Option<&Row<S>>, proof: CleanProof) -> Result<(), Refusal> {
    let row = row.ok_or(Refusal::NotHere)?;
    let State::Moved(_) = &row.state else { return Err(Refusal::WrongState) };
    let destination = destination.ok_or(Refusal::NotHere)?;
    // Not equal: the slot may have moved on from there, which is all the same to rows that are nobody's here.
    if !crate::readable(Some(destination)) || destination.epoch < row.epoch {
        return Err(Refusal::WrongState);
    }
    if !proof.activation_is_flushed {
        return Err(Refusal::NotFlushed);
    }
    if proof.compared && proof.published { Ok(()) } else { Err(Refusal::Unverified) }
}
