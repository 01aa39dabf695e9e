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
