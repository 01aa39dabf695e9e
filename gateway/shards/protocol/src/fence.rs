//! S6: writes wait, for a bounded time; and how a fence ends that a promotion has kept from ending by itself.

use crate::{Claim, Millis, Refusal, Row, Site, State};

/// S6, at the source: `migrating` becomes `fenced` until `lasts` from now, by this database's clock.
///
/// # Errors
/// [`Refusal::NotHere`]; [`Refusal::WrongState`] also for a fence that has lapsed, which S1 ends first;
/// [`Refusal::OldGeneration`]; [`Refusal::TimelineChanged`].
pub fn fence<S: Clone + Eq>(
    row: Option<&Row<S>>,
    claim: &Claim,
    site: &Site<S>,
    lasts: Millis,
) -> Result<Row<S>, Refusal> {
    let row = row.ok_or(Refusal::NotHere)?;
    let State::Migrating(transit) = &row.state else { return Err(Refusal::WrongState) };
    row.obeys(claim)?;
    if transit.timeline != site.timeline {
        return Err(Refusal::TimelineChanged);
    }
    let until = Millis(site.now.0.saturating_add(lasts.0));
    Ok(Row { state: State::Fenced(transit.clone(), until), ..row.clone() })
}

/// The operator, at a source whose standby was promoted behind a fence: `fenced` becomes `migrating` again, if the
/// destination, which it asked, does not own the slot. The claim stays void, since its timeline does.
///
/// # Errors
/// [`Refusal::NotHere`]; [`Refusal::WrongState`]; [`Refusal::FenceHolds`] on the fence's own timeline, where it ends by
/// itself; [`Refusal::Owned`] by the destination.
pub fn unfence<S: Clone + Eq>(
    row: Option<&Row<S>>,
    site: &Site<S>,
    destination: Option<&Row<S>>,
) -> Result<Row<S>, Refusal> {
    let row = row.ok_or(Refusal::NotHere)?;
    let State::Fenced(transit, _) = &row.state else { return Err(Refusal::WrongState) };
    if transit.timeline == site.timeline {
        return Err(Refusal::FenceHolds);
    }
    if destination.is_some_and(|there| crate::readable(Some(there)) && there.epoch > row.epoch) {
        return Err(Refusal::Owned);
    }
    Ok(Row { state: State::Migrating(transit.clone()), ..row.clone() })
}
