//! Giving a move up, which is possible until S7: the source first, then the destination.

use crate::{MoveId, Refusal, Row, State, Transit};

/// At the source: `migrating` or `fenced` becomes `owned`, at once, and the change log is to be dropped. Where the move is
/// over or never began, nothing changes.
///
/// # Errors
/// [`Refusal::NotHere`]; [`Refusal::OtherMove`]; [`Refusal::Moved`]: it is too late, and only the reverse move undoes it.
pub fn abort<S: Clone + Eq>(row: Option<&Row<S>>, move_id: MoveId) -> Result<Row<S>, Refusal> {
    let row = row.ok_or(Refusal::NotHere)?;
    match &row.state {
        State::Owned => Ok(row.clone()),
        State::Migrating(transit) | State::Fenced(transit, _) if transit.move_id == move_id => {
            Ok(Row { state: State::Owned, ..row.clone() })
        }
        State::Migrating(_) | State::Fenced(..) => Err(Refusal::OtherMove),
        State::Moved(_) => Err(Refusal::Moved),
        State::Importing(..) => Err(Refusal::NotHere),
    }
}

/// At the destination: the row of the aborted move goes, and the rows that had arrived are to be deleted. `source` is the
/// source's row, read after [`abort()`] was committed there; none if the source has none.
///
/// # Errors
/// [`Refusal::NotHere`]; [`Refusal::WrongState`] unless it is importing; [`Refusal::OtherMove`]; [`Refusal::Moved`] while the
/// source is still in that move, or has given the slot away by it.
pub fn discard<S: Eq>(row: Option<&Row<S>>, source: Option<&Row<S>>, move_id: MoveId) -> Result<(), Refusal> {
    let row = row.ok_or(Refusal::NotHere)?;
    let State::Importing(Transit { move_id: arriving, .. }, _) = &row.state else { return Err(Refusal::WrongState) };
    if *arriving != move_id {
        return Err(Refusal::OtherMove);
    }
    if source.and_then(Row::claim).is_some_and(|claim| claim.move_id == move_id) {
        return Err(Refusal::Moved);
    }
    Ok(())
}
