//! S3, S4 and S6b: what every transaction of the copy and of the drain asks first.

use crate::{Claim, Refusal, Row, Site, State};

/// At the destination, before rows of a chunk, of drained keys, or of rooms are written.
///
/// # Errors
/// [`Refusal::NotHere`], [`Refusal::WrongState`], [`Refusal::OldGeneration`]; [`Refusal::TimelineChanged`] when rows that
/// arrived before may be lost.
pub fn apply<S: Eq>(row: Option<&Row<S>>, claim: &Claim, site: &Site<S>) -> Result<(), Refusal> {
    let row = row.ok_or(Refusal::NotHere)?;
    let State::Importing(_, own) = &row.state else { return Err(Refusal::WrongState) };
    row.obeys(claim)?;
    if *own == site.timeline { Ok(()) } else { Err(Refusal::TimelineChanged) }
}

/// At the source, before keys that the destination has are deleted from the change log.
///
/// # Errors
/// [`Refusal::NotHere`], [`Refusal::WrongState`], [`Refusal::OldGeneration`], [`Refusal::TimelineChanged`].
pub fn forget<S: Eq>(row: Option<&Row<S>>, claim: &Claim, site: &Site<S>) -> Result<(), Refusal> {
    let row = row.ok_or(Refusal::NotHere)?;
    let (State::Migrating(transit) | State::Fenced(transit, _)) = &row.state else { return Err(Refusal::WrongState) };
    row.obeys(claim)?;
    if transit.timeline == site.timeline { Ok(()) } else { Err(Refusal::TimelineChanged) }
}

/// At the destination, behind S7 and a promotion there that has lost rows: before these are written again as the source retains them.
///
/// As [`apply`], without its look at the timeline. That stays as it is in the row, so that S8 compares everything before it opens the slot,
/// whoever does it and however far this has come; rows of the source are frozen, so that nothing newer can be overwritten.
///
/// # Errors
/// [`Refusal::NotHere`], [`Refusal::WrongState`], [`Refusal::OldGeneration`].
pub fn restore<S: Eq>(row: Option<&Row<S>>, claim: &Claim) -> Result<(), Refusal> {
    let row = row.ok_or(Refusal::NotHere)?;
    let State::Importing(..) = &row.state else { return Err(Refusal::WrongState) };
    row.obeys(claim)
}
